"""Memory: what processes use, as the kernel counts it: proportional set sizes (PSS), in which a page that n
processes map counts 1/n for each."""

from collections.abc import Iterable
from pathlib import Path

import tensord

# What /proc calls the store's segments.
_SEGMENT = "/memfd:tensord-segment"


def without_store(pids: Iterable[int]) -> int:
    """The sum of the processes' PSS, less what they map of a store."""
    return sum(_pss(pid) - _store_pss(pid) for pid in pids)


def of_store(store: tensord.Store) -> int:
    """All memory of a store, once, and its daemon's own.

    Not the PSS of those who map it: a page of the store that nobody maps at the moment is memory as well, and so
    is what processes that are not asked about map of it.
    """
    stats = store.stats()
    return stats.reserved_bytes + without_store(_daemon(stats.daemon_pid))


def _daemon(pid: int) -> list[int]:
    """The daemon and, if there is one, its keeper."""
    parent = int(_field(Path(f"/proc/{pid}/status"), "PPid:"))
    kept = parent > 1 and Path(f"/proc/{parent}/comm").read_text().strip() == "tensord"
    return [pid, parent] if kept else [pid]


def _pss(pid: int) -> int:
    return int(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")) * 1024


def _store_pss(pid: int) -> int:
    """What is the store's: not pages that the process wrote copy-on-write, which lie in the same mappings."""
    total, inside = 0, False
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            first, *rest = line.split()
            if not first.endswith(":"):  # a mapping's own line; what is said of it follows
                inside = len(rest) >= 5 and rest[4].startswith(_SEGMENT)
            elif inside and first in ("Pss:", "Anonymous:"):
                total += int(rest[0]) if first == "Pss:" else -int(rest[0])
    return max(total, 0) * 1024


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return line.split()[1]
    raise RuntimeError(f"{file} has no {name}")
