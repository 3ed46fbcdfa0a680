"""The first screen: how the store is, its tensors, who holds them, who waits. It draws readings, and asks for none."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from tensord.top import plain
from tensord.top.reading import Rates, Reading
from tensord.top.rows import COLUMNS, Column, Row, matches, processes, sorted_rows, tensor_rows
from tensord.top.table import TensorTable
from tensord.words import age_text, bytes_text, count_text, rate_text, some

__all__ = ["Overview"]


class Overview(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort_next", "sort"),
        Binding("r", "reverse", "reverse"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "no_filter", "all", show=False),
        *(Binding(column.key, f"sort('{column.title}')", f"by {column.title}", show=False) for column in COLUMNS),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, column: Column, descending: bool) -> None:
        super().__init__()
        self._column, self._descending = column, descending
        self._pattern = ""
        self._reading: Reading | None = None
        self._rows: list[Row] = []
        self._shown: dict[str, Text] = {}

    def compose(self) -> ComposeResult:
        yield Static("looking for a store", id="figures", markup=False)
        yield Static("", id="note", markup=False)
        yield TensorTable(id="tensors")
        with Horizontal(id="people"):
            yield _pane("holds", "who holds")
            yield _pane("waits", "who waits")
        yield Input(placeholder="a part of the name, or a pattern: run/*", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#filter").display = self.query_one("#note").display = False
        self.query_one(TensorTable).focus()

    # ---- drawing ---------------------------------------------------------------------------------

    def show(self, reading: Reading | None, now: Rates, note: str) -> None:
        """A reading, or that there is none; and what is to be said about that."""
        self._reading = reading
        self._rows = [] if reading is None else tensor_rows(reading)
        self._update("#note", Text(note))
        # Its height is fixed, so that a figure that changes lays nothing out anew.
        figures = Text() if reading is None else _figures(reading, now)
        self.query_one("#figures", Static).update(figures, layout=False)
        if self.query_one("#note").display != bool(note):
            self.query_one("#note").display = bool(note)
        self._update("#holds", Text() if reading is None else _holds(reading))
        self._update("#waits", Text() if reading is None else _waits(reading))
        self._show_tensors()

    def _update(self, name: str, content: Text) -> None:
        """Only what is new: other text may need another height, and then the whole screen is laid out."""
        if self._shown.get(name) != content:
            self._shown[name] = content
            self.query_one(name, Static).update(content)

    def _show_tensors(self) -> None:
        rows = self._rows
        shown = [row for row in rows if matches(row, self._pattern)] if self._pattern else rows
        if rows:
            empty = f"none of {some(len(rows), 'tensor')} has '{self._pattern}' in its name"
        else:
            empty = "no store" if self._reading is None else "no tensors"
        table = self.query_one(TensorTable)
        table.show(sorted_rows(shown, self._column, self._descending), self._column, self._descending, empty)
        table.border_title = f"{count_text(len(shown))} of {count_text(len(rows))}" if self._pattern else "tensors"
        if self._reading is not None and self._reading.due:
            table.border_title += f", {count_text(self._reading.due)} still to be read"
        table.border_subtitle = f"filter: {self._pattern}" if self._pattern else ""

    # ---- keys ------------------------------------------------------------------------------------

    def action_sort(self, title: str) -> None:
        column = next(column for column in COLUMNS if column.title == title)
        self._sort(column, not self._descending if column is self._column else column.descending)

    def action_sort_next(self) -> None:
        following = COLUMNS[(COLUMNS.index(self._column) + 1) % len(COLUMNS)]
        self._sort(following, following.descending)

    def action_reverse(self) -> None:
        self._sort(self._column, not self._descending)

    def on_tensor_table_header_clicked(self, event: TensorTable.HeaderClicked) -> None:
        self.action_sort(event.column.title)

    def _sort(self, column: Column, descending: bool) -> None:
        self._column, self._descending = column, descending
        self._show_tensors()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_no_filter(self) -> None:
        self.query_one("#filter", Input).value = ""
        self.on_input_submitted()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._pattern = event.value
        self._show_tensors()

    def on_input_submitted(self) -> None:
        self.query_one("#filter").display = False
        self.query_one(TensorTable).focus()


def _pane(name: str, title: str) -> VerticalScroll:
    pane = VerticalScroll(Static("", id=name, markup=False), can_focus=False)
    pane.border_title = title
    return pane


_BAR_WIDTH = 30


def _figures(reading: Reading, now: Rates) -> Text:
    stats = reading.stats
    used, dying, limit = stats.used_bytes, stats.dying_bytes, max(1, stats.limit_bytes)
    parts = [round(part / limit * _BAR_WIDTH) for part in (used - dying, dying)]
    bar = Text.assemble(
        ("█" * parts[0], "green"),
        ("█" * parts[1], "yellow"),
        ("░" * max(0, _BAR_WIDTH - sum(parts)), "dim"),
        "  ",
        (f"{bytes_text(used - dying)} used", "green"),
        "  ",
        (f"{bytes_text(dying)} dying", "yellow"),
        f"  {bytes_text(max(0, limit - used))} free of {bytes_text(limit)}",
    )
    besides = [
        f"{count_text(count)} {what}"
        for count, what in ((stats.dying_tensors, "dying"), (stats.building_tensors, "being built"))
        if count
    ]
    counts = f"{some(stats.tensors, 'tensor')}{' (' + ', '.join(besides) + ')' if besides else ''}"
    return Text("\n").join(
        [
            Text.assemble(
                (f"tensord {stats.version}", "bold"),
                f"  pid {stats.daemon_pid}  up {age_text(stats.uptime_ms / 1000)}  kept by {stats.kept_by}"
                f"  {reading.socket}",
            ),
            bar,
            Text.assemble(
                (f"{rate_text(now.puts_per_s)} puts  {bytes_text(now.bytes_per_s)}/s", "bold"),
                f"  {counts}  {some(stats.connections, 'connection')}"
                f"  {bytes_text(stats.reserved_bytes)} reserved in {some(stats.segments, 'segment')}",
            ),
        ]
    )


def _holds(reading: Reading) -> Text:
    shown = []
    for process in processes(reading):
        dying = f" ({bytes_text(process.dying_bytes)} dying)" if process.dying_bytes else ""
        shown.append(
            f"{process.pid:>7} {process.command:<15} {bytes_text(process.nbytes):>9}{dying}  "
            f"{some(process.views, 'view')} of {some(process.tensors, 'tensor')}"
        )
    return _lines(shown)


def _waits(reading: Reading) -> Text:
    return _lines([plain.waiter_line(waiter, reading.now_unix_ns) for waiter in reading.waiters])


def _lines(lines: list[str]) -> Text:
    return Text("\n".join(lines) or "nobody", no_wrap=True, overflow="ellipsis")
