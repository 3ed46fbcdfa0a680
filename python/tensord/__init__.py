"""Named tensors in shared memory, attached by name from any process of this machine, without a copy.

    import numpy as np, tensord

    store = tensord.connect()
    store.put("demo/ramp", np.arange(6, dtype=np.float32))  # exactly one copy, in
    view = store.attach("demo/ramp")                        # none; in any process
    view.numpy(), view.torch()                              # none
    view.clone()                                            # exactly one copy, out
    store.delete("demo/ramp")                               # the bytes stay while a view lives

A *sealed* tensor (the default) never changes after it was put. A *live* one (``live=True``) is
changed in place by whoever attached it with mode "r+", for everybody to see.
"""

from collections.abc import Mapping as _Mapping
from pathlib import Path as _Path

from tensord import _core, pickling, state_dicts, waiting
from tensord._core import Build, BuildMany, Store, View, Writing, __version__, connect
from tensord.errors import (
    AlreadyExistsError,
    ConnectionLostError,
    Error,
    InternalError,
    InvalidArgumentError,
    LimitReachedError,
    NotFoundError,
    OutOfRangeError,
    OutOfSpaceError,
    PermissionDeniedError,
    TimeoutError,
    TornWriteError,
    UnsupportedTypeError,
    VersionMismatchError,
    WouldCopyError,
)
from tensord.records import Holder, Location, Snapshot, StoreStats, TensorInfo, UserStats, Waiter

__all__ = [
    "AlreadyExistsError",
    "Build",
    "BuildMany",
    "ConnectionLostError",
    "Error",
    "Holder",
    "InternalError",
    "InvalidArgumentError",
    "LimitReachedError",
    "Location",
    "NotFoundError",
    "OutOfRangeError",
    "OutOfSpaceError",
    "PermissionDeniedError",
    "Snapshot",
    "Store",
    "StoreStats",
    "TensorInfo",
    "TimeoutError",
    "TornWriteError",
    "UnsupportedTypeError",
    "UserStats",
    "VersionMismatchError",
    "View",
    "Waiter",
    "WouldCopyError",
    "Writing",
    "__version__",
    "connect",
]

# A Store is a mapping of names to views. What a mapping can do with __getitem__, __iter__ and
# __contains__ alone comes from the standard library, so that it behaves as every other mapping.
_Mapping.register(Store)
for _method in ("get", "keys", "values", "items"):
    setattr(Store, _method, getattr(_Mapping, _method))

for _pickled, _reduce in ((Store, pickling.reduce_store), (View, pickling.reduce_view)):
    setattr(_pickled, "__reduce__", _reduce)

for _waits, _twin in ((Store, waiting.wait_for_name), (View, waiting.wait_for_version)):
    setattr(_waits, "wait_async", _twin)

for _added in (state_dicts.put_state_dict, state_dicts.state_dict):
    setattr(Store, _added.__name__, _added)

# The daemon that came in the same wheel is the one that connect() starts, and no other on PATH.
_daemon = _Path(__file__).parent / "bin" / "tensord"
if _daemon.exists():
    _core.set_daemon_path(str(_daemon))

for _class in (Build, BuildMany, Store, View, Writing):
    _class.__module__ = "tensord"  # what users call them
del _added, _class, _method, _pickled, _reduce, _twin, _waits
