"""A table of any number of rows: it draws those on the screen from a list, and keeps nothing of the others."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tensord.top.rows import COLUMNS, Column, Row

__all__ = ["TensorTable"]

#: The first line is the header, and stays.
_HEADER_ROWS = 1
_MIN_NAME_WIDTH = 16
_GAP = 2
#: What a narrow screen does without, first to last.
_DISPENSABLE = ("dtype", "shape", "age", "holders", "kind")


class TensorTable(ScrollView, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "edge(-1)", "first", show=False),
        Binding("end", "edge(1)", "last", show=False),
        Binding("enter", "choose", "inspect"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor", "table--dying"}

    class Chosen(Message):
        """Enter, or a click on the row of the cursor."""

        def __init__(self, row: Row) -> None:
            self.row = row
            super().__init__()

    class HeaderClicked(Message):
        def __init__(self, column: Column) -> None:
            self.column = column
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._cursor = 0
        self._column = COLUMNS[0]
        self._descending = False
        self._said_when_empty = ""

    # ---- what it shows ---------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def cursor_row(self) -> Row | None:
        return self._rows[self._cursor] if self._rows else None

    def show(self, rows: Sequence[Row], column: Column, descending: bool, when_empty: str) -> None:
        """Other rows. The cursor stays at its tensor; or at its place, if that is gone or the place is the first."""
        before = self.cursor_row
        self._rows, self._column, self._descending, self._said_when_empty = rows, column, descending, when_empty
        at = self._cursor
        if before is not None and self._cursor > 0:
            at = next((at for at, row in enumerate(rows) if row.key == before.key), self._cursor)
        self._cursor = max(0, min(at, len(rows) - 1))
        self._set_virtual_size()
        self.refresh()

    def on_resize(self, _: Resize) -> None:
        self._set_virtual_size()

    def _set_virtual_size(self) -> None:
        self.virtual_size = Size(self.width, len(self._rows) + _HEADER_ROWS)

    @property
    def width(self) -> int:
        """Of its lines: what the scroll bar leaves."""
        return self.scrollable_content_region.width

    def columns(self) -> list[tuple[Column, int]]:
        """What fits, with the width of each."""
        shown = list(COLUMNS)
        for title in ("", *_DISPENSABLE):
            shown = [column for column in shown if column.title != title]
            rest = self.width - sum(column.width + _GAP for column in shown[1:])
            if rest >= _MIN_NAME_WIDTH:
                break
        return [(column, column.width or max(1, rest)) for column in shown]

    def render_line(self, y: int) -> Strip:
        width = self.width
        if y == 0:
            style = self.get_component_rich_style("table--header")
            cells = [(self._title(column), column, size) for column, size in self.columns()]
            return self._strip(cells, style, width)
        at = int(self.scroll_offset.y) + y - _HEADER_ROWS
        if at >= len(self._rows):
            said = self._said_when_empty if y == 1 and not self._rows else ""
            return Strip([Segment(said, self.rich_style)]).extend_cell_length(width, self.rich_style)
        row = self._rows[at]
        style = self.rich_style
        if row.kind == "dying":
            style = self.get_component_rich_style("table--dying")
        if at == self._cursor and self.has_focus:
            style = self.get_component_rich_style("table--cursor")
        return self._strip([(column.text(row), column, size) for column, size in self.columns()], style, width)

    def _title(self, column: Column) -> str:
        return column.title + (("▼" if self._descending else "▲") if column is self._column else "")

    @staticmethod
    def _strip(cells: list[tuple[str, Column, int]], style: Style, width: int) -> Strip:
        # Segments know how wide letters are: names may be Chinese.
        strips = []
        for text, column, size in cells:
            strip = Strip([Segment(text, style)])
            if strip.cell_length > size:
                strip = Strip.join([strip.crop(0, size - 1), Strip([Segment("…", style)])])
            padding = Strip([Segment(" " * (size - strip.cell_length), style)])
            strips += [padding, strip] if column.numeric else [strip, padding]
            strips.append(Strip([Segment(" " * _GAP, style)]))
        return Strip.join(strips[:-1]).adjust_cell_length(width, style)

    # ---- keys and clicks -------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * max(1, self.size.height - _HEADER_ROWS))

    def action_edge(self, by: int) -> None:
        self._go(0 if by < 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        row = self.cursor_row
        if row is not None:
            self.post_message(self.Chosen(row))

    def on_click(self, event: Click) -> None:
        place = event.get_content_offset(self)
        if place is None:  # the border
            return
        if place.y == 0:
            left = 0
            for column, size in self.columns():
                if left <= place.x < left + size:
                    self.post_message(self.HeaderClicked(column))
                left += size + _GAP
            return
        at = int(self.scroll_offset.y) + place.y - _HEADER_ROWS
        if at < len(self._rows):
            again = at == self._cursor
            self._go(at)
            if again:
                self.action_choose()

    def _go(self, at: int) -> None:
        self._cursor = max(0, min(at, len(self._rows) - 1))
        # The header hides the first line of what scrolls.
        self.scroll_to_region(Region(0, self._cursor, 1, 1 + _HEADER_ROWS), animate=False, force=True)
        self.refresh()
