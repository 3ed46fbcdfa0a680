"""The tables of a run, as Markdown, between two marks in a document."""

from pathlib import Path
from typing import Any

from machine import describe, human_ratio, human_time

Json = dict[str, Any]

BEGIN = "<!-- written by benchmarks/compare.py --into: begin -->"
END = "<!-- written by benchmarks/compare.py --into: end -->"

# Methods of the comparisons (questions.py) that share a table, and what a row's cell says of one.
TABLES = (
    ("Attach", ("attach", "attach_torch", "fresh.first", "fresh.touch")),
    ("Put", ("put",)),
    ("Hand over", ("handoff",)),
    ("Hold", ("hold",)),
)


def cell(way: Json | None, notes: list[str], title: str, question: str) -> str:
    if way is None:
        return ""
    if "ns" in way:
        ns = way["ns"]
        ratio = f"**{human_ratio(way['this_to_ours'])}** × " if "this_to_ours" in way and way["role"] != "ours" else ""
        return f"{ratio}{human_time(ns['median'])} ({human_time(ns['p5'])} - {human_time(ns['p95'])})"
    if "held" in way:
        held = way["held"]
        before = f"{held['descriptors_before']:,} / {held['maps_before']:,}"
        return f"{held['descriptors']:,} / {held['maps']:,} (before: {before})"
    reason = way.get("cannot") or "failed: " + way["failed"]
    note = f"{title}, {question}: {reason}"
    if note not in notes:
        notes.append(note)
    return "–"


def table(comparisons: list[Json], peers: Json, notes: list[str]) -> list[str]:
    titles = [comparison["question"] for comparison in comparisons]
    if comparisons[0]["method"] == "hold":
        titles = [title + ": descriptors / maps of the reader" for title in titles]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for key, peer in peers.items():
        ways = [
            next((way for way in comparison["ways"] if way["peer"] == key), None) for comparison in comparisons
        ]
        if any(ways):
            cells = [
                cell(way, notes, peer["title"], comparison["question"])
                for way, comparison in zip(ways, comparisons, strict=True)
            ]
            lines.append(f"| {peer['title']} | " + " | ".join(cells) + " |")
    return lines


def markdown(results: Json) -> str:
    facts, peers = results["machine"], results["peers"]
    lines = [
        *(f"{line}  " for line in describe(facts)),
        f"Begun {facts['began']}; load at the end: {facts['load_after']:.1f}.",
        "",
        "A cell: the ratio to tensord in the same round, and the time of one operation: median (p5 - p95).",
    ]
    notes: list[str] = []
    for heading, methods in TABLES:
        comparisons = [each for each in results["comparisons"] if each["method"] in methods]
        if comparisons:
            lines += ["", f"**{heading}**", "", *table(comparisons, peers, notes)]
    lines += ["", "What was run:", ""]
    for peer in peers.values():
        if "unavailable" in peer:
            lines.append(f"- {peer['title']} was **left out**: {peer['unavailable']}")
        else:
            left = peer["left_in_dev_shm"]
            litter = f" Left {left:,} entries in /dev/shm after it had ended." if left else ""
            lines.append(f"- {peer['title']} ({peer['version']}): {peer['settings']}.{litter}")
    if notes:
        lines += ["", "–: what could not be measured.", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def replace(document: Path, results: Json) -> None:
    """Puts the tables between the marks, in place of what is there."""
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no line {BEGIN!r} with a {END!r} after it")
    document.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}")
