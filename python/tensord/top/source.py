"""Readings of a store that may go and come back."""

import contextlib
from dataclasses import dataclass

from tensord import Error, Store, connect
from tensord.top.known import Known
from tensord.top.reading import Reading, read

__all__ = ["Gone", "Source"]


#: Of each reading, for what is not known yet: ten thousand tensors appear within a few readings.
_BUDGET_S = 0.3


@dataclass(frozen=True)
class Gone:
    """There is no store now."""

    why: str


class Source:
    """Reads a store, and looks for it again when it is gone. One thread at a time."""

    def __init__(self, socket: str | None) -> None:
        self._socket = socket
        self._store: Store | None = None
        self._known = Known()

    def read(self, inspect: str | None = None) -> Reading | Gone:
        try:
            if self._store is None:
                self._store = connect(self._socket, start=False)
            return read(self._store, self._known, inspect, _BUDGET_S)
        except Error as error:
            self.close()
            return Gone(str(error))

    def close(self) -> None:
        if self._store is not None:
            with contextlib.suppress(Error):
                self._store.close()
        self._store = None
        self._known = Known()
