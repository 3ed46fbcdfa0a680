"""docs/copies.md, read: the examples that it shows and the claims that it makes about them.

A section (``## ``) shows the side that all of its examples have in common; an example (``### ``) shows
the other side, and begins with its claim in bold. The first line of a block says which side it is:
``# producer`` or ``// consumer``.
"""

import itertools
import re
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).resolve().parents[2] / "docs" / "copies.md"

LANGUAGES = ("python", "cpp")
ROLES = ("producer", "consumer")


class Block(NamedTuple):
    line: int  #: of its first line of code, in the page
    code: str


class Example(NamedTuple):
    title: str
    claim: str  #: the words in bold
    subject: str  #: the role that the example is about; the section shows the other
    blocks: dict[tuple[str, str], Block]  #: by role and language


Row = tuple[str, ...]


def _blocks(lines: list[str], start: int, end: int) -> dict[tuple[str, str], Block]:
    """The blocks between two lines of the page that say whose they are."""
    found = {}
    at = start
    while at < end:
        fence = re.fullmatch(r"```(python|cpp)", lines[at])
        at += 1
        if not fence:
            continue
        begin = at
        while lines[at] != "```":
            at += 1
        role = re.fullmatch(r"(?:#|//) (producer|consumer)", lines[begin])
        if role:
            key = (role[1], fence[1])
            if key in found:
                raise ValueError(f"{PATH.name}:{begin + 1}: a second block of the {role[1]} in {fence[1]}")
            found[key] = Block(begin + 1, "\n".join(lines[begin:at]) + "\n")
        at += 1
    return found


def _headings(lines: list[str]) -> list[tuple[int, int, str]]:
    """(line, level, text) of each heading, and the end of the page as one more."""
    found = [(at, len(h[1]), h[2]) for at, line in enumerate(lines) if (h := re.fullmatch(r"(#{2,3}) (.*)", line))]
    return [*found, (len(lines), 0, "")]


def examples() -> list[Example]:
    lines = PATH.read_text().splitlines()
    headings = _headings(lines)
    common: dict[tuple[str, str], Block] = {}
    found = []
    for (at, level, title), (end, _, _) in itertools.pairwise(headings):
        own = _blocks(lines, at, end)
        if level == 2:
            common = own
            continue
        claim = next((c[1] for line in lines[at:end] if (c := re.match(r"\*\*(.+?)\*\*", line))), "")
        (subject,) = set(ROLES) - {role for role, _ in common}
        example = Example(title.replace("`", ""), claim, subject, common | own)
        missing = {(role, language) for role in ROLES for language in LANGUAGES} - example.blocks.keys()
        if missing or not claim:
            raise ValueError(f"{PATH.name}:{at + 1}: this example lacks {sorted(missing) or 'its claim in bold'}")
        found.append(example)
    return found


def table(first_heading: str) -> list[Row]:
    """The rows of the table whose first column is headed so, without the marks of code."""
    lines = PATH.read_text().splitlines()
    rows = []
    for line in lines[next(at for at, line in enumerate(lines) if line.startswith(f"| {first_heading} |")) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().strip("`") for cell in line.strip("|").split(" | ")))
    return rows
