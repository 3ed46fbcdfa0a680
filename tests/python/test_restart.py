"""A daemon that dies is followed by one that has everything; Python sees a delay."""

import asyncio
import os
import signal
import threading

import numpy as np
import pytest
from running_daemon import RunningDaemon, eventually

import tensord


@pytest.fixture
def kept(tmp_path):
    daemon = RunningDaemon(tmp_path, "--keep")
    yield daemon
    daemon.stop()


@pytest.fixture
def store(kept):
    with tensord.connect(kept.socket, start=False) as store:
        yield store


def kill_daemon(store):
    os.kill(store.stats().daemon_pid, signal.SIGKILL)


def test_arrays_names_and_drafts_are_as_they_were(store, kept):
    values = np.arange(1000.0)
    sealed = store.put("a/sealed", values)
    array = sealed.numpy()
    live = store.put("a/live", values, live=True)
    with store.build("a/built", (4,), "float32") as draft:
        draft.numpy()[:2] = 1
        kill_daemon(store)
        draft.numpy()[2:] = 2
    store.put_many({f"m/{i}": values + i for i in range(300)})
    kill_daemon(store)

    assert np.array_equal(array, values)
    assert store["a/built"].numpy().tolist() == [1, 1, 2, 2]
    assert store.names() == sorted(["a/built", "a/live", "a/sealed", *(f"m/{i}" for i in range(300))])
    with live.writing():
        live.numpy()[:] = 7
    with tensord.connect(kept.socket, start=False) as other:
        assert other["a/live"].numpy()[0] == 7
        assert np.array_equal(other["m/299"].numpy(), values + 299)
    with pytest.raises(KeyError):
        store["a/none"]


def test_whoever_waits_for_a_name_gets_it_although_the_daemon_died_meanwhile(store, kept):
    found = []
    waiter = threading.Thread(target=lambda: found.append(store.wait("a/late", timeout=20).numpy().tolist()))
    waiter.start()
    with tensord.connect(kept.socket, start=False) as other:
        kill_daemon(other)
        other.put("a/late", np.array([1, 2]))
    waiter.join()
    assert found == [[1, 2]]

    async def both():
        waiting = asyncio.create_task(store.wait_async("a/later", timeout=20))
        await asyncio.sleep(0)
        kill_daemon(store)
        store.put("a/later", np.array([3]))
        return (await waiting).numpy().tolist()

    assert asyncio.run(both()) == [3]


def test_a_restart_is_an_upgrade(store):
    store.put("a/b", np.arange(3))
    before = store.stats().daemon_pid
    store.restart_daemon()
    assert store.stats().daemon_pid != before
    assert store["a/b"].numpy().tolist() == [0, 1, 2]


def test_each_users_share_is_counted_as_before(store):
    views = [store.put(f"a/{i}", np.zeros(1000)) for i in range(5)]
    store.delete("a/0")
    before = store.users()
    kill_daemon(store)
    # Who pins what is dying is found again.
    assert eventually(lambda: store.users() == before)
    del views


def test_a_daemon_that_nobody_keeps_does_not_restart(tmp_path):
    daemon = RunningDaemon(tmp_path)
    with tensord.connect(daemon.socket, start=False) as store:
        with pytest.raises(tensord.InvalidArgumentError, match="nobody keeps"):
            store.restart_daemon()
    daemon.stop()


def test_a_store_that_connect_started_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", str(tmp_path / "own.sock"))
    with tensord.connect() as store:
        store.put("a/b", np.arange(3))
        kill_daemon(store)
        assert store["a/b"].numpy().tolist() == [0, 1, 2]
        store.put("a/c", np.arange(3))
        store.shutdown()
