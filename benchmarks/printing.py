"""What a run says while it goes on."""

from itertools import groupby
from typing import Any

from machine import human_ratio, human_time

Json = dict[str, Any]


def human_bytes(value: int) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if value >= 1 << shift:
            return f"{value >> shift} {unit}"
    return f"{value} bytes"


def human_parameter(name: str, value: int) -> str:
    if name == "bytes":
        return human_bytes(value)
    return f"{value:,} {name.removesuffix('s') if value == 1 else name}"


def title(comparison: Json) -> str:
    parameters = (human_parameter(*item) for item in comparison["parameters"].items())
    return ", ".join([comparison["question"], *parameters])


def human_spread(ns: Json) -> str:
    return f"{human_time(ns['p5'])} - {human_time(ns['p95'])}"


def relation(way: Json, this: str) -> tuple[str, str]:
    """What is divided by what, `this` standing for the way, and the ratio; empty where none is of interest."""
    if way["role"] == "floor":
        return f"ours / {this}", human_ratio(way["ours_to_this"])
    if way["role"] == "peer":
        return f"{this} / ours", human_ratio(1 / way["ours_to_this"])
    return "", ""


def print_comparison(comparison: Json) -> None:
    print(f"\n{title(comparison)}")
    for name, count in comparison.get("counts", {}).items():
        print(f"  {name:<36} {count:>12,}")
    for way in comparison.get("ways", []):
        time = f"{human_time(way['ns']['median']):>9}   {human_spread(way['ns']):<20}"
        words, ratio = relation(way, way["role"])
        print(f"  {way['role']:<5}  {way['way']:<42} {time} {words:<13}{ratio:>8}".rstrip(), flush=True)


def print_peer_comparison(comparison: Json, peers: Json) -> None:
    print(f"\n{comparison['question']}")
    for way in comparison["ways"]:
        line = f"  {way['role']:<5}  {peers[way['peer']]['title']:<24} "
        if "held" in way:
            line += f"{way['held']['descriptors']:>6} descriptors, {way['held']['maps']:>6} maps"
        elif "ns" in way:
            line += f"{human_time(way['ns']['median']):>9}   {human_spread(way['ns']):<20}"
            line += f" this / ours {human_ratio(way['this_to_ours']):>8}" if "this_to_ours" in way else ""
        else:
            kind = "cannot" if "cannot" in way else "failed"
            line += f"{kind}: {way[kind]}"
        print(line.rstrip(), flush=True)


def print_figures(results: Json) -> None:
    print("\nFigures to reach")
    for row, figures in groupby(results["figures"], key=lambda figure: figure["row"]):
        print(f"  {row}")
        for figure in figures:
            word = "?" if "missing" in figure else "yes" if figure["reached"] else "NO"
            said = figure.get("text") or figure["missing"]
            print(f"    {word:<4} {figure['figure']:<40} {figure['goal']:<26} {said}")
    for failure in results["failures"]:
        print(f"FAILED: {failure['question']}: {failure['reason']}")
