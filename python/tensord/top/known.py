"""What is known of the tensors of a store: each info is a request to the daemon, so it is asked for once.

The store counts what is published. If that is more than there are new names, some were replaced, and since nobody
says which, all are asked for again; a few at each turn, so that ten thousand of them do not stop the screen.
"""

import time
from collections.abc import Callable

from tensord import NotFoundError, PermissionDeniedError, Store, StoreStats, TensorInfo

__all__ = ["Known"]


class Known:
    """The infos of the tensors of one store."""

    def __init__(self) -> None:
        self._infos: dict[str, TensorInfo] = {}
        self._due: dict[str, None] = {}  # names to be asked for, in this order
        self._counted = 0, 0, 0  # the daemon, and what it had published and deleted
        self._hidden: set[str] = set()  # names that this user may not look at

    def update(
        self,
        store: Store,
        stats: StoreStats,
        budget_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> list[TensorInfo]:
        """Infos of the tensors that there are now, as far as they are known after asking for `budget_s` seconds."""
        counted = stats.daemon_pid, stats.published, stats.deleted
        if counted != self._counted:
            self._compare(store.names(), stats.published - self._counted[1], stats.daemon_pid != self._counted[0])
            self._counted = counted
        end = None if budget_s is None else clock() + budget_s
        while self._due and (end is None or clock() < end):
            self._ask(store, next(iter(self._due)))
        return list(self._infos.values())

    @property
    def due(self) -> int:
        """So many are still to be asked for."""
        return len(self._due)

    def _compare(self, names: list[str], published: int, other_daemon: bool) -> None:
        there = set(names)
        for gone in self._infos.keys() - there:
            del self._infos[gone]
        self._hidden &= there
        new = [name for name in names if name not in self._infos and name not in self._hidden]
        again = dict.fromkeys(names if other_daemon or published > len(new) else self._due)
        self._due = {name: None for name in (*new, *again) if name in there}

    def _ask(self, store: Store, name: str) -> None:
        try:
            self._infos[name] = store.info(name)
        except NotFoundError:  # deleted meanwhile
            self._infos.pop(name, None)
        except PermissionDeniedError:
            self._hidden.add(name)
        del self._due[name]
