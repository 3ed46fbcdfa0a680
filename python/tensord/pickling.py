"""Views and stores travel by name: a pickle holds no elements, and the receiver attaches to the same memory.

So a view may be an argument of a process, an item of a queue, a field of a dataset, whatever the start
method: fork, forkserver or spawn. What arrives is the tensor that was sent, or an error: its name may
have been deleted or replaced on the way, and then nobody gets other elements than were meant.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from tensord._core import Store, View, connect
from tensord.errors import ConnectionLostError, NotFoundError
from tensord.records import Location

__all__ = ["with_store"]

_T = TypeVar("_T")

# One connection for each daemon that was needed so far. A Store works on both sides of a fork, so a
# child may go on with what it inherited.
_stores: dict[str | None, Store] = {}


def with_store(socket: str | None, use: Callable[[Store], _T]) -> _T:
    """`use` of this process's own store of that daemon; once more if the daemon was started anew meanwhile.

    None is where connect() leads to, and starts a daemon if none is running, as connect() does.
    """
    start = socket is None
    socket = socket or os.environ.get("TENSORD_SOCKET")
    try:
        return use(_store_at(socket, start))
    except ConnectionLostError:
        _stores.pop(socket, None)
        return use(_store_at(socket, start))


def _store_at(socket: str | None, start: bool) -> Store:
    store = _stores.get(socket)
    # Two threads may both connect, and then both take the one that came first.
    return store if store is not None else _stores.setdefault(socket, connect(socket, start=start))


def reduce_view(view: View) -> tuple[Any, ...]:
    """Raises InvalidArgumentError for a view that is closed, or not published yet."""
    name, location = view.name, view.location
    place = (os.path.abspath(view.socket), name, view.mode, view.generation, tuple(location))
    return attach_again, (*place, view.shape, view.strides)


def attach_again(socket: str, name: str, mode: Any, generation: int, location: Any, shape: Any, strides: Any) -> View:
    view = with_store(socket, lambda store: store.attach(name, mode))
    there, here = Location(*location), view.location
    # The inode as well, for a daemon that was started anew counts anew.
    if (view.generation, here.segment, here.inode) != (generation, there.segment, there.inode):
        view.close()
        raise NotFoundError(
            f"'{name}' was replaced after this view of it was pickled: attach('{name}') gives the new tensor; "
            "to send the old one, keep its name until it has arrived"
        )
    if (here, view.shape, view.strides) == (there, shape, strides):
        return view
    with view:  # a sub-view was sent
        return view.as_strided(shape, strides, (there.offset - here.offset) // view.itemsize)


def reduce_store(store: Store) -> tuple[Any, ...]:
    """Another connection to the same daemon, so that who closes one closes no other."""
    return connect, (os.path.abspath(store.socket), False)
