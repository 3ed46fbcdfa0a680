"""The errors of tensord: one family, one class per outcome, the same words as in C++.

Catch :class:`Error` for all of them, the class of the outcome you can act on, or the built-in
that it also is (``KeyError`` for a name that is not there, ``MemoryError`` for no space, ...).
The text is for people and may change; the classes do not.
"""

import builtins

__all__ = [
    "AlreadyExistsError",
    "ConnectionLostError",
    "Error",
    "InternalError",
    "InvalidArgumentError",
    "LimitReachedError",
    "NotFoundError",
    "OutOfRangeError",
    "OutOfSpaceError",
    "PermissionDeniedError",
    "TimeoutError",
    "TornWriteError",
    "UnsupportedTypeError",
    "VersionMismatchError",
    "WouldCopyError",
]


class Error(Exception):
    """Every failure of a tensord call."""

    # KeyError prints the repr of its argument, OSError looks for an errno: the text is enough.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotFoundError(Error, KeyError):
    """No tensor of this name; the text offers near names."""


class AlreadyExistsError(Error, FileExistsError):
    """The name is taken, and ``replace=True`` was not asked for."""


class OutOfSpaceError(Error, MemoryError):
    """The store's byte limit or its slots are used up; the text says asked, free and limit."""


class PermissionDeniedError(Error, PermissionError):
    """The namespace belongs to somebody else, or the tensor is sealed."""


class InvalidArgumentError(Error, ValueError):
    """A bad name, shape, layout or mode, or a view that is closed."""


class OutOfRangeError(InvalidArgumentError, IndexError):
    """An index that the shape of the view does not have."""


class UnsupportedTypeError(Error, TypeError):
    """A dtype or an object that tensord does not hold."""


class ConnectionLostError(Error, ConnectionError):
    """The daemon is gone, or never was there, or this store is closed; views stay readable."""


class VersionMismatchError(Error):
    """The daemon speaks another version of the protocol or of the layout in memory."""


class LimitReachedError(Error):
    """A limit other than space: connections, dimensions."""


class WouldCopyError(Error, BufferError, ValueError):
    """Only a copy could do it, and no copy was asked for. BufferError is DLPack's word for it, ValueError NumPy's."""


class TimeoutError(Error, builtins.TimeoutError):
    """Nobody answered in time."""


class TornWriteError(Error):
    """A live tensor is half written: its writer died or gave up in the middle."""


class InternalError(Error, RuntimeError):
    """A fault of ours, or of the system: the text has the details."""


# Users meet these as tensord.NotFoundError, so that is what tracebacks and pickles call them.
for _name in __all__:
    globals()[_name].__module__ = "tensord"
del _name
