"""A Look as a PNG file, by matplotlib; without a window, and without pyplot's figures that somebody has to close."""

import os
import warnings
from pathlib import Path
from typing import IO, Any

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from tensord.pictures import pixels, text
from tensord.pictures.looking import Look
from tensord.whole_file import appearing

__all__ = ["SAMPLE_ELEMENTS", "draw", "write"]

#: More than a terminal shows: an image of 1,600 x 1,200 with three channels is there whole.
SAMPLE_ELEMENTS = 6 << 20

_DOTS_PER_INCH = 100
_BINS = 60
#: More numbers than these are no longer read in a picture.
_TABLE_ROWS, _TABLE_WIDTH = 32, 110
#: How wide a letter of the title is, about.
_TITLE_DOTS = 8
_NOT_FINITE = "#{:02x}{:02x}{:02x}".format(*pixels.NOT_FINITE)


def write(look: Look, path: str | os.PathLike[str], width: int = 960, height: int = 720) -> None:
    """Writes a file of `width` times `height` pixels; it appears, or is replaced, whole."""
    with appearing(Path(path)) as temporary, temporary.open("wb") as file:
        draw(look, file, width, height)


def draw(look: Look, file: IO[bytes], width: int, height: int) -> None:
    figure = Figure(figsize=(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH, layout="constrained")
    # Names are not formulas, whatever dollars they have; and its warnings, of letters that no font has, help nobody.
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.suptitle("\n".join(text.figures(look, width // _TITLE_DOTS)), fontsize=10)
        kinds = look.pictures or ("table",)
        for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False).ravel(), kinds, strict=True):
            _DRAW[kind](axes, look)
        figure.savefig(file, format="png")


def _image(axes: Any, look: Look) -> None:
    values = look.values if look.values.ndim > 1 else look.values.reshape(1, -1)
    rows, columns = values.shape[:2]
    axes.imshow(pixels.image(values, look.dtype, rows, columns), extent=_extent(look, rows, columns))


def _extent(look: Look, rows: int, columns: int) -> tuple[float, float, float, float]:
    """So that the axes count the tensor's rows and columns, rather than the sample's."""
    shape = look.values_shape
    if look.channels:
        shape = shape[:2] if shape[2] == look.values.shape[2] else shape[1:]
    if len(shape) == 2:
        rows, columns = shape
    elif len(shape) == 1:
        columns = shape[0]
    return -0.5, columns - 0.5, rows - 0.5, -0.5


def _heatmap(axes: Any, look: Look) -> None:
    values = look.values if look.values.ndim > 1 else look.values.reshape(1, -1)
    colours = ListedColormap(pixels.RAMP / 255.0).with_extremes(bad=_NOT_FINITE)
    finite = np.isfinite(values)
    masked = np.ma.masked_where(~finite, _drawable(values))
    drawn = axes.imshow(
        masked, cmap=colours, aspect="auto", interpolation="nearest", extent=_extent(look, *values.shape)
    )
    axes.figure.colorbar(drawn, ax=axes)
    if not finite.all():
        axes.set_xlabel("pink: not finite")


def _drawable(values: Any) -> Any:
    """matplotlib subtracts what is far apart: numbers near the ends of their range it draws only halved."""
    largest = np.finfo(np.float64).max / 8
    with np.errstate(invalid="ignore"):
        return np.clip(values.astype(np.float64), -largest, largest)


def _line(axes: Any, look: Look) -> None:
    values = look.elements.ravel()
    axes.plot(np.arange(values.size) * look.one_in, _drawable(values), linewidth=0.8)
    axes.margins(x=0)


def _histogram(axes: Any, look: Look) -> None:
    values = look.elements
    finite = _drawable(values[np.isfinite(values)])
    if finite.size == 0:
        _say(axes, "no finite numbers")
        return
    counts, edges = np.histogram(pixels.unit(finite), bins=_BINS, range=(0, 1))
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    at = low * (1 - edges) + high * edges
    axes.stairs(counts, at, fill=True)
    axes.set_ylabel("elements" if look.one_in == 1 else "elements of the sample")


def _table(axes: Any, look: Look) -> None:
    lines = text.table(look, _TABLE_WIDTH, _TABLE_ROWS) if look.statistics.elements else ["no elements"]
    _say(axes, "\n".join(lines))


def _say(axes: Any, words: str) -> None:
    axes.set_axis_off()
    lines = words.split("\n")
    wide, high = axes.figure.get_size_inches() * 72  # points; a letter is 0.6 of its height wide
    size = max(4, min(20, 1.5 * wide / max(map(len, lines)), 0.6 * high / len(lines)))
    drawn = axes.text(0.5, 0.5, words, family="monospace", size=size, ha="center", va="center")
    drawn.set_in_layout(False)


_DRAW = {"image": _image, "heatmap": _heatmap, "line": _line, "histogram": _histogram, "table": _table}
