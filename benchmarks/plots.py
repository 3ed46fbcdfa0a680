"""How growth behaves, drawn: a picture for each curve, tensord beside its floor and its peers, on log axes.

    plots.py RESULTS FOLDER

Runs in an environment of its own (requirements/plots.txt). Lines are labelled where they end. Colours are
families: what works alike looks alike; ours are bold.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from summary import fastest_floor

Json = dict[str, Any]
Points = list[tuple[float, float]]

KIB, MIB = 1 << 10, 1 << 20

OURS, OURS_IN_PYTHON, FLOOR = "#0b4f9e", "#3f8fe0", "#000000"
FILES, TORCH, DAEMONS, SAMPLES, OTHERS = "#c07000", "#8a4fa8", "#3d8a4e", "#c23b3b", "#707070"
FAMILIES = {
    "shared-": FILES,
    "torch-": TORCH,
    "ray": DAEMONS,
    "plasma": DAEMONS,
    "vineyard": DAEMONS,
    "iceoryx2": SAMPLES,
}
DASHES = ["-", "--", "-.", ":"]


@dataclass
class Line:
    label: str
    points: Points
    color: str
    width: float = 1.2
    dashes: str = "-"


# ---- what is in the results ------------------------------------------------------------------------


def ours_of(results: Json, question: str, x: str, way: str | None = None, **fixed: int) -> Points:
    """The medians of our way (the first, or the one of that name) in a program's comparisons."""
    points = []
    for comparison in results["comparisons"]:
        parameters = comparison["parameters"]
        if comparison["question"] == question and "ways" in comparison and x in parameters:
            named = next((each for each in comparison["ways"] if way in (None, each["way"])), None)
            if named and all(parameters.get(key) == value for key, value in fixed.items()):
                points.append((parameters[x], named["ns"]["median"]))
    return sorted(points)


def floor_of(results: Json, question: str, x: str) -> Points:
    return sorted(
        (comparison["parameters"][x], fastest_floor(comparison)["ns"]["median"])
        for comparison in results["comparisons"]
        if comparison["question"] == question and "ways" in comparison and x in comparison["parameters"]
    )


def peer_lines(results: Json, wanted: Callable[[Json], bool], x: str) -> list[Line]:
    found: dict[str, Points] = {}
    for comparison in results["peer_comparisons"]:
        if wanted(comparison):
            for way in comparison["ways"]:
                if "ns" in way:
                    found.setdefault(way["peer"], []).append((comparison["parameters"][x], way["ns"]["median"]))
    lines: list[Line] = []
    for key, points in found.items():
        if key.startswith("tensord") or key == "floor":
            continue
        color = next((color for prefix, color in FAMILIES.items() if key.startswith(prefix)), OTHERS)
        dashes = DASHES[sum(line.color == color for line in lines)]
        lines.append(Line(results["peers"][key]["title"], sorted(set(points)), color, dashes=dashes))
    if "tensord" in found:
        lines.append(Line("tensord, Python", sorted(set(found["tensord"])), OURS_IN_PYTHON, 2.6))
    return lines


# ---- drawing ---------------------------------------------------------------------------------------


def human_ns(ns: float, _: Any = None) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:g} {unit}"
    return f"{ns:g} ns"


def human_bytes(size: float, _: Any = None) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            return f"{size / (1 << shift):g} {unit}"
    return f"{size:g} B"


