"""fork(): views stay valid on both sides, and both sides go on using the store."""

import multiprocessing
import os

import numpy as np
import pytest
from other_process import ask_python, run_python
from running_daemon import eventually


def test_views_stay_valid_on_both_sides_of_a_fork(store, socket):
    told = ask_python(
        socket,
        """
        store = tensord.connect()
        view = store.put("before", np.arange(4.0))
        array = view.numpy()
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            mine = store.put("by/child", array + 1)             # the child connects anew
            os.write(write_end, b"1" if array.sum() == 6 and mine.numpy().sum() == 10 else b"0")
            del array, view, mine
            os._exit(0)
        os.waitpid(pid, 0)
        good = os.read(read_end, 1) == b"1"
        say([good, array.tolist(), store.attach("before").numpy().tolist(), store.names()])
        """,
    )
    assert told == [True, [0, 1, 2, 3], [0, 1, 2, 3], ["before", "by/child"]]
    store.delete("before")
    assert eventually(lambda: store.stats().dying_tensors == 0)


def test_the_bytes_stay_while_the_child_looks_at_them(store, socket):
    done = run_python(
        socket,
        """
        store = tensord.connect()
        array = store.put("kept", np.arange(1000.0)).numpy()
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(go[0], 1)
            os._exit(0 if array.sum() == 499500 else 1)
        del array                                               # the parent lets go
        store.delete("kept")
        for i in range(50):                                     # would land on freed bytes
            store.put(f"tenant/{i}", np.full(1000, -1.0))
        os.write(go[1], b"x")
        status = os.waitpid(pid, 0)[1]
        sys.exit(os.waitstatus_to_exitcode(status))
        """,
    )
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: store.stats().dying_tensors == 0)


def _sum_of(name):
    import tensord

    with tensord.connect() as store:
        return float(store[name].numpy().sum())


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_worker_processes_attach_by_name(store, socket, method, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", socket)
    store.put("work", np.arange(10.0))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_sum_of, ["work"] * 4) == [45.0] * 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataloader_reads_from_the_store(store, socket, method):
    pytest.importorskip("torch")
    done = run_python(
        socket,
        f"""
        import torch
        store = tensord.connect()
        store.put("images", np.arange(64.0).reshape(32, 2))
        images = store["images"].torch()
        if {method!r} == "fork":
            class Images(torch.utils.data.Dataset):
                def __len__(self): return len(images)
                def __getitem__(self, i): return images[i]
            data = Images()
        else:
            data = torch.utils.data.TensorDataset(images)
        loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context={method!r})
        total = sum(float((batch if {method!r} == "fork" else batch[0]).sum()) for batch in loader)
        sys.exit(0 if total == 2016 else 1)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert os.path.exists(socket)
