"""A reading as rows of tables: tensors, who holds their memory, who waits."""

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tensord import Holder
from tensord.top.reading import Reading
from tensord.words import age_text, bytes_text, count_text

__all__ = ["COLUMNS", "Column", "Process", "Row", "matches", "processes", "sorted_rows", "tensor_rows"]

#: The word for a tensor that is deleted or replaced, and for one that is not published yet.
_WITHOUT_NAME = ("dying", "building")


class Row(NamedTuple):
    """A tensor. Of what no name leads to, dtype and shape are not known."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    nbytes: int
    kind: str  #: "sealed", "live", "dying", "building"
    created_unix_ns: int
    holders: int  #: connections
    age_s: float

    @property
    def key(self) -> tuple[str, int]:
        """Tells it from all others, its replacement included."""
        return self.name, self.created_unix_ns


class Column(NamedTuple):
    title: str
    width: int  #: 0: what is left
    key: str  #: on the keyboard
    text: Callable[[Row], str]
    order: Callable[[Row], Any]
    descending: bool  #: at first
    numeric: bool = False  #: to the right


def _shape(row: Row) -> str:
    return "" if row.shape is None else "×".join(map(str, row.shape)) or "scalar"


COLUMNS = (
    Column("name", 0, "n", lambda row: row.name, lambda row: row.name, descending=False),
    Column("dtype", 13, "t", lambda row: row.dtype, lambda row: row.dtype, descending=False),
    Column("shape", 18, "p", _shape, lambda row: row.shape or (), descending=True),
    Column("size", 10, "b", lambda row: bytes_text(row.nbytes), lambda row: row.nbytes, descending=True, numeric=True),
    Column("kind", 8, "k", lambda row: row.kind, lambda row: row.kind, descending=False),
    Column("age", 8, "a", lambda row: age_text(row.age_s), lambda row: row.age_s, descending=False, numeric=True),
    Column(
        "holders", 7, "h", lambda row: count_text(row.holders), lambda row: row.holders, descending=True, numeric=True
    ),
)


def tensor_rows(reading: Reading) -> list[Row]:
    holding: dict[tuple[str, int], set[int]] = defaultdict(set)
    without_name: dict[tuple[str, int], Holder] = {}
    for holder in reading.holders:
        key = holder.name, holder.created_unix_ns
        holding[key].add(holder.connection)
        if holder.state in _WITHOUT_NAME:
            without_name[key] = holder

    def age(created_unix_ns: int) -> float:
        return max(0, reading.now_unix_ns - created_unix_ns) / 1e9

    rows = [
        Row(
            info.name,
            info.dtype,
            info.shape,
            info.nbytes,
            info.kind,
            info.created_unix_ns,
            len(holding.get((info.name, info.created_unix_ns), ())),
            age(info.created_unix_ns),
        )
        for info in reading.tensors
    ]
    rows += [
        Row(name, "", None, holder.nbytes, holder.state, created, len(holding[name, created]), age(created))
        for (name, created), holder in without_name.items()
    ]
    return rows


def sorted_rows(rows: Sequence[Row], column: Column, descending: bool) -> list[Row]:
    by_name = sorted(rows, key=lambda row: row.key)  # of equals always the same order
    return sorted(by_name, key=column.order, reverse=descending)


def matches(row: Row, pattern: str) -> bool:
    """A part of the name, or with * ? [ all of it; whatever the case."""
    name, pattern = row.name.lower(), pattern.lower()
    if any(letter in pattern for letter in "*?["):
        return fnmatch.fnmatchcase(name, pattern)
    return pattern in name


class Process(NamedTuple):
    """What one process holds."""

    pid: int
    command: str
    nbytes: int  #: of tensors that it views or builds, each counted once
    dying_bytes: int  #: of them deleted: it alone, or others like it, keep this memory
    tensors: int
    views: int


def processes(reading: Reading) -> list[Process]:
    """The largest holder first."""
    of_pid: dict[tuple[int, str], list[Holder]] = defaultdict(list)
    for holder in reading.holders:
        of_pid[holder.pid, holder.command].append(holder)
    found = []
    for (pid, command), holders in of_pid.items():
        # A process with several connections holds a tensor once. A spare bears no name.
        each = {(holder.name or str(at), holder.created_unix_ns): holder for at, holder in enumerate(holders)}
        found.append(
            Process(
                pid,
                command,
                sum(holder.nbytes for holder in each.values()),
                sum(holder.nbytes for holder in each.values() if holder.state == "dying"),
                sum(bool(holder.name) for holder in each.values()),
                sum(holder.views for holder in holders),
            )
        )
    return sorted(found, key=lambda process: (-process.nbytes, process.pid))
