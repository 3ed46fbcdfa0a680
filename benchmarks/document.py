"""The tables of a run, as Markdown: the figures to reach in docs/benchmarks.md, all in docs/benchmarks-tables.md.

docs/benchmarks.md is prose with one such table between two marks; the other page is nothing but tables.
"""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from machine import describe, human_duration, human_ratio, human_time
from printing import human_spread, relation, title

Json = dict[str, Any]

BEGIN = "<!-- written by benchmarks/run: begin -->"
END = "<!-- written by benchmarks/run: end -->"

# Methods of the peers' comparisons (peers/questions.py) that share a table.
PEER_TABLES = (
    ("Attach", ("attach", "attach_torch", "fresh.first", "fresh.touch")),
    ("Put", ("put",)),
    ("Hand over", ("handoff",)),
    ("Hold", ("hold",)),
)
CURVES = (
    ("Attach, among many", ("attach_among",)),
    ("Put, by size", ("put",)),
    ("Hand over, by size", ("handoff",)),
    ("Put, beside idle connections", ("put_beside",)),
)


def run_of(results: Json) -> list[str]:
    facts = results["machine"]
    took = human_duration(sum(results["seconds"].values()))
    return [
        *(f"{line}  " for line in describe(facts)),
        f"Begun {facts['began']}, took {took}; load at the end: {facts['load_after']:.1f}.",
    ]


# ---- the figures to reach ------------------------------------------------------------------------


def figures_table(results: Json) -> list[str]:
    lines = ["| figure | | to reach | measured | reached |", "|---|---|---|---|---|"]
    for row, figures in groupby(results["figures"], key=lambda figure: figure["row"]):
        for number, figure in enumerate(figures):
            said = figure.get("text") or figure["missing"]
            word = "–" if "missing" in figure else "yes" if figure["reached"] else "**no**"
            lines.append(f"| {row if number == 0 else ''} | {figure['figure']} | {figure['goal']} | {said} | {word} |")
    return lines


def failures(results: Json) -> list[str]:
    return [f"- **{failure['question']} failed**: {failure['reason']}" for failure in results["failures"]]


# ---- ours, and its floors ------------------------------------------------------------------------


def comparison_tables(comparisons: list[Json]) -> list[str]:
    lines = []
    for comparison in comparisons:
        lines += ["", f"**{title(comparison)}**", ""]
        if "counts" in comparison:
            lines += ["| counted | |", "|---|---|"]
            lines += [f"| {name} | {count:,} |" for name, count in comparison["counts"].items()]
            continue
        lines += ["| | | median | p5 - p95 | |", "|---|---|---|---|---|"]
        for way in comparison["ways"]:
            ns = way["ns"]
            times = f"{human_time(ns['median'])} | {human_spread(ns)}"
            words, ratio = relation(way, "this")
            says = f"{words} = **{ratio}**" if words else ""
            lines.append(f"| {way['role']} | {way['way']} | {times} | {says} |")
    return lines


# ---- the peers ------------------------------------------------------------------------------------


def cell(way: Json | None, notes: list[str], name: str, question: str) -> str:
    if way is None:
        return ""
    if "ns" in way:
        ns = way["ns"]
        ratio = f"**{human_ratio(way['this_to_ours'])}** × " if "this_to_ours" in way and way["role"] != "ours" else ""
        return f"{ratio}{human_time(ns['median'])} ({human_spread(ns)})"
    if "held" in way:
        held = way["held"]
        before = f"{held['descriptors_before']:,} / {held['maps_before']:,}"
        return f"{held['descriptors']:,} / {held['maps']:,} (before: {before})"
    reason = way.get("cannot") or "failed: " + way["failed"]
    note = f"{name}, {question}: {reason}"
    if note not in notes:
        notes.append(note)
    return "–"


def peer_table(comparisons: list[Json], peers: Json, notes: list[str]) -> list[str]:
    titles = [comparison["question"] for comparison in comparisons]
    if comparisons[0]["method"] == "hold":
        titles = [each + ": descriptors / maps of the reader" for each in titles]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for key, peer in peers.items():
        ways = [next((way for way in comparison["ways"] if way["peer"] == key), None) for comparison in comparisons]
        if any(ways):
            cells = [
                cell(way, notes, peer["title"], comparison["question"])
                for way, comparison in zip(ways, comparisons, strict=True)
            ]
            lines.append(f"| {peer['title']} | " + " | ".join(cells) + " |")
    return lines


def peer_tables(results: Json, tables: Any, wanted: Callable[[Json], bool], notes: list[str]) -> list[str]:
    lines = []
    for heading, methods in tables:
        comparisons = [each for each in results["peer_comparisons"] if each["method"] in methods and wanted(each)]
        if comparisons:
            lines += ["", f"**{heading}**", "", *peer_table(comparisons, results["peers"], notes)]
    return lines


def what_was_run(peers: Json) -> list[str]:
    lines = ["", "What was run:", ""]
    for peer in peers.values():
        if "unavailable" in peer:
            lines.append(f"- {peer['title']} was **left out**: {peer['unavailable']}")
        else:
            left = peer.get("left_in_dev_shm", 0)
            litter = f" Left {left:,} entries in /dev/shm after it had ended." if left else ""
            lines.append(f"- {peer['title']} ({peer['version']}): {peer['settings']}.{litter}")
    return lines


# ---- pages ----------------------------------------------------------------------------------------


def tables_page(results: Json) -> str:
    notes: list[str] = []
    curves = peer_tables(results, CURVES, lambda each: bool(each["growth"]), notes)
    lines = [
        "# Benchmarks: the tables of a run",
        "",
        "Written by `make bench`; [benchmarks.md](benchmarks.md) says what is measured and how, and what it means.",
        "",
        *run_of(results),
        *failures(results),
        "",
        "## tensord and its floors",
        "",
        "The time of one operation. Ratios are medians of the ratio within a round.",
        *comparison_tables(results["comparisons"]),
        "",
        "## tensord and its peers",
        "",
        "A cell: the ratio to tensord in the same round, and the time of one operation: median (p5 - p95).",
        *peer_tables(results, PEER_TABLES, lambda each: not each["growth"], notes),
        *what_was_run(results["peers"]),
        "",
        "## Growth, beside the peers",
        *curves,
    ]
    if notes:
        lines += ["", "–: what could not be measured.", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def replace_between_marks(document: Path, lines: list[str]) -> None:
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no line {BEGIN!r} with a {END!r} after it")
    document.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def write(results: Json, folder: Path) -> None:
    """The table of figures between the marks of benchmarks.md in that folder, and all of benchmarks-tables.md."""
    replace_between_marks(
        folder / "benchmarks.md", [*run_of(results), "", *figures_table(results), "", *failures(results)]
    )
    (folder / "benchmarks-tables.md").write_text(tables_page(results))
