"""``multiprocessing.shared_memory`` over tensord: change the import, keep the code.

    from tensord import shared_memory  # was: from multiprocessing import shared_memory

    shm = shared_memory.SharedMemory("frame", create=True, size=1 << 20)
    pixels = np.ndarray((1024, 1024), np.uint8, buffer=shm.buf)  # in another process: SharedMemory("frame")

A block is a live tensor of bytes, ``shared_memory.<uid>/<name>``, in the store that ``tensord.connect()``
finds; ``tensorctl ls`` shows it. What differs from the standard library, all of it about lifetime:

- No resource tracker: a block stays until ``unlink()``, whoever exits, in whatever way, related to its
  creator or not. ``track`` is accepted and has nothing to say.
- Memory stays in place while anything looks at it. Arrays made from ``buf`` outlive ``close()``, ``unlink()``
  and the SharedMemory object; ``close()`` never fails because of them.
- Blocks are not limited by /dev/shm, and none is left behind in it. No space is an error when the block is
  made (``OutOfSpaceError``, a ``MemoryError``), never a SIGBUS later; its bytes are zeroed then.
- ``SharedMemoryManager`` has no server process: its blocks end with ``shutdown()``, or with its process.
"""

import contextlib
import errno
import importlib.util
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tensord._core import Store, View, connect
from tensord.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from tensord.pickling import with_store

if TYPE_CHECKING:
    from multiprocessing.shared_memory import ShareableList as _StandardList

    from typing_extensions import Self

__all__ = ["ShareableList", "SharedMemory", "SharedMemoryManager"]

_T = TypeVar("_T")
_Item = TypeVar("_Item", int, float, bool, str, bytes, None)

# Inside a manager's calls: the manager, whose blocks end with it.
_manager: ContextVar["SharedMemoryManager | None"] = ContextVar("_manager", default=None)


class SharedMemory:
    """A block of bytes with a name: made with ``create=True`` (of ``size`` bytes, zeroed), attached without.

    Owns     a view until ``close()``. The block itself lives until ``unlink()``.
    Raises   FileExistsError, FileNotFoundError, PermissionError, ValueError as the standard library does;
             OutOfSpaceError, ConnectionLostError of tensord.
    """

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if not create:
            if name is None:
                raise ValueError("'name' can only be None if create=True")
            view = _call(name, lambda store: store.attach(_tensor(name), "r+"))
        elif name is not None:
            view = _create(name, size)
        else:
            name, view = _create_unnamed(size)
        self._name = name
        self._size = view.nbytes
        self._view: View | None = view
        self._buf: memoryview | None = memoryview(view)

    @property
    def buf(self) -> memoryview | None:
        """The bytes, writable; None once closed."""
        return self._buf

    @property
    def name(self) -> str:
        """What another process attaches by."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes, as many as were asked for."""
        return self._size

    def close(self) -> None:
        """Lets go of the block. Arrays made from ``buf`` stay valid, and hold its memory."""
        buf, self._buf = self._buf, None
        if self._view is None or buf is None:
            return
        with contextlib.suppress(BufferError):  # somebody still uses `buf` itself, and keeps it
            buf.release()
        self._view.close()
        self._view = None

    def unlink(self) -> None:
        """Takes the name away, for everybody; the bytes go with the last who looks at them."""
        _call(self._name, lambda store: store.delete(_tensor(self._name)))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"


def _tensor(name: str | None) -> str:
    # shm_open(3) does not see leading slashes either.
    return f"shared_memory.{os.getuid()}/{str(name).lstrip('/')}"


def _call(name: str | None, use: Callable[[Store], _T]) -> _T:
    """Calls the store, and raises what users of the standard library catch."""
    manager = _manager.get()
    try:
        return use(manager.store) if manager else with_store(None, use)
    except NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, str(error), name) from error
    except AlreadyExistsError as error:
        raise FileExistsError(errno.EEXIST, str(error), name) from error


def _create(name: str, size: int) -> View:
    manager = _manager.get()
    lifetime: Literal["store", "client"] = "client" if manager else "store"

    def build(store: Store) -> View:
        with store.build(_tensor(name), size, "uint8", live=True, lifetime=lifetime) as view:
            view.numpy().fill(0)  # a tensor's memory may be a former tensor's
        return view

    view = _call(name, build)
    if manager:
        manager._made.append(view)
    return view


def _create_unnamed(size: int) -> tuple[str, View]:
    while True:
        name = "psm_" + secrets.token_hex(8)
        with contextlib.suppress(FileExistsError):
            return name, _create(name, size)


if not TYPE_CHECKING:
    # The standard library's list, as it is, in a copy of its module whose blocks are ours.
    _spec = importlib.util.find_spec("multiprocessing.shared_memory")
    _standard = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_standard)
    _standard.SharedMemory = SharedMemory
    _StandardList = _standard.ShareableList


class ShareableList(_StandardList[_Item]):
    """``multiprocessing.shared_memory.ShareableList``, in a block of tensord: ``.shm`` is our SharedMemory."""


class SharedMemoryManager:
    """``multiprocessing.managers.SharedMemoryManager`` without a server process.

    Blocks made through it are deleted by ``shutdown()``, at the end of its ``with`` block, or by the daemon
    when its process ends, also by SIGKILL (children that it forked count as part of it). Other processes
    attach by name; there is no address to connect to.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._pid = os.getpid()
        # Held, so that after a fork the connection that the blocks end with does not end before them.
        self._made: list[View] = []

    @property
    def store(self) -> Store:
        """The connection that the blocks are made with, and end with."""
        if self._store is None:
            raise InvalidArgumentError("the manager is not running: use `with SharedMemoryManager() as manager:`")
        return self._store

    def start(self) -> None:
        """Connects; done by ``with``."""
        if self._store is not None:
            raise InvalidArgumentError("the manager is running already: enter it once")
        self._store = connect()
        self._pid = os.getpid()

    def shutdown(self) -> None:
        """Deletes the blocks made here; whoever attached them keeps their bytes. A forked child deletes none."""
        store, self._store = self._store, None
        made, self._made = self._made, []
        if store is None or os.getpid() != self._pid:
            return
        for view in made:
            with contextlib.suppress(NotFoundError):  # unlinked already
                store.delete(view.name)
            view.close()
        store.close()

    def SharedMemory(self, size: int) -> SharedMemory:
        """A new block, named for you."""
        with self._making():
            return SharedMemory(None, create=True, size=size)

    def ShareableList(self, sequence: Iterable[Any]) -> ShareableList[Any]:
        """A new list with these items."""
        with self._making():
            return ShareableList(sequence)

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        token = _manager.set(self)
        try:
            yield
        finally:
            _manager.reset(token)

    def __enter__(self) -> "Self":
        if self._store is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
