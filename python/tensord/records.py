"""What the store tells about itself and its tensors: plain named tuples, easy to print and to turn into JSON."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Holder", "Location", "Snapshot", "StoreStats", "TensorInfo", "UserStats", "Waiter"]


class Holder(NamedTuple):
    """One connection that holds the memory of one tensor. After a fork, the views of both sides are counted for
    the process that connected, for as long as either lives."""

    name: str  #: of the tensor; empty: of a spare
    state: str  #: "attached", "building", "dying" (deleted or replaced, but viewed), "spare" (for the next put)
    connection: int  #: the daemon's number for it; a process may have several
    pid: int  #: who connected, as the daemon sees it; 0: it cannot see it
    uid: int
    command: str  #: what /proc calls that pid now; "?" if that cannot be read, or is not ours to know (containers)
    views: int  #: as that process says: it keeps this count itself
    nbytes: int  #: of the tensor
    created_unix_ns: int  #: the tensor; 0: a spare
    connected_unix_ns: int  #: the connection; its views are younger, and bear no time


class Location(NamedTuple):
    """Where a tensor lies. Two processes that see the same inode and offset look at the same memory."""

    segment: int  #: the store's number for the segment, never used twice
    inode: int  #: of the segment's memfd
    offset: int  #: bytes from the start of the segment to the first element


class Snapshot(NamedTuple):
    """One whole version of a tensor, copied into private memory: what View.read() gives."""

    array: "np.ndarray[Any, Any]"  #: C-contiguous, writable
    version: int  #: how often the tensor had been written by then; 0 for sealed ones


class TensorInfo(NamedTuple):
    """One tensor as the catalog lists it."""

    name: str
    dtype: str  #: "float32", "bfloat16", ...
    kind: str  #: "sealed" or "live"
    lifetime: str  #: "store" or "client"
    shape: tuple[int, ...]
    nbytes: int
    owner_uid: int
    created_unix_ns: int


class StoreStats(NamedTuple):
    """The store's figures, and what this connection copied. Sizes are bytes."""

    limit_bytes: int  #: the store's cap on reserved memory
    reserved_bytes: int  #: held in segments, used or not; with ``--reserve on-demand`` those with memory
    used_bytes: int  #: of tensors, dying ones included, with alignment
    dying_bytes: int  #: deleted, but still attached by somebody
    largest_free_bytes: int
    tensors: int
    dying_tensors: int
    building_tensors: int
    max_tensors: int
    segments: int
    connections: int  #: this one included
    max_connections: int
    daemon_pid: int
    kept_by: str  #: who starts the next daemon with this store: "keeper", "service manager", "nobody"
    uptime_ms: int  #: of the daemon, which may be younger than its store
    published: int  #: tensors, since this daemon began
    published_bytes: int  #: the same
    deleted: int  #: the same: names taken away, by delete, by a replacement, or with their maker
    version: str  #: of the daemon
    bytes_copied_in: int  #: by this Store object, in this process: put
    bytes_copied_out: int  #: the same: clone
    requests: int  #: the same: round trips to the daemon


class UserStats(NamedTuple):
    """What one user has of the store, and may have: his quota, or the store's limit where that is less."""

    uid: int
    used_bytes: int  #: of his tensors that live, with alignment, and granted ahead of his next puts
    max_bytes: int
    dying_bytes: int  #: of deleted tensors that he views, whosever they were
    max_dying_bytes: int
    tensors: int  #: those, and deleted ones that he views
    max_tensors: int
    connections: int
    max_connections: int


class Waiter(NamedTuple):
    """One thread that sleeps until a name is published (``store.wait``) or a live tensor changes (``view.wait``).
    Whoever has only just begun to wait spins for a moment first, and is not seen yet."""

    name: str
    waits_for: str  #: "name" or "version"
    connection: int  #: the daemon's number for it; a process may have several
    pid: int  #: who connected, as the daemon sees it; 0: it cannot see it
    uid: int
    command: str  #: as Holder has it
    since_unix_ns: int  #: when it fell asleep for the first time in this wait, as it says itself
