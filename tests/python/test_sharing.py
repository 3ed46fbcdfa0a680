"""Producer and consumer in two processes: one memory, no copy, and walls where they belong."""

import signal

import numpy as np
import torch
from other_process import OtherProcess, ask_python, run_python


def test_two_processes_look_at_the_same_memory_and_copy_nothing(store, socket):
    view = store.put("shared/ramp", np.arange(1000.0))
    told = ask_python(
        socket,
        """
        store = tensord.connect()
        view = store.attach("shared/ramp")
        total = float(view.numpy().sum() + view.torch().sum())
        stats = store.stats()
        say([list(view.location), view.bytes_copied, stats.bytes_copied_in, stats.bytes_copied_out, total])
        """,
    )
    assert told == [list(view.location), 0, 0, 0, 2 * 499500.0]


def test_a_tensor_put_by_a_process_that_ended_is_there(store, socket):
    done = run_python(socket, """tensord.connect().put("left/behind", [1, 2, 3])""")
    assert done.returncode == 0, done.stderr
    assert store["left/behind"].numpy().tolist() == [1, 2, 3]


def test_writes_to_a_live_tensor_are_seen_by_every_process(store, socket):
    mine = store.put("live", np.zeros(4, np.int32), live=True).numpy()
    with OtherProcess(
        socket,
        """
        theirs = tensord.connect().attach("live", mode="r+").torch()
        say(theirs.tolist())
        theirs[1] = hear()
        say(theirs.tolist())
        say(hear() + theirs.tolist())
        """,
    ) as other:
        assert other.hear() == [0, 0, 0, 0]
        other.say(11)
        assert other.hear() == mine.tolist() == [0, 11, 0, 0]
        mine[3] = 33
        other.say([])
        assert other.hear() == [0, 11, 0, 33]


def test_a_reader_of_a_live_tensor_sees_writes_and_cannot_write(store):
    writer = store.put("live", np.zeros(2), live=True).numpy()
    reader = store.attach("live").numpy()
    writer[0] = 5
    assert reader.tolist() == [5, 0]
    assert not reader.flags.writeable


def test_torch_writes_to_a_sealed_tensor_reach_nobody(store, socket):
    view = store.put("sealed", np.arange(4.0))
    other_view = store.attach("sealed")
    with OtherProcess(
        socket,
        """
        view = tensord.connect().attach("sealed")
        mine = view.torch()
        mine += 100
        say(mine.tolist())
        say(view.numpy().tolist())
        """,
    ) as other:
        assert other.hear() == [100, 101, 102, 103]
        assert other.hear() == [0, 1, 2, 3]
    assert view.numpy().tolist() == view.torch().tolist() == [0, 1, 2, 3]
    mine = view.torch()
    mine.zero_()
    assert other_view.torch().tolist() == other_view.numpy().tolist() == view.numpy().tolist() == [0, 1, 2, 3]


def test_torch_tensors_of_one_view_share_their_private_memory(store):
    view = store.put("sealed", np.arange(3.0))
    first, second = view.torch(), torch.from_dlpack(view)
    first[0] = 9
    assert second.tolist() == view.torch().tolist() == [9, 1, 2]


def test_torch_from_numpy_of_a_sealed_array_dies_when_it_writes(store, socket):
    # torch.from_numpy ignores that the array is read-only; the kernel does not. It costs the writer
    # its life and nobody their data: view.torch() is the way.
    view = store.put("sealed", np.arange(4.0))
    done = run_python(
        socket,
        """
        import warnings, torch
        warnings.simplefilter("ignore")
        tensor = torch.from_numpy(tensord.connect().attach("sealed").numpy())
        say(tensor.tolist())
        tensor += 1
        say("survived")
        """,
    )
    assert done.stdout == "[0.0, 1.0, 2.0, 3.0]\n"
    assert done.returncode == -signal.SIGSEGV
    assert view.numpy().tolist() == [0, 1, 2, 3]
