"""Asks all peers in turns, and makes comparisons of what they answer.

Every round asks all peers once, in an order drawn anew; a ratio is the median over the rounds of theirs divided
by ours in the same round. What fails, or cannot be done, is an answer too, and the others go on.
"""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environments
from typing_extensions import Self

from peers.questions import METHODS, MIB, Question
from peers.running import NoAnswer, Running, kill_descendants

Json = dict[str, Any]


class Asked:
    """One peer's answers to one question."""

    def __init__(self, peer: Running) -> None:
        self.peer = peer
        self.operations = 1
        self.rounds: list[Json] = []  # figure -> samples
        self.no_answer: NoAnswer | None = None

    def ask(self, question: Question, operations: int) -> Json | None:
        """The samples of one round, by figure; None once there was no answer."""
        if self.no_answer:
            return None
        arguments = dict(question.arguments)
        if question.counts_operations:
            arguments["operations"] = operations
        try:
            value = self.peer.ask(question.method, **arguments)
        except NoAnswer as reason:
            self.no_answer = reason
            return None
        return value if isinstance(value, dict) else {"": value}

    def warm_up(self, question: Question) -> None:
        operations, calls = question.warm_up
        for _ in range(calls):
            samples = self.ask(question, operations)
            if samples and question.counts_operations:
                mean_ns = statistics.mean(samples[""])
                self.operations = int(min(max(question.round_s * 1e9 / mean_ns, 1), question.most_operations))
        if question.counts_operations:
            self.ask(question, self.operations)


def ask_all(question: Question, running: dict[str, Running]) -> dict[str, Asked]:
    asked = {key: Asked(peer) for key, peer in running.items()}
    for each in asked.values():
        each.warm_up(question)
    order = list(asked.values())
    shuffle = random.Random(1).shuffle
    for _ in range(question.rounds):
        shuffle(order)
        for each in order:
            samples = each.ask(question, each.operations)
            if samples is not None:
                each.rounds.append(samples)
    return asked


def ask_alone(question: Question, running: dict[str, Running]) -> dict[str, Asked]:
    """One peer after the other, each in processes that end with it: what all at once would have no memory for."""
    asked = {}
    for key, peer in running.items():
        peer.end()
        each = asked[key] = Asked(peer)
        each.warm_up(question)
        for _ in range(question.rounds):
            samples = each.ask(question, each.operations)
            if samples is not None:
                each.rounds.append(samples)
        peer.end()
    return asked


def summary(asked: Asked, ours: Asked | None, figure: str) -> Json:
    """Median, p5 and p95 of all samples, and the ratio to ours."""
    samples = [ns for samples in asked.rounds for ns in samples[figure]]
    twentieths = statistics.quantiles(samples, n=20, method="inclusive") if len(samples) > 1 else samples * 19
    result: Json = {
        "ns": {"median": statistics.median(samples), "p5": twentieths[0], "p95": twentieths[-1]},
        "samples_ns": [round(ns, 1) for ns in samples],
    }
    if ours and not ours.no_answer:
        result["this_to_ours"] = statistics.median(
            statistics.median(theirs[figure]) / statistics.median(mine[figure])
            for theirs, mine in zip(asked.rounds, ours.rounds, strict=True)
        )
    return result


def comparisons_of(question: Question, asked: dict[str, Asked]) -> list[Json]:
    ours = next((each for each in asked.values() if each.peer.entry.role == "ours"), None)
    comparisons = []
    for figure, title in question.figures.items() if question.figures else [("", question.title)]:
        ways: list[Json] = []
        for key, each in asked.items():
            way: Json = {"peer": key, "role": each.peer.entry.role}
            if each.no_answer:
                way[each.no_answer.kind] = each.no_answer.reason
            elif question.method == "hold":
                way["held"] = each.rounds[0]
            else:
                way |= summary(each, ours, figure)
            ways.append(way)
        comparisons.append(
            {
                "question": title,
                "method": f"{question.method}.{figure}" if figure else question.method,
                "parameters": question.arguments,
                "growth": question.growth,
                "ways": ways,
            }
        )
    return comparisons


class Peers:
    """All peers that could be started, running side by side, until the block ends.

    `described` says of every peer what it is, or why it is not there.
    """

    def __init__(self, keys: Sequence[str], environments_root: Path, logs: Path) -> None:
        self.running: dict[str, Running] = {}
        self.described: Json = {}
        logs.mkdir(parents=True, exist_ok=True)
        for key in keys:
            self.described[key] = self.start(key, environments_root, logs)
            if "unavailable" in self.described[key]:
                print(f"{key} is left out: {self.described[key]['unavailable']}", flush=True)

    def start(self, key: str, environments_root: Path, logs: Path) -> Json:
        hello: Json = {"title": key}
        try:
            peer = Running(key, environments_root, logs)
            hello = peer.start()
            for size_bytes in (4096, MIB):
                peer.ask("check", size_bytes=size_bytes)
        except environments.Unavailable as reason:
            return {"title": key, "unavailable": str(reason)}
        except NoAnswer as no_answer:
            return {"title": hello["title"], "unavailable": no_answer.reason}
        self.running[key] = peer
        return hello

    def ask(self, question: Question) -> list[Json]:
        able = {
            key: peer
            for key, peer in self.running.items()
            if question.method in (self.described[key]["questions"] or METHODS)
        }
        return comparisons_of(question, ask_alone(question, able) if question.alone else ask_all(question, able))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key, peer in self.running.items():
            peer.end()
            self.described[key]["left_in_dev_shm"] = len(peer.left_behind)
        kill_descendants()
