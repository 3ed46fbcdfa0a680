"""What becomes of the samples of a comparison: medians, spreads, and ratios within a round."""

import statistics
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def spread(samples: Sequence[float]) -> Json:
    """Median, 5th and 95th percentile."""
    twentieths = statistics.quantiles(samples, n=20, method="inclusive") if len(samples) > 1 else list(samples) * 19
    return {"median": statistics.median(samples), "p5": twentieths[0], "p95": twentieths[-1]}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours divided by theirs in the same round."""
    return statistics.median(mine / its for mine, its in zip(ours, theirs, strict=True))


def summarise(comparison: Json) -> Json:
    """Adds to each way of a program's comparison what its samples amount to, and the ratio of ours (the first
    way) to it. What is counted, not timed, stays as it is."""
    ways = comparison.get("ways", [])
    for way in ways:
        way["samples_ns"] = way.pop("ns")
    for way in ways:
        way["ns"] = spread(way["samples_ns"])
        way["ours_to_this"] = ratio(ways[0]["samples_ns"], way["samples_ns"])
    return comparison


def fastest_floor(comparison: Json) -> Json:
    """The floor of a comparison that has several: the one with the least median."""
    floors = [way for way in comparison["ways"] if way["role"] == "floor"]
    return min(floors, key=lambda way: float(way["ns"]["median"]))
