"""One peer at work: its service, a producer, a consumer. Runs in the peer's environment.

    python -m peers.host KEY PLACE PREFIX

Reads questions from its standard input and answers each on its standard output, both as lines of JSON, until
the input ends. What the peer prints goes to standard error.
"""

import json
import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import catalogue, programs
from peers.peer import PATIENCE_S, Peer
from peers.worker import Turns, work

# How long storing many tensors may take.
LONG_S = 10.0


class Unanswered(Exception):
    """Carries what worker.answer() said instead of a result."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason


class Remote:
    """A producer or consumer process, seen from here."""

    def __init__(self, role: str, key: str, place: Path, prefix: str) -> None:
        self.role = role
        context = multiprocessing.get_context("spawn")
        self.commands, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(role, key, place, prefix, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.version = self.result()

    def begin(self, method: str, **arguments: Any) -> None:
        self.commands.send((method, arguments))

    def result(self) -> Any:
        try:
            if not self.commands.poll(4 * PATIENCE_S):
                raise Unanswered("failed", f"the {self.role} did not answer within {4 * PATIENCE_S:.0f} s")
            kind, value = self.commands.recv()
        except EOFError:
            self.process.join()
            raise Unanswered("failed", f"the {self.role} ended with {self.process.exitcode}") from None
        if kind != "result":
            raise Unanswered(kind, value)
        return value

    def do(self, method: str, **arguments: Any) -> Any:
        self.begin(method, **arguments)
        return self.result()

    def end(self) -> None:
        self.do("close")
        self.commands.close()
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def together(first: Remote, second: Remote) -> Any:
    """Both have begun something; the result of the second. If both fail, the first says why."""
    failures = []
    value = None
    for remote in (first, second):
        try:
            value = remote.result()
        except Unanswered as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return value


class Host:
    def __init__(self, key: str, place: Path, prefix: str) -> None:
        self.key, self.place, self.prefix = key, place, prefix
        self.kind: type[Peer] = catalogue.peer_class(key)
        Turns.make(place)
        self.stop_service = self.kind.serve(place, prefix)
        self.producer = Remote("producer", key, place, prefix)
        self.consumer = self.new_consumer("main")
        for worker in (self.producer, self.consumer):
            worker.do("connect")

    def new_consumer(self, name: str) -> Remote:
        self.producer.begin("accept", consumer=name)
        consumer = Remote("consumer", self.key, self.place, self.prefix)
        self.producer.result()
        return consumer

    def end(self) -> None:
        for worker in (self.consumer, self.producer):
            worker.end()
        self.stop_service()

    def hello(self) -> dict[str, Any]:
        return {
            "title": self.kind.title,
            "settings": self.kind.settings,
            "version": self.producer.version,
            "questions": None if self.kind.questions is None else sorted(self.kind.questions),
        }

    # ---- questions; `operations` is how often, and at least 1 ----

    def offered(self, name: str, size_bytes: int, times: int) -> None:
        """Stored under that name, and there for so many attaches."""
        self.producer.do("store", name=name, size_bytes=size_bytes)
        self.consumer.do("prepare", name=name, size_bytes=size_bytes)
        self.producer.do("offer", name=name, size_bytes=size_bytes, times=times)

    def check(self, size_bytes: int) -> list[float]:
        name = f"attach/{size_bytes}"
        self.offered(name, size_bytes, 1)
        self.consumer.do("check", name=name, size_bytes=size_bytes)
        return []

    def attach(self, size_bytes: int, operations: int) -> Any:
        return self.time_attach("attach", size_bytes, operations)

    def attach_torch(self, size_bytes: int, operations: int) -> Any:
        return self.time_attach("attach_torch", size_bytes, operations)

    def time_attach(self, how: str, size_bytes: int, operations: int) -> Any:
        untimed = self.kind.untimed_attaches
        limit = self.kind.queue_limit(size_bytes // 4)
        if limit is not None:
            operations = min(operations, limit - untimed)
        name = f"attach/{size_bytes}"
        self.offered(name, size_bytes, operations + untimed)
        return self.consumer.do(how, name=name, size_bytes=size_bytes, operations=operations)

    def attach_among(self, tensors: int, size_bytes: int, operations: int) -> Any:
        """Attach to some of that many tensors, drawn at random."""
        if self.kind.queue_limit(size_bytes // 4) is not None:
            raise Unanswered("cannot", "has no names to choose among")
        self.producer.do("store_many", tensors=tensors, size_bytes=size_bytes, patience_s=LONG_S)
        self.consumer.do("prepare", name="hold/", size_bytes=size_bytes)
        names = [f"hold/{i}" for i in random.sample(range(tensors), min(operations, tensors))]
        self.producer.begin("offer_all", names=names, size_bytes=size_bytes)
        self.consumer.begin("attach_all", names=names, size_bytes=size_bytes)
        return together(self.producer, self.consumer)

    def put_beside(self, connections: int, size_bytes: int, operations: int) -> Any:
        """put, while that many connections are open, and idle but for one."""
        self.producer.do("have_connections", connections=connections)
        return self.put(size_bytes, operations)

    def put(self, size_bytes: int, operations: int, pause_s: float = 0) -> Any:
        self.consumer.do("prepare", name="put/", size_bytes=size_bytes)
        return self.producer.do("put", size_bytes=size_bytes, operations=operations, pause_s=pause_s)

    def handoff(self, size_bytes: int, operations: int, pause_s: float = 0) -> Any:
        self.consumer.do("prepare", name="handoff/", size_bytes=size_bytes)
        self.consumer.do("start_over")
        serial = self.producer.do("next_serial")
        arguments = {"size_bytes": size_bytes, "operations": operations}
        self.consumer.begin("take", serial=serial, soon=not pause_s, **arguments)
        self.producer.begin("hand_over", pause_s=pause_s, **arguments)
        return together(self.consumer, self.producer)

    def fresh(self, first_bytes: int, touched_bytes: int) -> dict[str, Any]:
        """Of a consumer that has just been started and imported everything: ns from connecting to the first
        array, and from there to having read every page of a large one."""
        self.producer.do("store", name="first/0", size_bytes=first_bytes)
        self.producer.do("store", name="touch/0", size_bytes=touched_bytes)
        consumer = self.new_consumer("fresh")
        try:
            self.producer.begin("offer", name="first/0", size_bytes=first_bytes, times=1)
            consumer.begin("connect_and_attach", name="first/0", size_bytes=first_bytes)
            first = together(self.producer, consumer)
            consumer.do("prepare", name="touch/0", size_bytes=touched_bytes)
            self.producer.do("offer", name="touch/0", size_bytes=touched_bytes, times=1)
            touched = consumer.do("touch", name="touch/0", size_bytes=touched_bytes)
        finally:
            consumer.end()
            self.producer.do("turn_to", consumer="main")
        return {"first": [first], "touch": [touched]}

    def hold(self, tensors: int, size_bytes: int) -> Any:
        self.producer.do("store_many", tensors=tensors, size_bytes=size_bytes, patience_s=4 * LONG_S)
        self.consumer.do("prepare", name="hold/", size_bytes=size_bytes)
        try:
            names = [f"hold/{i}" for i in range(tensors)]
            self.producer.begin("offer_all", names=names, size_bytes=size_bytes)
            self.consumer.begin("hold", tensors=tensors, size_bytes=size_bytes)
            return together(self.producer, self.consumer)
        finally:
            self.consumer.do("let_go")
            self.producer.do("delete_many")


def answer(ask: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": ask()}
    except Unanswered as failure:
        return {failure.kind: failure.reason}
    except Exception as error:  # of the service, or while a process was started
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def main() -> None:
    programs.die_with_parent()
    key, place, prefix = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    host: Host | None = None

    def start() -> dict[str, Any]:
        nonlocal host
        host = Host(key, Path(place), prefix)
        return host.hello()

    say(answer(start))
    if host is None:
        return
    for line in sys.stdin:
        question, arguments = json.loads(line)
        say(answer(lambda: getattr(host, question)(**arguments)))
    host.end()


if __name__ == "__main__":
    main()
