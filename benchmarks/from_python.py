"""What does Python pay to attach, to clone, and to touch a tensor for the first time?

Attach means: from a name to an array or a torch.Tensor, and everything dropped again. What is attached was made
by another process. Prints lines of JSON as measure.hpp does; `run` makes medians and ratios of them.

    python benchmarks/from_python.py [--small] attach torch clone first_touch
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import numpy as np

import tensord

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "python"))
from running_daemon import RunningDaemon

KIB, MIB = 1 << 10, 1 << 20

SMALL = "--small" in sys.argv
LARGE = 1 * MIB if SMALL else 64 * MIB
PAGE = 4 * KIB


class Way:
    """One way of doing a thing; `run(n)` does it n times and is timed, unless it returns its own time in ns."""

    def __init__(self, name: str, role: str, operations: int, run: Callable[[int], float | None]) -> None:
        self.name, self.role, self.run = name, role, run
        self.operations = min(operations, 10) if SMALL else operations
        self.ns: list[float] = []


def compare(question: str, parameters: dict[str, int], rounds: int, ways: Sequence[Way]) -> None:
    """Each round runs every way once, in an order drawn anew: see measure.hpp."""
    order = list(ways)
    shuffle = random.Random(1).shuffle
    for round_number in range(-1, 2 if SMALL else rounds):  # the first is for warming up
        shuffle(order)
        for way in order:
            begin = time.perf_counter_ns()
            told_ns = way.run(way.operations)
            took_ns = time.perf_counter_ns() - begin if told_ns is None else told_ns
            if round_number >= 0:
                way.ns.append(round(took_ns / way.operations, 1))
    lines = [{"way": way.name, "role": way.role, "ns": way.ns} for way in ways]
    print(json.dumps({"question": question, "parameters": parameters, "ways": lines}), flush=True)


# ---- the other process ---------------------------------------------------------------------------


def elements(size_bytes: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ones(size_bytes // 4, dtype=np.float32)


def produce(socket: str) -> None:
    """Makes what is attached, and a shared-memory object of the system's, and holds it until its input ends."""
    store = tensord.connect(socket, start=False)
    for size_bytes in {PAGE, LARGE}:
        store.put(f"sealed/{size_bytes}", elements(size_bytes))
    store.put(f"live/{PAGE}", elements(PAGE), live=True)
    block = shared_memory.SharedMemory(create=True, size=LARGE)
    np.ndarray(LARGE, np.uint8, block.buf).fill(1)  # touches every page
    print(block.name, flush=True)
    sys.stdin.read()
    block.close()
    block.unlink()


@contextmanager
def produced() -> Iterator[tuple[str, str]]:
    """The socket of a store that another process has filled, and the name of a shared-memory object of it."""
    with tempfile.TemporaryDirectory(prefix="tensord-bench-") as directory:
        daemon = RunningDaemon(directory)
        options = ["--small"] if SMALL else []
        producer = subprocess.Popen(
            [sys.executable, __file__, *options, "--produce", daemon.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert producer.stdout is not None
            yield daemon.socket, producer.stdout.readline().strip()
        finally:
            producer.communicate()
            daemon.stop()


# ---- questions ------------------------------------------------------------------------------------


def measure_attach() -> None:
    with produced() as (socket, _), tensord.connect(socket, start=False) as store:
        for size_bytes in (PAGE, LARGE):
            name, private = f"sealed/{size_bytes}", bytes(size_bytes)

            def attach(n: int) -> None:
                for _ in repeat(None, n):
                    store.attach(name).numpy()

            def frombuffer(n: int) -> None:
                for _ in repeat(None, n):
                    np.frombuffer(private, dtype=np.float32)

            compare(
                "python attach",
                {"bytes": size_bytes},
                31,
                [
                    Way("tensord: attach, numpy, drop", "ours", 20_000, attach),
                    Way("np.frombuffer(bytes), drop", "floor", 20_000, frombuffer),
                ],
            )


def measure_torch() -> None:
    import torch

    with produced() as (socket, _), tensord.connect(socket, start=False) as store:
        array = elements(PAGE)

        def attach_live(n: int) -> None:
            for _ in repeat(None, n):
                store.attach(f"live/{PAGE}", "r+").torch()

        def attach_sealed(n: int) -> None:
            for _ in repeat(None, n):
                store.attach(f"sealed/{PAGE}").torch()

        def from_numpy(n: int) -> None:
            for _ in repeat(None, n):
                torch.from_numpy(array)

        floor = ("torch.from_numpy, drop", "floor", 5_000, from_numpy)
        compare(
            "python attach, torch, live",
            {"bytes": PAGE},
            31,
            [Way('tensord: attach "r+", torch, drop', "ours", 5_000, attach_live), Way(*floor)],
        )
        compare(
            "python attach, torch, sealed",
            {"bytes": PAGE},
            31,
            [Way("tensord: attach, torch, drop", "ours", 1_000, attach_sealed), Way(*floor)],
        )


def measure_clone() -> None:
    with produced() as (socket, _), tensord.connect(socket, start=False) as store:
        view = store.attach(f"sealed/{LARGE}")
        private = elements(LARGE)

        def clone(n: int) -> None:
            for _ in repeat(None, n):
                view.clone()

        def copy(n: int) -> None:
            for _ in repeat(None, n):
                np.copy(private)

        compare(
            "python clone",
            {"bytes": LARGE},
            41,
            [Way("tensord: clone, drop", "ours", 1, clone), Way("np.copy, drop", "floor", 1, copy)],
        )


def measure_first_touch() -> None:
    """In processes that have imported everything, and attached to nothing."""
    with produced() as (socket, posix_name):

        def touch(bytes_: Any) -> None:
            np.frombuffer(bytes_, np.float32)[:: PAGE // 4].sum()

        def ours(**options: Any) -> float:
            store = tensord.connect(socket, start=False)
            begin = time.perf_counter_ns()
            touch(store.attach(f"sealed/{LARGE}", **options).numpy())
            return time.perf_counter_ns() - begin

        def peers() -> float:
            # Attaching would register it with a tracker of this process's, which would then unlink it.
            setattr(resource_tracker, "register", lambda name, kind: None)
            begin = time.perf_counter_ns()
            shared = shared_memory.SharedMemory(posix_name)
            touch(shared.buf)
            took_ns = time.perf_counter_ns() - begin
            return took_ns

        compare(
            "python first touch",
            {"bytes": LARGE},
            21,
            [
                Way("tensord: attach, touch", "ours", 1, lambda n: in_child(ours)),
                Way(
                    "tensord: attach(populate=True), touch", "ours", 1, lambda n: in_child(lambda: ours(populate=True))
                ),
                Way("SharedMemory(name), touch", "peer", 1, lambda n: in_child(peers)),
            ],
        )


def in_child(measure: Callable[[], float]) -> float:
    """What `measure` returns in a forked process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(writing, str(measure()).encode())
            code = 0
        except Exception as error:
            print(f"in a child: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the process that was to measure it failed")
    return float(text)


QUESTIONS = {
    "attach": measure_attach,
    "torch": measure_torch,
    "clone": measure_clone,
    "first_touch": measure_first_touch,
}


def main() -> None:
    for question in [word for word in sys.argv[1:] if word != "--small"] or list(QUESTIONS):
        QUESTIONS[question]()


if __name__ == "__main__":
    if "--produce" in sys.argv:
        produce(sys.argv[-1])
    else:
        main()
