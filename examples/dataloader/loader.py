"""Loader: epochs of a DataLoader over the patches, given in one of the ways of datasets.py; a check of every item,
and what it all costs in memory. A process of its own for each way, so that none leaves anything behind.

    loader.py REPORT WAY START_METHOD WORKERS COUNT EPOCHS
"""

import json
import multiprocessing
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import memory
import numpy as np
import torch
from datasets import WAYS
from patches import Numbers, Patches, proofs_of
from torch.utils.data import DataLoader

import tensord

BATCH = 128


def main(report_path: str, way: str, start_method: str, workers: str, count: str, epochs: str) -> None:
    # More workers than cores are slow, and as large as anywhere else.
    warnings.filterwarnings("ignore", "This DataLoader will create")
    patches = Patches(int(count))
    proofs = patches.proofs()
    if way == "no data":  # its items are all the first patch
        proofs[:] = proofs[0]
    loader: DataLoader[Any] = DataLoader(
        WAYS[way](patches),
        batch_size=BATCH,
        shuffle=True,
        num_workers=int(workers),
        multiprocessing_context=start_method,
        persistent_workers=True,  # they are still there when an epoch is over, and their memory is asked for
    )
    reports = []
    for _ in range(int(epochs)):
        start = time.perf_counter()
        seen_once, right = one_epoch(loader, proofs)
        seconds = time.perf_counter() - start
        reports.append({"seen_once": seen_once, "right": right, "seconds": seconds, **use_of_memory(way)})
    Path(report_path).write_text(json.dumps(reports))


def one_epoch(loader: DataLoader[Any], proofs: Numbers) -> tuple[int, int]:
    """How many items came exactly once, and how many with the bytes that they should have."""
    seen = np.zeros(len(proofs), np.int64)
    right = 0
    for batch, numbers in loader:
        indices = np.asarray(numbers)
        seen[indices] += 1
        right += int((proofs_of(np.asarray(batch)) == proofs[indices]).sum())
    return int((seen == 1).sum()), right


def use_of_memory(way: str) -> dict[str, int]:
    workers = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
    return {
        "workers": len(workers),
        "parent_bytes": memory.without_store([os.getpid()]),
        "workers_bytes": memory.without_store(workers),
        "store_bytes": memory.of_store(tensord.connect(start=False)) if way == "tensord" else 0,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
