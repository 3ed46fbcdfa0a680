"""tensord.torch.TensorDataset: what torch.utils.data.TensorDataset does, in memory once."""

import multiprocessing
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import TensorDataset as Reference

import tensord
from tensord.torch import TensorDataset


@pytest.fixture
def views(store):
    return (
        store.put("images", np.arange(60, dtype=np.float32).reshape(20, 3)),
        store.put("labels", np.arange(20)),
    )


def test_items_are_those_of_the_dataset_of_torch(views):
    dataset, reference = TensorDataset(*views), Reference(*(view.clone(torch=True) for view in views))
    assert len(dataset) == len(reference) == 20
    for index in (0, -1, 7, slice(2, 5), [1, 1, 3]):
        for ours, theirs in zip(dataset[index], reference[index], strict=True):
            assert torch.equal(ours, theirs)


def test_an_item_shares_memory_with_the_dataset(views):
    dataset = TensorDataset(*views)
    assert dataset[3][0].data_ptr() == dataset.tensors[0][3].data_ptr()
    batch = next(iter(DataLoader(dataset, sampler=[4, 2, 4], batch_size=3, collate_fn=list)))
    assert [item[0].data_ptr() for item in batch] == [dataset.tensors[0][index].data_ptr() for index in (4, 2, 4)]
    assert [view.bytes_copied for view in map(pickle.loads, map(pickle.dumps, views))] == [0, 0]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_dataloader_with_workers_gives_the_same_batches(views, method):
    dataset, reference = TensorDataset(*views), Reference(*(view.clone(torch=True) for view in views))
    loader = DataLoader(dataset, batch_size=6, num_workers=2, multiprocessing_context=method)
    count = 0
    for ours, theirs in zip(loader, DataLoader(reference, batch_size=6), strict=True):
        assert all(map(torch.equal, ours, theirs))
        count += len(ours[0])
    assert count == 20


def test_a_dataset_outlives_views_and_names(store, views):
    dataset = TensorDataset(*views)
    for view in views:
        store.delete(view.name)
        view.close()
    store.put("images", np.zeros((20, 3), np.float32))
    assert dataset[19][0].tolist() == [57, 58, 59]


def test_parts_of_views_make_a_dataset(store, views):
    train = TensorDataset(*(view[5:] for view in views))
    assert len(train) == 15 and [part.tolist() for part in train[0]] == [view.torch()[5].tolist() for view in views]
    arrived = pickle.loads(pickle.dumps(train))
    assert len(arrived) == 15 and [part.tolist() for part in arrived[14]] == [part.tolist() for part in train[14]]


def test_what_cannot_be_a_dataset_is_refused(store, views):
    with pytest.raises(tensord.InvalidArgumentError, match="at least one"):
        TensorDataset()
    with pytest.raises(tensord.InvalidArgumentError, match=r"first dimensions.*'short', \(19,\)"):
        TensorDataset(views[0], store.put("short", np.zeros(19)))
    with pytest.raises(tensord.InvalidArgumentError, match="first dimensions"):
        TensorDataset(store.put("scalar", 1.0))
    with pytest.raises(tensord.InvalidArgumentError, match="first dimensions"):
        TensorDataset(views[0][:5], views[0])
    with pytest.raises(tensord.InvalidArgumentError, match="not of Tensor: store.put"):
        TensorDataset(torch.zeros(3))
    store.put("live", np.zeros(20), live=True)
    with pytest.raises(tensord.WouldCopyError, match="r\\+"):
        TensorDataset(store.attach("live"))
    assert len(TensorDataset(store.attach("live", "r+"))) == 20


def proportional_bytes():
    """This process's proportional set size: each page counts as its share among those who map it."""
    return 1024 * int(re.search(r"^Pss: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)[1])


class Measuring(Dataset):
    """Each worker takes one item: it reads the whole dataset, and weighs itself once all have done so."""

    def __init__(self, dataset, workers, method):
        self.dataset = dataset
        self.workers = workers
        self.barrier = multiprocessing.get_context(method).Barrier(workers)

    def __len__(self):
        return self.workers

    def __getitem__(self, index):
        before = proportional_bytes()
        self.barrier.wait(120)
        total = float(self.dataset.tensors[0].sum())
        self.barrier.wait(120)
        after = proportional_bytes()
        self.barrier.wait(120)
        return total, after - before


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, as meant
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_memory_does_not_grow_with_the_number_of_workers(store, method):
    size_bytes = 96 << 20
    with store.build("large", size_bytes // 4, "float32") as view:
        view.numpy().fill(1)
    dataset = TensorDataset(view)
    grown = {}
    for workers in (1, 4):
        loader = DataLoader(
            Measuring(dataset, workers, method),
            batch_size=1,
            num_workers=workers,
            prefetch_factor=1,
            multiprocessing_context=method,
        )
        measured = list(loader)
        assert [float(total) for total, _ in measured] == [size_bytes // 4] * workers
        grown[workers] = sum(int(growth) for _, growth in measured)
    # A copy for each worker would be 4 * size_bytes; here the last worker adds nothing but its own odds and ends.
    assert grown[4] < 1.5 * size_bytes, grown
