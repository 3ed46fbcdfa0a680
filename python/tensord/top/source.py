"""Readings of a store that may go and come back."""

import contextlib
from dataclasses import dataclass

from tensord import Error, Store, connect
from tensord.top.reading import Reading, read

__all__ = ["Gone", "Source"]


@dataclass(frozen=True)
class Gone:
    """There is no store now."""

    why: str


class Source:
    """Reads a store, and looks for it again when it is gone. One thread at a time."""

    def __init__(self, socket: str | None) -> None:
        self._socket = socket
        self._store: Store | None = None

    def read(self, inspect: str | None = None) -> Reading | Gone:
        try:
            if self._store is None:
                self._store = connect(self._socket, start=False)
            return read(self._store, inspect)
        except Error as error:
            self.close()
            return Gone(str(error))

    def close(self) -> None:
        if self._store is not None:
            with contextlib.suppress(Error):
                self._store.close()
        self._store = None