def place_labels(axes: Axes, lines: Iterable[Line], least: float = 0.043) -> None:
    """At the right edge, as near to the end of each line as their neighbours leave room for."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    left, right = (math.log(limit) for limit in axes.get_xlim())
    ends = [((math.log(line.points[-1][1]) - low) / (high - low), line) for line in lines]
    wanted = sorted(ends, key=lambda each: each[0])
    places = [place for place, _ in wanted]
    for _ in range(500):  # push apart what is too near, and back what is pushed out
        for i in range(len(places) - 1):
            lacking = max(0.0, least - (places[i + 1] - places[i]))
            places[i] -= lacking / 2
            places[i + 1] += lacking / 2
        places[0], places[-1] = max(places[0], 0.0), min(places[-1], 1.0)
    for place, (end, line) in zip(places, wanted, strict=True):
        end_x = (math.log(line.points[-1][0]) - left) / (right - left)
        axes.annotate(
            line.label,
            xy=(end_x, end),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=line.color,
            fontsize=9,
            fontweight="bold" if line.width > 2 else "normal",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": line.color,
                "lw": 0.5,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 1,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def draw(
    path: Path,
    title: str,
    x_title: str,
    lines: list[Line],
    human_x: Callable[..., str] = lambda x, _=None: f"{x:,.0f}",
    human_y: Callable[..., str] = human_ns,
    base_x: float = 10,
    every_x: float | None = None,
) -> None:
    lines = [line for line in lines if len(line.points) > 1]
    if not lines:
        print(f"plots: nothing to draw for {path.name}", file=sys.stderr)
        return
    figure, axes = plt.subplots(figsize=(10, 6), dpi=110)
    axes.set_xscale("log", base=base_x)
    axes.set_yscale("log")
    for line in lines:
        xs, ys = zip(*line.points, strict=True)
        order = 3 if line.width > 2 else 2
        axes.plot(
            xs, ys, line.dashes, color=line.color, lw=line.width, marker="o", ms=2.5 + line.width / 2, zorder=order
        )
    if every_x:
        axes.xaxis.set_major_locator(LogLocator(base=every_x, numticks=30))
    axes.xaxis.set_major_formatter(FuncFormatter(human_x))
    axes.yaxis.set_major_formatter(FuncFormatter(human_y))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel(x_title)
    place_labels(axes, lines)
    figure.subplots_adjust(left=0.08, right=0.76, top=0.93, bottom=0.09)
    figure.savefig(path)
    plt.close(figure)


# ---- the pictures ---------------------------------------------------------------------------------


def draw_attach(results: Json, folder: Path) -> None:
    all_in_use = [
        comparison
        for comparison in results["comparisons"]
        if comparison["question"] == "attach" and "ways" in comparison
        if comparison["parameters"]["tensors"] == comparison["parameters"]["in use"]
    ]
    ours = [(each["parameters"]["tensors"], each["ways"][0]["ns"]["median"]) for each in all_in_use]
    floor = [(each["parameters"]["tensors"], fastest_floor(each)["ns"]["median"]) for each in all_in_use]
    draw(
        folder / "attach-by-tensors.png",
        "Attach by name and drop: time, by number of tensors in the store",
        "tensors in the store (C++: all in use, in random order; Python: 1,000 of them at most)",
        [
            *peer_lines(results, lambda each: each["method"] == "attach_among", "tensors"),
            Line("tensord, C++", sorted(ours), OURS, 3),
            Line("floor: 2 fetch_add, same misses", sorted(floor), FLOOR, 1.5, "--"),
        ],
    )


def bandwidth(points: Points) -> Points:
    return [(size, size / ns) for size, ns in points]  # bytes a ns are GB a s


def draw_put(results: Json, folder: Path) -> None:
    lines = [
        *peer_lines(
            results, lambda each: each["method"] == "put" and "pause_s" not in each["parameters"], "size_bytes"
        ),
        Line("tensord, C++", ours_of(results, "put", "bytes"), OURS, 3),
        Line("floor: the fastest copy", floor_of(results, "put", "bytes"), FLOOR, 1.5, "--"),
    ]
    for line in lines:
        line.points = bandwidth(line.points)
    draw(
        folder / "put-by-size.png",
        "Put of a new tensor: bandwidth, by size",
        "size of the tensor",
        lines,
        human_bytes,
        lambda y, _=None: f"{y:g} GB/s" if y >= 1 else f"{y * 1000:g} MB/s",
        base_x=2,
        every_x=16,
    )


def draw_handoff(results: Json, folder: Path) -> None:
    draw(
        folder / "handoff-by-size.png",
        "Hand-off to a process that sleeps, until it has read all: time, by size",
        "size of the tensor",
        [
            *peer_lines(
                results,
                lambda each: each["method"] == "handoff" and each["parameters"]["pause_s"] > 0,
                "size_bytes",
            ),
            Line("tensord, C++", ours_of(results, "hand-off, reader asleep", "bytes"), OURS, 3),
            Line("floor: copy, futex, copy", floor_of(results, "hand-off, reader asleep", "bytes"), FLOOR, 1.5, "--"),
        ],
        human_bytes,
        base_x=2,
        every_x=16,
    )


def draw_connections(results: Json, folder: Path) -> None:
    question = "with many connections"
    draw(
        folder / "time-by-connections.png",
        "Beside idle connections: time of a request, by their number",
        "connections open; each has attached a tensor of the same segment",
        [
            *peer_lines(results, lambda each: each["method"] == "put_beside", "connections"),
            Line("tensord, C++: put", ours_of(results, question, "connections", "tensord: put 4 KiB"), OURS, 3),
            Line("tensord, C++: delete", ours_of(results, question, "connections", "tensord: delete"), OURS, 3, "--"),
            Line(
                "tensord, C++: attach",
                ours_of(results, question, "connections", "tensord: attach, detach"),
                OURS,
                3,
                ":",
            ),
        ],
    )


def main() -> None:
    results, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    for draw_one in (draw_attach, draw_put, draw_handoff, draw_connections):
        draw_one(results, folder)


if __name__ == "__main__":
    main()
