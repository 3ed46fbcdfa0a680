"""What does Python pay for attach and put, beside multiprocessing.shared_memory?

Attach means: from a name to a NumPy array, and everything dropped again. What is attached was made by
another process. Prints lines of JSON as measure.hpp does; `run` makes medians and ratios of them.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice, repeat
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import numpy as np

import tensord

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "python"))
from running_daemon import RunningDaemon  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
ATTACH_SIZES = (4 * KIB, 64 * MIB)
PUT_SIZES = ((4 * KIB, 50, 21), (MIB, 10, 21), (64 * MIB, 1, 11))  # bytes, operations, rounds


class Way:
    """One way of doing a thing; `run(n)` does it n times and is timed, `clean_up()` is not."""

    def __init__(
        self,
        name: str,
        role: str,
        operations: int,
        run: Callable[[int], None],
        clean_up: Callable[[], None] | None = None,
    ) -> None:
        self.name, self.role, self.operations, self.run, self.clean_up = name, role, operations, run, clean_up
        self.ns: list[float] = []


def compare(question: str, parameters: dict[str, int], rounds: int, ways: Sequence[Way]) -> None:
    """Each round runs every way once, in an order drawn anew: see measure.hpp."""
    order = list(ways)
    shuffle = random.Random(1).shuffle
    for round_number in range(-1, rounds):  # the first is for warming up
        shuffle(order)
        for way in order:
            begin = time.perf_counter_ns()
            way.run(way.operations)
            took_ns = time.perf_counter_ns() - begin
            if way.clean_up:
                way.clean_up()
            if round_number >= 0:
                way.ns.append(round(took_ns / way.operations, 1))
    lines = [{"way": way.name, "role": way.role, "ns": way.ns} for way in ways]
    print(json.dumps({"question": question, "parameters": parameters, "ways": lines}), flush=True)


@contextmanager
def no_tracker() -> Iterator[None]:
    """Before Python 3.13, SharedMemory has no track=False: this is the usual way around it."""
    register = resource_tracker.register
    setattr(resource_tracker, "register", lambda name, kind: None)
    try:
        yield
    finally:
        setattr(resource_tracker, "register", register)


def elements(size_bytes: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ones(size_bytes // 4, dtype=np.float32)


# ---- attach ---------------------------------------------------------------------------------------


def produce(socket: str) -> None:
    """The other process: makes what is attached, names it, and holds it until its input ends."""
    store = tensord.connect(socket, start=False)
    objects = []
    for size_bytes in ATTACH_SIZES:
        store.put(f"bench/{size_bytes}", elements(size_bytes))
        block = shared_memory.SharedMemory(create=True, size=size_bytes)
        np.ndarray(size_bytes, np.uint8, block.buf).fill(0)  # touches every page
        objects.append(block)
    print(json.dumps([shared.name for shared in objects]), flush=True)
    sys.stdin.read()
    for shared in objects:
        shared.close()
        shared.unlink()


def measure_attach(store: tensord.Store, size_bytes: int, posix_name: str) -> None:
    name = f"bench/{size_bytes}"
    shape = (size_bytes // 4,)
    private = bytes(size_bytes)

    def attach(n: int) -> None:
        for _ in repeat(None, n):
            store.attach(name).numpy()

    def frombuffer(n: int) -> None:
        for _ in repeat(None, n):
            np.frombuffer(private, dtype=np.float32)

    def attach_posix(n: int) -> None:
        for _ in repeat(None, n):
            shared = shared_memory.SharedMemory(posix_name)
            array = np.ndarray(shape, dtype=np.float32, buffer=shared.buf)
            del array
            shared.close()

    def attach_posix_untracked(n: int) -> None:
        with no_tracker():
            attach_posix(n)

    compare(
        "python attach",
        {"bytes": size_bytes},
        21,
        [
            Way("tensord: attach, numpy, drop", "ours", 20_000, attach),
            Way("np.frombuffer(bytes), drop", "floor", 20_000, frombuffer),
            Way("SharedMemory(name), ndarray, close", "peer", 200, attach_posix),
            Way("the same without resource tracker", "peer", 200, attach_posix_untracked),
        ],
    )
    # Attaching registered it here, too: without this our tracker would unlink it and complain.
    resource_tracker.unregister("/" + posix_name, "shared_memory")


# ---- put ------------------------------------------------------------------------------------------


def measure_put(store: tensord.Store, size_bytes: int, operations: int, rounds: int) -> None:
    source = elements(size_bytes)
    warm = shared_memory.SharedMemory(create=True, size=2 * size_bytes)
    # Two places in turn, because replace takes a new one before it gives up the old one.
    places = np.ndarray((2, size_bytes // 4), dtype=np.float32, buffer=warm.buf)
    turns = cycle(places)
    made: list[shared_memory.SharedMemory] = []
    for _ in range(2):  # the two places that put will go back and forth between
        store.put("bench/put", source, replace=True)

    def put(n: int) -> None:
        for _ in repeat(None, n):
            store.put("bench/put", source, replace=True)

    def copy(n: int) -> None:
        for place in islice(turns, n):
            np.copyto(place, source)

    def create_posix(n: int) -> None:
        for _ in repeat(None, n):
            shared = shared_memory.SharedMemory(create=True, size=size_bytes)
            array = np.ndarray(source.shape, dtype=np.float32, buffer=shared.buf)
            array[:] = source
            del array
            shared.close()
            made.append(shared)

    def unlink() -> None:
        for shared in made:
            shared.unlink()
        made.clear()

    compare(
        "python put",
        {"bytes": size_bytes},
        rounds,
        [
            Way("tensord: put over the last one", "ours", operations, put),
            Way("np.copyto, warm pages", "floor", operations, copy),
            Way("SharedMemory(create), ndarray, copy", "peer", operations, create_posix, unlink),
        ],
    )
    del places, turns
    warm.close()
    warm.unlink()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tensord-bench-") as directory:
        daemon = RunningDaemon(directory)
        producer = subprocess.Popen(
            [sys.executable, __file__, "--produce", daemon.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert producer.stdout is not None
            posix_names = json.loads(producer.stdout.readline())
            store = tensord.connect(daemon.socket, start=False)
            for size_bytes, posix_name in zip(ATTACH_SIZES, posix_names, strict=True):
                measure_attach(store, size_bytes, posix_name)
            for size_bytes, operations, rounds in PUT_SIZES:
                measure_put(store, size_bytes, operations, rounds)
        finally:
            producer.communicate()
            daemon.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--produce"]:
        produce(sys.argv[2])
    else:
        main()
