"""Bytes stay as long as somebody looks at them, and not longer."""

import signal
import threading

import numpy as np
import pytest
import torch
from other_process import OtherProcess, run_python
from running_daemon import eventually

import tensord

FACES = {
    "numpy": lambda view: view.numpy(),
    "slice": lambda view: view.numpy()[1:],
    "asarray": np.asarray,
    "torch": lambda view: view.torch(),
    "from_dlpack": np.from_dlpack,
    "memoryview": memoryview,
}


def nothing_dying(store):
    stats = store.stats()
    return stats.dying_tensors == 0 and stats.dying_bytes == 0


@pytest.mark.parametrize("face", FACES.values(), ids=FACES.keys())
@pytest.mark.parametrize("live", [False, True], ids=["sealed", "live"])
def test_an_array_outlives_name_view_and_store_and_then_lets_go(store, socket, face, live):
    expected = np.arange(5.0)
    other = tensord.connect(socket, start=False)
    other.put("a", expected, live=live)
    view = other.attach("a", "r+" if live else "r")
    made = face(view)
    expected = expected[1:] if face is FACES["slice"] else expected

    view.close()
    other.delete("a")
    other.close()
    del view, other
    store.put("tenant", np.full(5, 7.0))  # would land on freed bytes
    assert made.tolist() == expected.tolist()
    assert "a" not in store and store.stats().dying_tensors == 1

    del made
    assert eventually(lambda: nothing_dying(store))


@pytest.mark.parametrize("face", FACES.values(), ids=FACES.keys())
def test_the_pin_goes_with_the_last_array_though_the_closed_view_is_still_around(store, face):
    view = store.put("a", np.arange(5.0))
    made = face(view)
    view.close()
    store.delete("a")
    assert store.stats().dying_tensors == 1
    del made
    assert eventually(lambda: nothing_dying(store))
    assert view.closed


def test_leaving_a_with_block_closes_the_view(store):
    with store.put("a", np.arange(3)) as view:
        array = view.numpy()
    assert view.closed and array.tolist() == [0, 1, 2]


def test_close_may_be_called_twice(store):
    view = store.put("a", 1)
    view.close()
    view.close()


def test_replace_keeps_the_old_bytes_for_those_who_look_at_them(store):
    old = store.put("a", np.arange(3.0))
    new = store.put("a", np.full((2, 2), 9), replace=True)
    assert old.numpy().tolist() == [0, 1, 2] and new.numpy().tolist() == [[9, 9], [9, 9]]
    assert store["a"].dtype == "int64"
    old.close()
    assert eventually(lambda: nothing_dying(store))


def test_a_killed_process_lets_go_of_its_views_and_drafts(store, socket):
    used = store.stats().used_bytes
    store.put("pinned", np.zeros(100_000))
    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        arrays = [store.attach("pinned").numpy() for _ in range(10)]
        block = store.build("half", (50_000,), "float64")
        block.__enter__().numpy()[:10] = 1
        say("holding")
        hear()
        """,
    ) as other:
        assert other.hear() == "holding"
        store.delete("pinned")
        stats = store.stats()
        assert (stats.dying_tensors, stats.building_tensors) == (1, 1)
        other.signal(signal.SIGKILL)
        assert other.wait() == -signal.SIGKILL
    assert eventually(lambda: nothing_dying(store) and store.stats().building_tensors == 0)
    assert store.stats().used_bytes == used
    assert "half" not in store


def test_lifetime_client_ends_with_the_connection(store, socket):
    other = tensord.connect(socket, start=False)
    other.put("mine", [1, 2], lifetime="client")
    view = store.attach("mine")
    assert store.info("mine").lifetime == "client"
    other.close()
    assert eventually(lambda: "mine" not in store)
    assert view.numpy().tolist() == [1, 2]


def test_tensors_may_be_dropped_on_any_thread(store):
    store.put("a", np.arange(4.0))
    tensors = [store.attach("a").torch() for _ in range(50)]
    store.delete("a")
    thread = threading.Thread(target=tensors.clear)
    thread.start()
    thread.join()
    assert eventually(lambda: nothing_dying(store))


def test_autograd_may_keep_a_sealed_tensor(store):
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * store.put("a", np.arange(3.0, dtype=np.float32)).torch()).sum()
    store.delete("a")
    loss.backward()
    assert weight.grad.tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_the_interpreter_may_end_with_views_in_any_hands(store, socket, mode):
    store.put("a", np.arange(4.0), live=mode == "r+")
    done = run_python(
        socket,
        f"""
        import threading, torch
        store = tensord.connect()
        view = store.attach("a", {mode!r})
        array, tensor, buffer = view.numpy(), view.torch(), memoryview(view)
        torch.kept = tensor               # dies with the modules
        sys.kept = (view, array, buffer)  # dies later still
        loop = [view]; loop.append(loop)  # only the garbage collector would find it
        say("done")
        """,
    )
    assert (done.returncode, done.stdout) == (0, '"done"\n'), done.stderr
    store.delete("a")
    assert eventually(lambda: nothing_dying(store))
