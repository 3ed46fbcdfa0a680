"""The figures to reach, row by row, each with the comparison that it is read from.

A figure that is not reached fails nothing: a busy machine is no defect. One whose comparison is missing says so.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from machine import human_ratio, human_time
from peers.catalogue import ENTRIES
from summary import fastest_floor

Json = dict[str, Any]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
US, MS = 1e3, 1e6  # in ns


class Missing(Exception):
    """The run has no such comparison, or nobody answered it. The text says which."""


@dataclass(frozen=True)
class Measured:
    value: float
    text: str
    reached: bool


@dataclass(frozen=True)
class Reading:
    """How a figure is read from the results of a run."""

    question: str
    read: Callable[[Json], Measured]


@dataclass(frozen=True)
class Figure:
    title: str
    goal: str
    reading: Reading


# ---- finding comparisons in the results of a run -------------------------------------------------


def ours(results: Json, question: str, parameters: Json, kind: str = "ways") -> Json:
    for comparison in results["comparisons"]:
        same = comparison["question"] == question and kind in comparison
        if same and all(comparison["parameters"].get(key) == value for key, value in parameters.items()):
            found: Json = comparison
            return found
    raise Missing(f"not measured: {question} {parameters or ''}".strip())


def peer_ways(results: Json, method: str, **parameters: object) -> dict[str, Json]:
    """Of the peers that answered, by their key."""
    for comparison in results["peer_comparisons"]:
        if comparison["method"] == method and comparison["parameters"] == parameters:
            ways = {way["peer"]: way for way in comparison["ways"] if "ns" in way}
            if "tensord" in ways:
                return ways
    raise Missing(f"not measured: {method} {parameters}")


# ---- kinds of figures ------------------------------------------------------------------------------


def within_floor(question: str, at_most: float, **parameters: object) -> Reading:
    """Ours takes at most so many times the fastest floor."""

    def measure(results: Json) -> Measured:
        comparison = ours(results, question, parameters)
        floor = fastest_floor(comparison)
        ratio = floor["ours_to_this"]
        mine = comparison["ways"][0]["ns"]["median"]
        text = f"{human_ratio(ratio)} × ({human_time(mine)}; {floor['way']}: {human_time(floor['ns']['median'])})"
        return Measured(ratio, text, ratio <= at_most)

    return Reading(question, measure)


def beyond_floor(question: str, at_most_ns: float, **parameters: object) -> Reading:
    """Ours takes at most so much longer than the fastest floor, in the same round."""

    def measure(results: Json) -> Measured:
        comparison = ours(results, question, parameters)
        floor, mine = fastest_floor(comparison), comparison["ways"][0]
        more_ns = statistics.median(a - b for a, b in zip(mine["samples_ns"], floor["samples_ns"], strict=True))
        times = f"{human_time(mine['ns']['median'])}; {floor['way']}: {human_time(floor['ns']['median'])}"
        return Measured(more_ns, f"{human_time(more_ns)} more ({times})", more_ns <= at_most_ns)

    return Reading(question, measure)


def time(question: str, at_most_ns: float, way: str | None = None, **parameters: object) -> Reading:
    """Ours (the first way, or the one of that name) takes at most so long."""

    def measure(results: Json) -> Measured:
        ways = ours(results, question, parameters)["ways"]
        ns = next(each for each in ways if way in (None, each["way"]))["ns"]
        return Measured(ns["median"], human_time(ns["median"]), ns["median"] <= at_most_ns)

    return Reading(question, measure)


def ratio_to(question: str, at_most: float, mine: str, its: str, **parameters: object) -> Reading:
    """One way of a comparison takes at most so many times another."""

    def measure(results: Json) -> Measured:
        ways = {way["way"]: way for way in ours(results, question, parameters)["ways"]}
        ratio = statistics.median(a / b for a, b in zip(ways[mine]["samples_ns"], ways[its]["samples_ns"], strict=True))
        times = f"{human_time(ways[mine]['ns']['median'])}; {its}: {human_time(ways[its]['ns']['median'])}"
        return Measured(ratio, f"{human_ratio(ratio)} × ({times})", ratio <= at_most)

    return Reading(question, measure)


def counted(question: str, count: str, at_most: int, **parameters: object) -> Reading:
    def measure(results: Json) -> Measured:
        value = ours(results, question, parameters, "counts")["counts"][count]
        return Measured(value, f"{value:,}", value <= at_most)

    return Reading(question, measure)


def python_time(method: str, at_most_ns: float, **parameters: object) -> Reading:
    """Of ours, as measured beside the peers."""

    def measure(results: Json) -> Measured:
        median = peer_ways(results, method, **parameters)["tensord"]["ns"]["median"]
        return Measured(median, human_time(median), median <= at_most_ns)

    return Reading(f"peers: {method}", measure)


def ahead(peers: Sequence[str], at_least: float, method: str, **parameters: object) -> Reading:
    """Each of these peers takes at least so many times as long as ours; the text is about the quickest of them."""

    def measure(results: Json) -> Measured:
        ways = peer_ways(results, method, **parameters)
        answered = {key: ways[key] for key in peers if key in ways}
        if not answered:
            raise Missing(f"none of these peers answered: {', '.join(peers)}")
        key = min(answered, key=lambda each: float(answered[each]["this_to_ours"]))
        ratio = answered[key]["this_to_ours"]
        title = results["peers"][key]["title"]
        times = f"{human_time(ways['tensord']['ns']['median'])}; {title}: {human_time(answered[key]['ns']['median'])}"
        return Measured(ratio, f"{human_ratio(ratio)} × ({times})", ratio >= at_least)

    return Reading(f"peers: {method}", measure)


# ---- the rows --------------------------------------------------------------------------------------

NAMELESS = ("iceoryx2", "iceoryx2-payload")
BY_NAME = tuple(key for key, entry in ENTRIES.items() if entry.role == "peer" and key not in NAMELESS)
BEST_COPY = 1 / 0.95

ROWS: dict[str, Sequence[Figure]] = {
    "attach + detach by name, C++": [
        *(
            Figure(
                f"{tensors:,} tensor{'s' if tensors > 1 else ''}, {how}",
                "≤ 2 × the floor",
                within_floor(question, 2, **{"tensors": tensors, "in use": tensors}),
            )
            for tensors in (1, 65_536, 1_000_000)
            for question, how in (("attach", "one by one"), ("attach, names known ahead", "names known ahead"))
        ),
        Figure("system calls", "0", counted("attach", "system calls", 0)),
    ],
    "attach → ndarray → drop, Python": [
        *(
            figure
            for size, size_bytes in (("4 KiB", 4 * KIB), ("64 MiB", 64 * MIB))
            for figure in (
                Figure(
                    f"{size}, every peer by name", "≥ 10 × faster", ahead(BY_NAME, 10, "attach", size_bytes=size_bytes)
                ),
                Figure(f"{size}, iceoryx2", "≥ 3 × faster", ahead(["iceoryx2"], 3, "attach", size_bytes=size_bytes)),
                Figure(
                    f"{size}, iceoryx2, payload()",
                    "≥ 3 × faster",
                    ahead(["iceoryx2-payload"], 3, "attach", size_bytes=size_bytes),
                ),
                Figure(
                    f"{size}, np.frombuffer",
                    "≤ 3 × the floor",
                    within_floor("python attach", 3, bytes=size_bytes),
                ),
            )
        ),
    ],
    "attach → torch → drop": [
        Figure("live, r+", "≤ 3 × torch.from_numpy", within_floor("python attach, torch, live", 3)),
        Figure("sealed, one page", "≤ 8 us", time("python attach, torch, sealed", 8 * US)),
    ],
    "put 4 KiB under a new name": [
        Figure("tight loop, C++", "≤ 5 us", time("put 4 KiB under a new name, in a row", 5 * US)),
        Figure("tight loop, Python", "≤ 5 us", python_time("put", 5 * US, size_bytes=4 * KIB)),
        Figure("tight loop, every peer by name", "faster", ahead(BY_NAME, 1, "put", size_bytes=4 * KIB)),
        Figure(
            "to an idle daemon, C++",
            "≤ one wake-up + 10 us",
            beyond_floor("put 4 KiB under a new name, after a pause", 10 * US),
        ),
    ],
    "put_many, 1,000 × 4 KiB": [Figure("each tensor, C++", "≤ 1.5 us", time("put_many of 4 KiB", 1.5 * US))],
    "put into recycled space": [
        *(
            Figure(size, "≥ 95 % of the best copy", within_floor("put", BEST_COPY, bytes=size_bytes))
            for size, size_bytes in (("1 MiB", MIB), ("64 MiB", 64 * MIB), ("1 GiB", GIB))
        ),
        Figure("64 MiB, iceoryx2", "≥ 1.5 × faster", ahead(["iceoryx2"], 1.5, "put", size_bytes=64 * MIB)),
    ],
    "put into fresh space": [
        Figure(size, "≥ 95 % of the best copy", within_floor("put into fresh space", BEST_COPY, bytes=size_bytes))
        for size, size_bytes in (("1 MiB", MIB), ("64 MiB", 64 * MIB), ("1 GiB", GIB))
    ],
    "build in place and fill 64 MiB": [
        Figure("a private warm array", "≤ 1.05 ×", within_floor("build in place", 1.05)),
    ],
    "clone 64 MiB": [Figure("np.copy", "≤ 1.0 ×", within_floor("python clone", 1.0))],
    "delete + reuse 64 MiB": [
        Figure("the same with 4 KiB", "≤ 1.25 ×: O(1)", within_floor("delete and reuse", 1.25)),
        Figure(
            "page faults of the event loop in 1,000 times",
            "0",
            counted("delete and reuse", "page faults of the event loop", 0),
        ),
    ],
    "hand-off of 1 MiB, wake-up included": [
        Figure(
            f"reader {how}, iceoryx2",
            "faster",
            ahead(["iceoryx2"], 1, "handoff", size_bytes=MIB, pause_s=pause_s),
        )
        for how, pause_s in (("asleep", 0.002), ("inside the spin window", 0))
    ]
    + [
        Figure("wake-up alone, asleep", "≤ 1.2 × a futex", within_floor("wake-up alone, reader asleep", 1.2)),
        Figure(
            "wake-up alone, inside the spin window",
            "≤ 2 × an atomic word",
            within_floor("wake-up alone, reader spins", 2),
        ),
    ],
    "first touch of 64 MiB by a second process": [
        Figure(
            "populated on attach",
            "≤ half of a peer's",
            ratio_to("python first touch", 0.5, "tensord: attach(populate=True), touch", "SharedMemory(name), touch"),
        )
    ],
    "100,000 tensors held at once": [
        Figure("descriptors beyond one a segment", "≤ 8", counted("hold", "descriptors beyond one a segment", 8)),
        Figure("maps beyond one a segment", "≤ 16", counted("hold", "maps beyond one a segment", 16)),
        Figure("bytes a view, C++", "≤ 64", counted("hold", "bytes a view", 64)),
    ],
    "connect → first attach": [
        Figure("the same system calls", "≤ 1.2 ×", within_floor("connect and attach", 1.2)),
    ],
    "reclaim after SIGKILL, 10,000 pins": [
        Figure("after the kernel's hang-up", "≤ 5 ms more", beyond_floor("reclaim after SIGKILL", 5 * MS)),
    ],
}


def evaluate(results: Json) -> Iterator[Json]:
    for row, figures in ROWS.items():
        for figure in figures:
            said = {"row": row, "figure": figure.title, "goal": figure.goal, "read_from": figure.reading.question}
            try:
                measured = figure.reading.read(results)
            except Missing as reason:
                yield {**said, "missing": str(reason)}
            except Exception as error:  # a comparison without what it should have costs this figure, not the run
                yield {**said, "missing": f"cannot be read: {type(error).__name__}: {error}"}
            else:
                yield {**said, "measured": measured.value, "text": measured.text, "reached": measured.reached}
