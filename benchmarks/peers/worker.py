"""The two processes of a peer: everything that is timed is in here, and is the same for all peers.

Each obeys its host (host.py): a command is the name of a method and its arguments, an answer its result or
the reason why there is none. Time is the system's monotonic clock, which both processes share.
"""

import gc
import mmap
import os
import resource
import select
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import numpy as np

from peers import catalogue, programs
from peers.peer import PATIENCE_S, Floats, Peer, Unsupported

now_ns = time.perf_counter_ns


def pattern(size_bytes: int) -> Floats:
    """What every tensor of this size holds, whoever shares it."""
    return np.arange(size_bytes // 4, dtype=np.float32)


@contextmanager
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Turns:
    """How producer and consumer take turns, without any peer's help and without taking time from it.

    go(): the producer lets the consumer, which polls meanwhile, begin to wait for a tensor. done(): the
    consumer has read it; the producer has slept until then, so that a core is free for the peer's daemon.
    """

    GO, READ_AT_NS = 0, 1

    @staticmethod
    def make(place: Path) -> None:
        (place / "slate").write_bytes(bytes(mmap.PAGESIZE))
        os.mkfifo(place / "done")

    def __init__(self, place: Path) -> None:
        with open(place / "slate", "r+b") as file:
            self.words = np.frombuffer(mmap.mmap(file.fileno(), mmap.PAGESIZE), np.int64)
        self.fifo = os.open(place / "done", os.O_RDWR)  # waits for nobody

    def start_over(self) -> None:
        self.words[:] = 0

    def go(self, turn: int) -> None:
        self.words[self.GO] = turn

    def wait_for_go(self, turn: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.words[self.GO] < turn:
            if time.monotonic() > end:
                raise TimeoutError("the producer did not get on within half a minute")
            time.sleep(0)

    def done(self, read_at_ns: int) -> None:
        self.words[self.READ_AT_NS] = read_at_ns
        os.write(self.fifo, b".")

    def wait_until_done(self) -> int:
        if not select.select([self.fifo], [], [], PATIENCE_S)[0]:
            raise TimeoutError("the consumer did not get its tensor within half a minute")
        os.read(self.fifo, 1)
        return int(self.words[self.READ_AT_NS])


class Worker:
    def __init__(self, peer: Peer, place: Path) -> None:
        self.peer, self.place, self.turns = peer, place, Turns(place)

    def connect(self) -> None:
        self.peer.connect()

    def close(self) -> None:
        self.peer.close()


class Producer(Worker):
    def __init__(self, peer: Peer, place: Path) -> None:
        super().__init__(peer, place)
        self.listener = Listener(str(place / "pipe"), "AF_UNIX")
        self.pipes: dict[str, Connection] = {}
        self.stored: set[str] = set()
        self.serial = count()
        self.many, self.many_bytes = 0, 0  # how many tensors are called hold/..., and how large they are

    def close(self) -> None:
        for name in self.stored:
            self.peer.delete(name)
        self.delete_many()
        super().close()

    def accept(self, consumer: str) -> None:
        """Takes the pipe of a consumer that has just been started, and talks to that one from now on."""
        self.pipes[consumer] = self.peer.pipe = self.listener.accept()

    def turn_to(self, consumer: str) -> None:
        self.peer.pipe = self.pipes[consumer]

    def store(self, name: str, size_bytes: int) -> None:
        if name not in self.stored:
            self.peer.put(name, pattern(size_bytes))
            self.stored.add(name)

    def offer(self, name: str, size_bytes: int, times: int) -> None:
        self.peer.offer(name, pattern(size_bytes), times)

    def put(self, size_bytes: int, operations: int, pause_s: float) -> list[float]:
        """ns of each put under a new name; one mean of all if there is no pause between them."""
        source = pattern(size_bytes)
        names = [f"put/{next(self.serial)}" for _ in range(operations)]
        made = iter(names)
        put = self.peer.put
        samples: list[float] = []
        try:
            with no_collections():
                if pause_s:
                    for name in names:
                        time.sleep(pause_s)
                        begin = now_ns()
                        put(name, source)
                        samples.append(now_ns() - begin)
                else:
                    begin = now_ns()
                    for name in made:
                        put(name, source)
                    samples.append((now_ns() - begin) / operations)
        finally:
            for name in names:
                self.peer.delete(name)
        return samples

    def hand_over(self, size_bytes: int, operations: int, pause_s: float) -> list[float]:
        """ns from before the put until the consumer, which waited, has read all of it."""
        source = pattern(size_bytes)
        samples: list[float] = []
        with no_collections():
            self.turns.wait_until_done()  # with preparing
            for turn in range(1, operations + 1):
                name = f"handoff/{next(self.serial)}"
                source[0] = source[-1] = turn
                self.turns.go(turn)
                if pause_s:
                    time.sleep(pause_s)
                begin = now_ns()
                self.peer.give(name, source, soon=not pause_s)
                samples.append(self.turns.wait_until_done() - begin)
                self.peer.delete(name)
        return samples

    def next_serial(self) -> int:
        """The number of the next name: `operations` hand-offs use as many, in order."""
        serial = next(self.serial)
        self.serial = count(serial)
        return serial

    def have_connections(self, connections: int) -> None:
        """As many as that, this one included; the others do nothing."""
        self.peer.keep_connections(connections - 1)

    def store_many(self, tensors: int, size_bytes: int, patience_s: float) -> None:
        """hold/0, hold/1, ...: exactly as many, of this size. Raises Unsupported if it takes too long."""
        if size_bytes != self.many_bytes or tensors < self.many:
            self.delete_many()
        source = pattern(size_bytes)
        self.many_bytes = size_bytes
        end = time.monotonic() + patience_s
        while self.many < tensors:
            if time.monotonic() > end:
                raise Unsupported(f"only {self.many:,} were stored in {patience_s:.0f} s")
            self.peer.put(f"hold/{self.many}", source)
            self.many += 1

    def offer_all(self, names: list[str], size_bytes: int) -> None:
        source = pattern(size_bytes)
        for name in names:
            self.peer.offer(name, source, 1)

    def delete_many(self) -> None:
        """As many as it can within its patience; what is left goes with the peer's service, or is found."""
        end = time.monotonic() + PATIENCE_S
        while self.many and time.monotonic() < end:
            self.many -= 1
            # Some peers delete what they fail to attach to; that was reported as the failure it is.
            with suppress(OSError, KeyError):
                self.peer.delete(f"hold/{self.many}")


class Consumer(Worker):
    def __init__(self, peer: Peer, place: Path) -> None:
        super().__init__(peer, place)
        peer.pipe = Client(str(place / "pipe"), "AF_UNIX")
        self.held: list[Any] = []

    def prepare(self, name: str, size_bytes: int) -> None:
        self.peer.prepare(name, size_bytes // 4)

    def check(self, name: str, size_bytes: int) -> None:
        """Raises unless the bytes are those that were put."""
        array, handle = self.peer.attach(name, size_bytes // 4)
        right = array.nbytes == size_bytes and zlib.crc32(array.data) == zlib.crc32(pattern(size_bytes).data)
        del array
        self.peer.release(handle)
        if not right:
            raise ValueError(f"{name} does not hold what was put")

    def attach(self, name: str, size_bytes: int, operations: int) -> list[float]:
        return self.time_attach(self.peer.attach, name, size_bytes, operations)

    def attach_torch(self, name: str, size_bytes: int, operations: int) -> list[float]:
        try:
            import torch  # noqa: F401
        except ImportError:
            raise Unsupported("no PyTorch in its environment: torch.from_numpy would add its own time") from None
        return self.time_attach(self.peer.attach_torch, name, size_bytes, operations)

    def time_attach(self, attach: Any, name: str, size_bytes: int, operations: int) -> list[float]:
        """Mean ns of from a name to an array and back."""
        release, length = self.peer.release, size_bytes // 4
        took_ns = 0
        with no_collections():
            for times in (self.peer.untimed_attaches, operations):
                begin = now_ns()
                for _ in repeat(None, times):
                    array, handle = attach(name, length)
                    del array
                    release(handle)
                took_ns = now_ns() - begin
        return [took_ns / operations]

    def attach_all(self, names: list[str], size_bytes: int) -> list[float]:
        """Mean ns of from one of these names to an array and back, after each was attached to once."""
        attach, release, length = self.peer.attach, self.peer.release, size_bytes // 4
        few = -(-100 // len(names))  # times, so that the clock is read once for many attaches
        took_ns = 0
        with no_collections():
            for times in (1, few):
                in_turn = names * times
                begin = now_ns()
                for name in in_turn:
                    array, handle = attach(name, length)
                    del array
                    release(handle)
                took_ns = now_ns() - begin
        return [took_ns / (few * len(names))]

    def connect_and_attach(self, name: str, size_bytes: int) -> float:
        begin = now_ns()
        self.peer.connect()
        array, handle = self.peer.attach(name, size_bytes // 4)
        took_ns = now_ns() - begin
        del array
        self.peer.release(handle)
        return took_ns

    def touch(self, name: str, size_bytes: int) -> float:
        """ns from a name until every page was read, in a process that never did that before."""
        begin = now_ns()
        array, handle = self.peer.attach(name, size_bytes // 4)
        array[:: mmap.PAGESIZE // 4].sum()
        took_ns = now_ns() - begin
        del array
        self.peer.release(handle)
        return took_ns

    def start_over(self) -> None:
        self.turns.start_over()

    def take(self, serial: int, size_bytes: int, operations: int, soon: bool) -> None:
        private = np.zeros(size_bytes // 4, np.float32)
        take, length = self.peer.take, size_bytes // 4
        with no_collections():
            self.turns.done(now_ns())
            for turn in range(1, operations + 1):
                name = f"handoff/{serial + turn - 1}"
                self.turns.wait_for_go(turn)
                array, handle = take(name, length, soon)
                np.copyto(private, array)
                read_at_ns = now_ns()
                del array
                self.peer.release(handle)
                if not private[0] == private[-1] == turn:
                    raise ValueError(f"hand-off {turn} brought other bytes")
                self.turns.done(read_at_ns)

    def hold(self, tensors: int, size_bytes: int) -> dict[str, int]:
        """How many descriptors and maps this process has, before and while it holds that many arrays."""
        before = resources()
        try:
            for i in range(tensors):
                self.held.append(self.peer.attach(f"hold/{i}", size_bytes // 4))
        except OSError as error:
            raise Unsupported(f"held {len(self.held):,}, then: {error.strerror}") from None
        during = resources()
        return {f"{what}_before": number for what, number in before.items()} | during

    def let_go(self) -> None:
        while self.held:
            array, handle = self.held.pop()
            del array
            self.peer.release(handle)


def resources() -> dict[str, int]:
    return {
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,  # without the one that lists them
        "maps": Path("/proc/self/maps").read_text().count("\n"),
    }


def answer(worker: Worker, method: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    try:
        return "result", getattr(worker, method)(**arguments)
    except Unsupported as reason:
        return "cannot", str(reason)
    except Exception as error:
        traceback.print_exc()
        first_line = str(error).strip().partition("\n")[0]
        return "failed", f"{type(error).__name__}: {first_line}"[:300]


def work(role: str, key: str, place: Path, prefix: str, commands: Connection) -> None:
    """What a producer or consumer process does until its host has had enough of it."""
    programs.die_with_parent()
    warnings.filterwarnings("ignore", message=".*not writable.*")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    peer = catalogue.peer_class(key)(place, prefix)
    worker = Producer(peer, place) if role == "producer" else Consumer(peer, place)
    commands.send(("result", peer.version()))
    with suppress(EOFError):
        while True:
            method, arguments = commands.recv()
            commands.send(answer(worker, method, arguments))
