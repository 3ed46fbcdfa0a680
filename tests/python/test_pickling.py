"""Views and stores sent to other processes: the same memory there, or an error; never other elements."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from other_process import OtherProcess, run_python
from running_daemon import RunningDaemon

import tensord
from tensord import pickling

METHODS = ["fork", "forkserver", "spawn"]


def test_a_view_comes_back_as_a_view_of_the_same_memory(store):
    view = store.put("a", np.arange(6, dtype=np.float32).reshape(2, 3))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(view, protocol))
        assert type(again) is tensord.View and again is not view
        assert (again.name, again.mode, again.location) == ("a", "r", view.location)
        assert again.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
        assert again.bytes_copied == 0


def test_a_pickle_holds_no_elements(store):
    assert len(pickle.dumps(store.put("large", np.zeros(1 << 20)))) < 1000


def test_copies_of_a_view_are_views(store):
    view = store.put("a", np.arange(3))
    for again in (copy.copy(view), copy.deepcopy({"a": view})["a"]):
        view.close()
        assert again.numpy().tolist() == [0, 1, 2]
        view = again


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_the_mode_is_kept(store, mode):
    store.put("counter", np.zeros(3), live=True)
    again = pickle.loads(pickle.dumps(store.attach("counter", mode)))
    assert again.mode == mode
    assert again.numpy().flags.writeable == (mode == "r+")


def _read_and_count(view, counter, store):
    counter.numpy()[0] += view.numpy().sum()
    return view.location == store["numbers"].location, view.bytes_copied, store.stats().bytes_copied_in


@pytest.mark.parametrize("method", METHODS)
def test_workers_get_views_and_stores_as_arguments(store, method):
    numbers = store.put("numbers", np.arange(10.0))
    counter = store.put("counter", np.zeros(1), live=True)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_read_and_count, (numbers, counter, store)) == (True, 0, 0)
        assert pool.apply(_read_and_count, (numbers, counter, store)) == (True, 0, 0)
    assert counter.numpy().tolist() == [90.0]


def _send_back(inbox, outbox):
    outbox.put(inbox.get())


@pytest.mark.parametrize("method", METHODS)
def test_views_go_through_queues_both_ways(store, method):
    context = multiprocessing.get_context(method)
    inbox, outbox = context.Queue(), context.Queue()
    worker = context.Process(target=_send_back, args=(inbox, outbox))
    worker.start()
    view = store.put("ball", np.arange(4))
    inbox.put(view)
    assert outbox.get(timeout=120).location == view.location
    worker.join()


def test_a_receiver_connects_once_to_each_daemon(store, socket):
    before = store.stats().connections
    sent = pickle.dumps([store.put(f"many/{i}", i) for i in range(20)])
    with OtherProcess(
        socket,
        f"""
        import pickle
        views = pickle.loads({sent!r})
        say([int(view.numpy()) for view in views])
        hear()
        """,
    ) as other:
        assert other.hear() == list(range(20))
        assert store.stats().connections == before + 1


def test_a_deleted_tensor_is_not_found(store):
    view = store.put("a", 1)
    sent = pickle.dumps(view)
    store.delete("a")
    with pytest.raises(tensord.NotFoundError, match="'a'"):
        pickle.loads(sent)


@pytest.mark.parametrize("keep", [True, False], ids=["old one attached", "old one gone"])
def test_a_replacement_is_not_taken_for_the_tensor_that_was_sent(store, keep):
    view = store.put("a", np.arange(3))
    sent = pickle.dumps(view)
    if not keep:
        view.close()
        store.delete("a")
    store.put("a", np.arange(4), replace=keep)
    with pytest.raises(tensord.NotFoundError, match="'a' was replaced"):
        pickle.loads(sent)


def test_a_closed_view_cannot_be_pickled(store):
    view = store.put("a", 1)
    view.close()
    with pytest.raises(tensord.InvalidArgumentError, match="closed"):
        pickle.dumps(view)


def test_a_tensor_in_the_making_cannot_be_pickled(store):
    with store.build("a", 3, "float32") as view:
        with pytest.raises(tensord.InvalidArgumentError, match="not published"):
            pickle.dumps(view)
        view.numpy()[:] = 1
    assert pickle.loads(pickle.dumps(view)).numpy().tolist() == [1, 1, 1]


def test_a_store_comes_back_as_a_connection_of_its_own(store):
    store.put("a", 5)
    with pickle.loads(pickle.dumps(store)) as again:
        assert again.socket == store.socket and list(again) == ["a"]
    assert list(store) == ["a"]


def test_a_view_names_its_store_whatever_tensord_socket_says(own_daemon, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", "/nowhere/tensord.sock")
    with tensord.connect(own_daemon.socket, start=False) as store:
        view = store.put("a", 7)
        assert view.socket == own_daemon.socket
        assert int(pickle.loads(pickle.dumps(view)).numpy()) == 7


def test_a_socket_given_by_a_relative_path_is_found_from_elsewhere(own_daemon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tensord.connect("tensord.sock", start=False) as store:
        sent = pickle.dumps((store.put("a", 7), store))
    monkeypatch.chdir("/")
    view, again = pickle.loads(sent)
    assert int(view.numpy()) == 7 and list(again) == ["a"]
    again.close()


def test_a_receiver_starts_no_daemon(tmp_path):
    daemon = RunningDaemon(tmp_path)
    with tensord.connect(daemon.socket, start=False) as store:
        sent = pickle.dumps(store.put("a", 1))
    daemon.stop()
    done = run_python(
        tmp_path / "other.sock",
        f"""
        import pickle
        try:
            pickle.loads({sent!r})
        except tensord.ConnectionLostError:
            say("lost")
        """,
    )
    assert done.stdout == '"lost"\n', done.stderr


def test_a_restarted_daemon_is_connected_to_anew(tmp_path):
    for value in (1, 2):
        daemon = RunningDaemon(tmp_path)
        with tensord.connect(daemon.socket, start=False) as store:
            view = store.put("a", value)
            assert int(pickle.loads(pickle.dumps(view)).numpy()) == value
        daemon.stop()
    with pytest.raises(tensord.ConnectionLostError):
        pickling.with_store(daemon.socket, lambda store: store.names())
