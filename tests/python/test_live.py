"""Versions of live tensors: whole copies, one writer at a time, waiting, and writers that die."""

import signal
import threading

import numpy as np
import pytest
from other_process import OtherProcess

import tensord


@pytest.fixture
def live(store):
    return store.put("live/x", np.zeros(1000, np.int64), live=True)


def test_each_block_of_writing_makes_one_version(store, live):
    reader = store.attach("live/x")
    assert reader.version == 0
    with live.writing():
        live.numpy()[:] = 1
        assert reader.version == 0
    assert reader.version == 1
    assert store.put("sealed", [1.0]).version == 0


def test_copies_beside_a_writer_in_another_process_are_of_one_version(store, socket, live):
    reader = store.attach("live/x")
    with OtherProcess(
        socket,
        """
        view = tensord.connect().attach("live/x", mode="r+")
        array = view.numpy()
        for i in range(1, 20_001):
            with view.writing():
                array[:] = i
        say("done")
        """,
    ) as writer:
        last = 0
        while last < 20_000:
            copy = reader.clone()
            assert copy.min() == copy.max() >= last
            last = int(copy[0])
        assert writer.hear() == "done"
    assert reader.version == 20_000


def test_a_waiter_wakes_when_another_process_has_written(store, socket, live):
    reader = store.attach("live/x")
    with OtherProcess(
        socket,
        """
        view = tensord.connect().attach("live/x", mode="r+")
        for i in range(3):
            hear()
            with view.writing():
                view.numpy()[:] = i + 1
        """,
    ) as writer:
        seen = reader.version
        for i in range(3):
            writer.say("go")
            seen = reader.wait(seen, timeout=60)
            assert reader.clone()[0] == seen == i + 1


def test_a_timeout_names_what_did_not_happen(live):
    with pytest.raises(tensord.TimeoutError, match="nobody has written the live tensor 'live/x' since version 0"):
        live.wait(0, timeout=0.02)
    with live.writing():
        with pytest.raises(TimeoutError, match="still being written by pid"):
            with live.writing(timeout=0.02):
                pass
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            live.wait(0, timeout=wrong)
    with pytest.raises((ValueError, TypeError)):
        live.wait(0, timeout="soon")


def test_only_a_live_view_for_writing_can_be_written(store, live):
    with pytest.raises(tensord.PermissionDeniedError):
        with store.attach("live/x").writing():
            pass
    with pytest.raises(tensord.InvalidArgumentError, match="sealed"):
        store.put("sealed", [1.0]).wait(0, timeout=0)


def test_an_exception_in_the_block_leaves_the_tensor_torn_until_it_is_repaired(live):
    with pytest.raises(ZeroDivisionError):
        with live.writing():
            live.numpy()[:500] = 1
            raise ZeroDivisionError
    with pytest.raises(tensord.TornWriteError, match="repair"):
        live.clone()
    with pytest.raises(tensord.TornWriteError):
        with live.writing():
            pass
    with live.writing(repair=True):
        live.numpy()[:] = 2
    assert (live.clone() == 2).all()


def test_a_writer_that_is_killed_in_the_block_leaves_the_tensor_torn(store, socket, live):
    with OtherProcess(
        socket,
        """
        view = tensord.connect().attach("live/x", mode="r+")
        with view.writing():
            view.numpy()[:10] = 1
            say("in the middle")
            hear()
        """,
    ) as writer:
        assert writer.hear() == "in the middle"
        writer.signal(signal.SIGKILL)
        writer.wait()
    with pytest.raises(tensord.TornWriteError):
        store.attach("live/x").clone()


def test_waiting_releases_the_gil(live):
    versions = []
    waiter = threading.Thread(target=lambda: versions.append(live.wait(0, timeout=60)))
    waiter.start()
    with live.writing():
        pass
    waiter.join(timeout=60)
    assert versions == [1]


def test_a_block_is_entered_once(live):
    block = live.writing()
    with block:
        pass
    with pytest.raises(tensord.InvalidArgumentError, match="once"):
        with block:
            pass
