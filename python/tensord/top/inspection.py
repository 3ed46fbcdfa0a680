"""One tensor, closely: its figures, who holds it, who waits for it, and its picture. It follows the store."""

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from tensord import Holder
from tensord.pictures import terminal, text
from tensord.top.plain import waiter_line
from tensord.top.reading import Inspected, Reading
from tensord.words import age_text, bytes_text, some

__all__ = ["Inspection"]

_MIN_PICTURE_ROWS = 8


class Inspection(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "back"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.tensor = name
        self._last: Inspected | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text(f"{self.tensor}: reading it"), id="about", markup=False)
        yield Footer()

    def show(self, reading: Reading) -> None:
        found = reading.inspected
        if found is None or found.name != self.tensor:
            return  # it was read before this screen was asked for
        if found.look is None and self._last is not None:
            found = Inspected(found.name, self._last.look, found.problem)
        self._last = found
        self.query_one("#about", Static).update(self.about(found, reading))

    def about(self, found: Inspected, reading: Reading) -> RenderableType:
        width, height = self.size.width - 4, self.size.height - 4
        said = text.figures(found.look, width) if found.look is not None else [found.name]
        parts: list[RenderableType] = [Text("\n".join(said))]
        if found.problem:
            parts.append(Text(found.problem, style="bold red"))
        people = [*self._facts(reading), *self._holders(reading), *self._waiters(reading)]
        parts.append(Text("\n".join(["", *people, ""])))
        if found.look is not None:
            rows = max(_MIN_PICTURE_ROWS, height - len(said) - len(people) - 3)
            parts.append(terminal.pictures(found.look, width, rows))
        return Group(*parts)

    def _facts(self, reading: Reading) -> list[str]:
        return [
            f"put {age_text((reading.now_unix_ns - info.created_unix_ns) / 1e9)} ago by uid {info.owner_uid}, "
            f"lasts as long as its {info.lifetime}"
            for info in reading.tensors
            if info.name == self.tensor
        ]

    def _holders(self, reading: Reading) -> list[str]:
        holders = [holder for holder in reading.holders if holder.name == self.tensor]
        if not holders:
            return ["nobody holds it"]
        return ["who holds it", *(f"  {self._holder(holder, reading.now_unix_ns)}" for holder in holders)]

    @staticmethod
    def _holder(holder: Holder, now_unix_ns: int) -> str:
        what = {
            "dying": f"a deleted one of this name, {bytes_text(holder.nbytes)}, {some(holder.views, 'view')}",
            "building": "builds it",
        }.get(holder.state, some(holder.views, "view"))
        since = age_text((now_unix_ns - holder.connected_unix_ns) / 1e9)
        return f"pid {holder.pid} {holder.command}: {what}; connected for {since}"

    def _waiters(self, reading: Reading) -> list[str]:
        waiters = [waiter for waiter in reading.waiters if waiter.name == self.tensor]
        return (
            ["who waits", *(f"  {waiter_line(waiter, reading.now_unix_ns)}" for waiter in waiters)] if waiters else []
        )
