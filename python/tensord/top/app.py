"""The program ``top``: a thread reads the store, screens show what it read last."""

import threading
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from tensord.top.inspection import Inspection
from tensord.top.overview import Overview
from tensord.top.reading import Reading, rates
from tensord.top.rows import Column
from tensord.top.source import Gone, Source
from tensord.top.table import TensorTable

__all__ = ["Top"]

#: For so many readings it is said that the daemon is another one.
_NOTE_READINGS = 10


class Top(App[None]):
    TITLE = "tensord"
    CSS_PATH = "top.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False)]

    def __init__(self, socket: str | None, interval_s: float, column: Column, descending: bool) -> None:
        super().__init__()
        self._source = Source(socket)
        self._interval_s = interval_s
        self._overview = Overview(column, descending)
        self._reading: Reading | None = None
        self._daemon_pid = 0  # of the last reading, also after the store was gone
        self._note, self._note_for = "", 0
        self._inspect: str | None = None
        self._wake = threading.Event()

    def on_mount(self) -> None:
        self.push_screen(self._overview)
        self._read_for_ever()

    def on_unmount(self) -> None:
        self._wake.set()

    @work(thread=True)
    def _read_for_ever(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled and self.is_running:
            found = self._source.read(self._inspect)
            try:
                self.call_from_thread(self._take, found)
            except RuntimeError:  # the program has ended meanwhile
                break
            self._wake.wait(self._interval_s)
            self._wake.clear()
        self._source.close()

    def _take(self, found: Reading | Gone) -> None:
        before, self._reading = self._reading, found if isinstance(found, Reading) else None
        self._overview.show(self._reading, rates(before, self._reading), self._what_to_say(found))
        if self._reading is not None and isinstance(self.screen, Inspection):
            self.screen.show(self._reading)

    def _what_to_say(self, found: Reading | Gone) -> str:
        if isinstance(found, Gone):
            return f"There is no store now: {found.why}. Looking for it again"
        pid = found.stats.daemon_pid
        if self._daemon_pid not in (0, pid):
            self._note = f"Another daemon: pid {pid} follows pid {self._daemon_pid}"
            self._note_for = _NOTE_READINGS
        self._daemon_pid = pid
        self._note_for -= 1
        return self._note if self._note_for > 0 else ""

    def on_tensor_table_chosen(self, event: TensorTable.Chosen) -> None:
        self._inspect = event.row.name
        self.push_screen(Inspection(event.row.name), callback=self._inspected)
        self._wake.set()  # now, rather than at the next turn

    def _inspected(self, _: None) -> None:
        self._inspect = None
