"""What the store tells about itself and its tensors: plain named tuples, easy to print and to turn into JSON."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Location", "Snapshot", "StoreStats", "TensorInfo"]


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
    reserved_bytes: int  #: held in segments, used or not
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
    uptime_ms: int
    version: str  #: of the daemon
    bytes_copied_in: int  #: by this Store object, in this process: put
    bytes_copied_out: int  #: the same: clone
    requests: int  #: the same: round trips to the daemon
