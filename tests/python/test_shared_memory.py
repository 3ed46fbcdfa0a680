"""tensord.shared_memory does what multiprocessing.shared_memory does, except where its lifetime is better."""

import inspect
import multiprocessing
import multiprocessing.shared_memory as standard
import os
import pickle
import signal

import numpy as np
import pytest
from other_process import OtherProcess, ask_python, run_python
from running_daemon import eventually

import tensord
from tensord import shared_memory
from tensord.shared_memory import ShareableList, SharedMemory, SharedMemoryManager

METHODS = ["fork", "forkserver", "spawn"]


@pytest.fixture(autouse=True)
def blocks_are_in_the_store(store, socket, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", socket)
    return store


# ---- as the standard library's documentation shows it -------------------------------------------


def test_two_handles_of_one_block_see_each_others_bytes():
    first = SharedMemory(create=True, size=10)
    assert type(first.buf) is memoryview and len(first.buf) == 10 and first.buf.format == "B"
    first.buf[:4] = bytearray([22, 33, 44, 55])
    first.buf[4] = 100
    second = SharedMemory(first.name)
    assert bytes(second.buf[:5]) == bytes([22, 33, 44, 55, 100])
    second.buf[:5] = b"howdy"
    assert bytes(first.buf[:5]) == b"howdy"
    second.close()
    first.close()
    first.unlink()


def test_an_array_over_buf_is_shared(socket):
    values = np.array([1, 1, 2, 3, 5, 8])
    shm = SharedMemory(create=True, size=values.nbytes)
    array = np.ndarray(values.shape, dtype=values.dtype, buffer=shm.buf)
    array[:] = values
    told = ask_python(
        socket,
        f"""
        from tensord import shared_memory
        existing = shared_memory.SharedMemory(name={shm.name!r})
        array = np.ndarray((6,), dtype=np.int64, buffer=existing.buf)
        array[-1] = 888
        del array
        existing.close()
        say(existing.buf)
        """,
    )
    assert told is None
    assert array.tolist() == [1, 1, 2, 3, 5, 888]
    shm.unlink()


def _fill(shm, value):
    shm.buf[:] = bytes([value]) * shm.size


@pytest.mark.parametrize("method", METHODS)
def test_a_block_may_be_an_argument_of_a_process(method):
    shm = SharedMemory(create=True, size=100)
    worker = multiprocessing.get_context(method).Process(target=_fill, args=(shm, 7))
    worker.start()
    worker.join()
    assert bytes(shm.buf) == b"\7" * 100
    shm.unlink()


@pytest.mark.parametrize(
    "arguments",
    [{"create": True}, {"create": True, "size": -1}, {"size": -1, "name": "a"}, {}, {"size": 10}],
    ids=str,
)
def test_wrong_arguments_are_refused_as_the_standard_library_does(arguments):
    with pytest.raises(ValueError) as theirs:
        standard.SharedMemory(**arguments)
    with pytest.raises(ValueError) as ours:
        SharedMemory(**arguments)
    assert str(ours.value) == str(theirs.value)


def test_a_missing_block_is_a_missing_file():
    with pytest.raises(FileNotFoundError) as caught:
        SharedMemory("missing")
    assert caught.value.filename == "missing"


def test_an_existing_block_is_an_existing_file():
    shm = SharedMemory("taken", create=True, size=3)
    shm.buf[:] = b"abc"
    with pytest.raises(FileExistsError):
        SharedMemory("taken", create=True, size=5)
    assert bytes(SharedMemory("taken").buf) == b"abc"
    shm.unlink()
    with pytest.raises(FileNotFoundError):
        shm.unlink()


def test_it_has_everything_that_the_standard_class_has():
    public = {name for name in dir(standard.SharedMemory) if not name.startswith("_")}
    assert public == {name for name in dir(SharedMemory) if not name.startswith("_")}
    parameters = list(inspect.signature(SharedMemory).parameters)
    assert parameters[:3] == ["name", "create", "size"] and "track" in parameters
    assert set(standard.__all__) <= set(shared_memory.__all__)


@pytest.mark.parametrize("name", ["a", "/a", "run 1/frame"])
def test_name_size_repr_and_pickle(name):
    shm = SharedMemory(name, create=True, size=5, track=False)
    assert (shm.name, shm.size, repr(shm)) == (name, 5, f"SharedMemory({name!r}, size=5)")
    shm.buf[:] = b"hello"
    again = pickle.loads(pickle.dumps(shm))
    assert (again.name, again.size, bytes(again.buf)) == (name, 5, b"hello")
    shm.unlink()


def test_closing_twice_and_unlinking_after_closing_are_fine():
    shm = SharedMemory(create=True, size=5)
    shm.close()
    shm.close()
    assert shm.buf is None and shm.size == 5
    assert SharedMemory(shm.name).size == 5
    shm.unlink()


# ---- what is better ------------------------------------------------------------------------------


def test_arrays_outlive_close_unlink_and_the_object(store):
    shm = SharedMemory(create=True, size=8)
    array = np.ndarray(8, np.uint8, buffer=shm.buf)
    part = shm.buf[2:4]
    array[:] = range(8)
    shm.close()
    shm.unlink()
    del shm
    later = SharedMemory(create=True, size=8)  # would get the same memory, were it free
    later.buf[:] = b"\xff" * 8
    assert array.tolist() == list(range(8)) and bytes(part) == b"\2\3"
    later.unlink()
    del array, part, later
    assert eventually(lambda: store.stats().dying_tensors == 0)


def test_a_new_block_is_zero_also_in_recycled_memory():
    first = SharedMemory(create=True, size=4096)
    first.buf[:] = b"\xff" * 4096
    first.close()
    first.unlink()
    second = SharedMemory(create=True, size=4096)
    assert not any(second.buf)
    second.unlink()


def test_a_killed_creator_takes_nothing_from_others(socket):
    code = """
    from tensord.shared_memory import SharedMemory
    shm = SharedMemory("kept", create=True, size=5)
    shm.buf[:] = b"hello"
    say("made")
    hear()
    """
    with OtherProcess(socket, code) as other:
        assert other.hear() == "made"
        attached = SharedMemory("kept")
        other.signal(signal.SIGKILL)
        assert other.wait() == -signal.SIGKILL
    assert bytes(attached.buf) == bytes(SharedMemory("kept").buf) == b"hello"
    attached.unlink()


def test_a_process_that_only_attached_takes_nothing_away_when_it_ends(socket):
    shm = SharedMemory("mine", create=True, size=5)
    done = run_python(socket, "from tensord.shared_memory import SharedMemory; SharedMemory('mine').buf[0] = 1")
    assert (done.returncode, done.stderr) == (0, "")
    assert SharedMemory("mine").buf[0] == 1
    shm.unlink()


def test_an_attach_that_fails_unlinks_nothing(store):
    # A tensor in a block's place that cannot be written: the standard library would unlink it here.
    name = f"shared_memory.{os.getuid()}/sealed"
    store.put(name, np.arange(5, dtype=np.uint8))
    with pytest.raises(PermissionError):
        SharedMemory("sealed")
    assert store[name].numpy().tolist() == [0, 1, 2, 3, 4]


def test_more_than_the_store_holds_is_a_memory_error_at_once():
    with pytest.raises(MemoryError):
        SharedMemory("huge", create=True, size=1 << 40)
    with pytest.raises(FileNotFoundError):
        SharedMemory("huge")


def test_blocks_are_tensors_that_tools_can_see(store):
    shm = SharedMemory("seen", create=True, size=5)
    (name,) = store
    assert name.endswith("/seen") and store.info(name).kind == "live"
    shm.unlink()
    assert list(store) == []


# ---- ShareableList -------------------------------------------------------------------------------


def test_a_list_is_the_standard_librarys_in_a_block_of_ours(store, socket):
    items = ["howdy", b"HoWdY", -273.154, 100, None, True, 42]
    ours = ShareableList(items)
    assert isinstance(ours.shm, SharedMemory) and len(store) == 1
    assert list(ours) == items and len(ours) == 7 and ours.index(42) == 6 and ours.count(None) == 1
    ours[2] = -78.5
    told = ask_python(
        socket,
        f"""
        from tensord.shared_memory import ShareableList
        other = ShareableList(name={ours.shm.name!r})
        other[0] = "hi"
        say([other[2], other[6]])
        """,
    )
    assert told == [-78.5, 42] and ours[0] == "hi"
    again = pickle.loads(pickle.dumps(ours))
    assert list(again) == list(ours) and type(again) is ShareableList
    ours.shm.close()
    ours.shm.unlink()


def test_the_standard_module_is_left_as_it_was():
    assert standard.ShareableList is not ShareableList
    assert standard.SharedMemory.__module__ == "multiprocessing.shared_memory"


# ---- SharedMemoryManager -------------------------------------------------------------------------


def _sum(name):
    return sum(SharedMemory(name).buf)


@pytest.mark.parametrize("method", METHODS)
def test_a_manager_ends_its_blocks(store, method):
    with SharedMemoryManager() as manager:
        name = manager.SharedMemory(10).name  # the object goes at once, the block stays
        SharedMemory(name).buf[:] = b"\1" * 10
        numbers = manager.ShareableList(range(5))
        unlinked = manager.SharedMemory(1)
        unlinked.unlink()
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(_sum, [name] * 3) == [10] * 3
        later = manager.SharedMemory(3)
        assert len(store) == 3
    assert list(store) == []
    assert list(numbers) == [0, 1, 2, 3, 4] and later.size == 3  # who holds them keeps them
    with pytest.raises(tensord.InvalidArgumentError, match="not running"):
        manager.SharedMemory(1)


def test_blocks_of_a_killed_manager_go_with_it(socket, store):
    code = """
    from tensord.shared_memory import SharedMemoryManager
    manager = SharedMemoryManager()
    manager.start()
    made = [manager.SharedMemory(10), manager.ShareableList([1, 2])]
    say("made")
    hear()
    """
    with OtherProcess(socket, code) as other:
        assert other.hear() == "made"
        assert len(store) == 2
        other.signal(signal.SIGKILL)
    assert eventually(lambda: len(store) == 0)
