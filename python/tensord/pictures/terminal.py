"""A Look in the colours of a terminal: half blocks, two pixels a letter. rich knows how many colours there are."""

from collections.abc import Iterator
from functools import lru_cache

from rich.color import Color
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from tensord.pictures import pixels, text
from tensord.pictures.looking import Look
from tensord.pictures.numbers import Array
from tensord.pictures.statistics import number

__all__ = ["HalfBlocks", "picture", "pictures"]

#: Where two pictures share the height, a histogram has this part of it.
_HISTOGRAM_SHARE = 0.4


class HalfBlocks:
    """Pixels (rows, columns, 3) for rich: the upper of two is the letter's colour, the lower its background."""

    def __init__(self, colours: Array) -> None:
        self._colours = colours

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = self._colours.tolist()
        for at in range(0, len(rows), 2):
            if at + 1 < len(rows):
                for upper, lower in zip(rows[at], rows[at + 1], strict=True):
                    yield Segment("▀", _style(*upper, *lower))
            else:
                for upper in rows[at]:
                    yield Segment("▀", _style(*upper))
            yield Segment.line()


@lru_cache(maxsize=1 << 16)
def _style(red: int, green: int, blue: int, *lower: int) -> Style:
    behind = Color.from_rgb(*lower) if lower else None
    return Style.from_color(Color.from_rgb(red, green, blue), behind)


def pictures(look: Look, width: int, height: int, *, colours: bool = True) -> RenderableType:
    """All pictures of a Look, below each other, in `height` lines at most."""
    return Group(*_all(look, width, height, colours))


def _all(look: Look, width: int, height: int, colours: bool) -> Iterator[RenderableType]:
    rest = height
    for position, kind in enumerate(look.pictures):
        last = position + 1 == len(look.pictures)
        share = rest if last else max(1, int(rest * (1 - _HISTOGRAM_SHARE)))
        yield picture(look, kind, width, share, colours=colours)
        rest = max(1, rest - share)


def picture(look: Look, kind: str, width: int, height: int, *, colours: bool = True) -> RenderableType:
    if not colours or kind == "table":
        return Text("\n".join(text.picture(look, kind, width, height)), no_wrap=True)
    if kind in ("line", "histogram"):
        return Text("\n".join(text.picture(look, kind, width, height)), style="cyan", no_wrap=True)
    values = look.values if look.values.ndim > 1 else look.values.reshape(1, -1)
    if kind == "image":
        return HalfBlocks(pixels.image(values, look.dtype, 2 * height, width))
    shown = pixels.heatmap(values, 2 * max(1, height - 1), width)
    return Group(HalfBlocks(shown), _legend(look, values, width))


def _legend(look: Look, values: Array, width: int) -> RenderableType:
    """Which colour is which number."""
    bounds = [number(at.item()) for at in _finite_bounds(values)]
    if not bounds:
        return Text("no finite numbers", no_wrap=True)
    legend = Text(f"{bounds[0]} ", no_wrap=True, overflow="crop")
    for colour in pixels.RAMP[:: len(pixels.RAMP) // 16].tolist():
        legend.append("█", _style(*colour))
    legend.append(f" {bounds[1]}")
    if look.statistics.nans or look.statistics.infinities:
        legend.append("  ")
        legend.append("█", _style(*pixels.NOT_FINITE))
        legend.append(" not finite")
    return legend


def _finite_bounds(values: Array) -> tuple[Array, ...]:
    import numpy as np

    finite = values[np.isfinite(values)]
    return (finite.min(), finite.max()) if finite.size else ()
