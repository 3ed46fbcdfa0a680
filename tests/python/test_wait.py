"""Waiting for names: what a wait returns, what ends it, and what it says in vain."""

import signal
import threading

import numpy as np
import pytest
from other_process import OtherProcess
from running_daemon import eventually

import tensord


def test_a_name_is_attached_as_soon_as_another_process_publishes_it(store, socket):
    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        hear()
        store.put("w/x", np.arange(5.0))
        """,
    ) as producer:
        producer.say("go")
        view = store.wait("w/x", timeout=60)
        assert view.clone().tolist() == [0, 1, 2, 3, 4]
        assert view.mode == "r"


def test_a_name_that_is_there_is_attached_at_once(store):
    store.put("w/x", [1.0], live=True)
    assert store.wait("w/x", timeout=0).mode == "r"
    with (writable := store.wait("w/x", mode="r+")).writing():
        writable.numpy()[0] = 7
    assert store["w/x"].clone()[0] == 7
    store.put("w/sealed", [1.0])
    with pytest.raises(tensord.PermissionDeniedError):
        store.wait("w/sealed", mode="r+")
    with pytest.raises(tensord.InvalidArgumentError):
        store.wait("")


def test_a_name_goes_back_and_forth_between_two_processes(store, socket):
    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        for turn in range(300):
            ball = store.wait("w/ping", timeout=60).clone()[0]
            del store["w/ping"]
            store.put("w/pong", [ball * 2])
        """,
    ):
        for turn in range(300):
            store.put("w/ping", [turn])
            assert store.wait("w/pong", timeout=60).clone()[0] == 2 * turn
            del store["w/pong"]


def test_a_wait_in_vain_names_who_is_building_the_tensor(store, socket):
    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        with store.build("w/x", 3, "float32") as view:
            say(os.getpid())
            hear()
            view.numpy()[:] = 1
        """,
    ) as builder:
        pid = builder.hear()
        with pytest.raises(tensord.TimeoutError, match=f"pid {pid} is building one"):
            store.wait("w/x", timeout=0.02)
        with pytest.raises(tensord.NotFoundError, match=f"pid {pid} is building one"):
            store.attach("w/x")
        builder.say("go on")
        assert store.wait("w/x", timeout=60).clone().tolist() == [1, 1, 1]


def test_a_wait_in_vain_says_that_nobody_is_building_the_tensor_and_offers_near_names(store):
    store.put("demo/ramp", [1.0])
    with pytest.raises(TimeoutError) as caught:
        store.wait("demo/rmp", timeout=0.02)
    assert "nobody is building one" in str(caught.value)
    assert "did you mean 'demo/ramp'?" in str(caught.value)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            store.wait("w/x", timeout=wrong)


def test_a_wait_for_a_version_in_vain_names_the_last_writer(store, socket):
    reader = store.put("w/x", np.zeros(3), live=True)
    with pytest.raises(tensord.TimeoutError, match="nobody has written it since it was put"):
        reader.wait(0, timeout=0)
    with OtherProcess(
        socket,
        """
        view = tensord.connect().attach("w/x", mode="r+")
        with view.writing():
            view.numpy()[:] = 1
        say(os.getpid())
        hear()
        """,
    ) as writer:
        pid = writer.hear()
        with pytest.raises(tensord.TimeoutError, match=f"its last writer, pid {pid}, is still connected"):
            reader.wait(1, timeout=0.02)
        writer.signal(signal.SIGKILL)
        writer.wait()

        def gone():
            with pytest.raises(tensord.TimeoutError) as caught:
                reader.wait(1, timeout=0)
            return "its last writer is gone" in str(caught.value)

        assert eventually(gone)


@pytest.mark.parametrize("wait", ['store.wait("w/y")', 'store["w/x"].wait(0)'])
def test_ctrl_c_ends_a_wait(store, socket, wait):
    store.put("w/x", [0.0], live=True)
    with OtherProcess(
        socket,
        f"""
        store = tensord.connect()
        try:
            say("waiting")
            {wait}
        except KeyboardInterrupt:
            say("interrupted")
        """,
    ) as waiter:
        assert waiter.hear() == "waiting"
        waiter.signal(signal.SIGINT)
        assert waiter.hear() == "interrupted"
        assert waiter.wait() == 0


def test_a_waiter_notices_that_the_daemon_was_killed(own_daemon):
    store = tensord.connect(own_daemon.socket, start=False)
    killer = threading.Timer(0.05, own_daemon.kill)
    killer.start()
    with pytest.raises(tensord.ConnectionLostError):
        store.wait("w/x", timeout=60)
    killer.join()


def test_waiting_for_a_name_releases_the_gil(store):
    attached = []
    waiter = threading.Thread(target=lambda: attached.append(store.wait("w/x", timeout=60)))
    waiter.start()
    store.put("w/x", [3.0])
    waiter.join(timeout=60)
    assert attached[0].clone().tolist() == [3.0]
    attached.clear()
