"""A Reading: all that is shown of a store, at one moment."""

import time
from dataclasses import dataclass

from tensord import Error, Holder, Store, StoreStats, TensorInfo, Waiter
from tensord.pictures import Look, look
from tensord.top.known import Known

__all__ = ["Inspected", "Rates", "Reading", "rates", "read"]


@dataclass(frozen=True)
class Inspected:
    """The tensor that somebody looks at closely."""

    name: str
    look: Look | None
    problem: str  #: why there is no look, or no newer one


@dataclass(frozen=True)
class Reading:
    socket: str
    stats: StoreStats
    tensors: list[TensorInfo]
    due: int  #: so many more are not known yet, or may have been replaced
    holders: list[Holder]  #: of all tensors that this user may read, deleted ones included
    waiters: list[Waiter]
    inspected: Inspected | None
    at_s: float  #: a monotonic clock
    now_unix_ns: int


@dataclass(frozen=True)
class Rates:
    puts_per_s: float
    bytes_per_s: float


def read(store: Store, known: Known, inspect: str | None = None, budget_s: float | None = None) -> Reading:
    """budget_s  how long to ask for what is not known yet; the next reading goes on.

    Raises ConnectionLostError once the store is gone.
    """
    begin = time.monotonic()
    stats = store.stats()
    return Reading(
        socket=store.socket,
        stats=stats,
        tensors=known.update(store, stats, budget_s),
        due=known.due,
        holders=store.holders_of_all(),
        waiters=store.waiters(),
        inspected=None if inspect is None else _inspect(store, inspect),
        at_s=begin,
        now_unix_ns=time.time_ns(),
    )


def _inspect(store: Store, name: str) -> Inspected:
    try:
        # The view goes with this call: who looks must not keep memory that others delete.
        with store.attach(name) as view:
            return Inspected(name, look(view, timeout=0.2), "")
    except Error as error:
        return Inspected(name, None, str(error))


def rates(before: Reading | None, after: Reading | None) -> Rates:
    """What happened in between. None before, or another daemon's counters: nothing is known, so nothing."""
    if (
        before is None
        or after is None
        or before.stats.daemon_pid != after.stats.daemon_pid
        or after.at_s <= before.at_s
    ):
        return Rates(0.0, 0.0)
    seconds = after.at_s - before.at_s
    return Rates(
        max(0, after.stats.published - before.stats.published) / seconds,
        max(0, after.stats.published_bytes - before.stats.published_bytes) / seconds,
    )
