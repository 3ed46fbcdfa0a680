"""A Look in letters: lines that fit a width, for pipes, files and terminals without colours."""

import itertools
import math
import textwrap

import numpy as np

from tensord.pictures import pixels
from tensord.pictures.looking import Look
from tensord.pictures.numbers import Array
from tensord.pictures.statistics import number
from tensord.words import bytes_text, count_text

__all__ = ["figures", "histogram", "line", "lines", "picture", "shades", "table"]

#: From dark to light.
_SHADES = " .:-=+*#%@"
_NOT_FINITE = "!"

_MAX_BINS = 16
_TABLE_ROWS = 64
_INDEX_WIDTH = 5
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def lines(look: Look, width: int) -> list[str]:
    """The figures, and of few elements the numbers themselves. No pictures: see picture()."""
    return figures(look, width) + (table(look, width, _TABLE_ROWS) if "table" in look.pictures else [])


def figures(look: Look, width: int) -> list[str]:
    """What is known of the tensor, in two to five lines."""
    known = [look.name, look.dtype, str(look.shape), bytes_text(look.nbytes), look.kind]
    if look.kind == "live":
        known.append(f"version {look.version}")
    shown = ["  ".join(known), _statistics(look)]
    if look.index:
        shown.append(f"of [{look.index}], {look.part_shape}")
    if look.one_in > 1:
        shown.append(f"of a sample, 1 element in {count_text(look.one_in)}")
    if look.values_index:
        what = ", ".join(kind for kind in look.pictures if kind not in ("line", "histogram"))
        shown.append(f"the {what} is [{look.values_index}] of it")
    return [line for part in shown for line in textwrap.wrap(part, max(20, width))]


def _statistics(look: Look) -> str:
    found = look.statistics
    if found.elements == 0:
        return "no elements"
    parts = []
    if found.minimum is not None and found.mean is not None and found.maximum is not None:
        parts += [f"min {number(found.minimum)}", f"mean {number(found.mean)}", f"max {number(found.maximum)}"]
    if look.dtype.startswith("complex"):
        parts.append("(magnitudes)")
    if found.nans:
        parts.append(f"NaN {count_text(found.nans)}")
    if found.infinities:
        parts.append(f"infinite {count_text(found.infinities)}")
    return "  ".join(parts)


def picture(look: Look, kind: str, width: int, height: int) -> list[str]:
    """One of the pictures of a Look, in `height` lines at most."""
    width, height = max(8, width), max(1, height)
    if kind == "table":
        return table(look, width, height)
    if kind == "line":
        return line(look.elements.ravel(), width, height)
    if kind == "histogram":
        return histogram(look.elements, width, height)
    return shades(look, kind, width, height)


# ---- numbers -------------------------------------------------------------------------------------


def table(look: Look, width: int, height: int) -> list[str]:
    """The first numbers, in rows and columns; "…" where there are more."""
    values = look.values
    cells = [number(value) for value in values.ravel().tolist()]
    cell_width = max(map(len, cells), default=1) + 2
    if values.ndim == 0 or not cells:
        return cells
    if values.ndim == 1:
        a_line = max(1, (width - _INDEX_WIDTH) // cell_width)
        rows = [
            f"[{at}]".ljust(_INDEX_WIDTH) + "".join(cell.rjust(cell_width) for cell in cells[at : at + a_line])
            for at in range(0, len(cells), a_line)
        ]
        return _cut(rows, height, more=values.shape[0] < look.values_shape[0])
    columns = min(values.shape[1], max(1, (width - 2) // cell_width))
    # A pair of float4 is two columns.
    more = " …" if columns < max(look.values_shape[1], values.shape[1]) else ""
    rows = [
        "".join(cell.rjust(cell_width) for cell in cells[at : at + columns]) + more
        for at in range(0, len(cells), values.shape[1] or 1)
    ]
    return _cut(rows, height, more=values.shape[0] < look.values_shape[0])


def _cut(rows: list[str], height: int, *, more: bool) -> list[str]:
    if len(rows) > height or more:
        rows = [*rows[: max(1, height - 1)], "  …"]
    return rows


# ---- shades --------------------------------------------------------------------------------------


def shades(look: Look, kind: str, width: int, height: int) -> list[str]:
    """An image or a heat map; a letter is about twice as high as wide, so it stands for two rows."""
    values = _rows_and_columns(look.values)
    if kind == "image":
        values = pixels.levels(values, look.dtype)
        if values.ndim == 3:
            values = values[..., :3].mean(axis=-1)
        rows, columns = pixels.size_of_image(values.shape[0], values.shape[1], 2 * height, width)
    else:
        values = pixels.unit(values)
        rows, columns = pixels.size_of_heatmap(values.shape[0], values.shape[1], 2 * height, width)
    shown = pixels.resize(values, max(1, rows // 2), columns)
    steps = np.nan_to_num(shown * (len(_SHADES) - 1)).round().astype(int)
    letters = np.where(np.isnan(shown), _NOT_FINITE, np.array(list(_SHADES))[steps])
    return ["".join(row) for row in letters]


def _rows_and_columns(values: Array) -> Array:
    return values if values.ndim >= 2 else values.reshape(1, -1)


# ---- a line --------------------------------------------------------------------------------------

#: The bits of a braille letter's dots: two columns of four.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def line(values: Array, width: int, height: int) -> list[str]:
    """Numbers in their order, from left to right: of each column its least to its largest."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return ["no finite numbers"]
    labels = [number(finite.max().item()), number(finite.min().item())]
    margin = max(map(len, labels)) + 1
    columns = max(1, width - margin - 1)
    low, high = _bounds(pixels.unit(values), 2 * columns)
    dots = np.zeros((4 * height, 2 * columns), dtype=bool)
    for column in range(2 * columns):
        if not math.isnan(low[column]):
            top, bottom = ((1 - at) * (4 * height - 1) for at in (high[column], low[column]))
            dots[round(top) : round(bottom) + 1, column] = True
    cells = dots.reshape(height, 4, columns, 2).transpose(0, 2, 1, 3)
    letters = (cells * _DOTS).sum(axis=(2, 3)) + 0x2800
    rows = ["".join(map(chr, row)) for row in letters]
    labels = [labels[0], *[""] * (height - 2), labels[1]] if height > 1 else [labels[0]]
    return [f"{label:>{margin}}│{row}"[:width] for label, row in zip(labels, rows, strict=True)]


def _bounds(values: Array, columns: int) -> tuple[Array, Array]:
    """From where to where the line goes in each column; NaN: nowhere."""
    if values.size <= columns:
        at = np.linspace(0, values.size - 1, columns)
        # Between a number and a NaN there is no line, but each number is seen.
        low = np.interp(at, np.arange(values.size), values)
        nearest = values[at.round().astype(int)]
        low = np.where(np.isnan(low), nearest, low)
        high = low.copy()
    else:
        starts = np.arange(columns) * values.size // columns
        low = np.fmin.reduceat(values, starts)
        high = np.fmax.reduceat(values, starts)
    # Each column reaches its neighbour before it, so that the line has no gaps.
    low[1:], high[1:] = (
        np.where(np.isnan(low[1:]), np.nan, np.fmin(low[1:], high[:-1])),
        np.where(np.isnan(high[1:]), np.nan, np.fmax(high[1:], low[:-1])),
    )
    return low, high


# ---- a histogram ---------------------------------------------------------------------------------


def bins_of(values: Array, max_bins: int) -> tuple[list[str], Array]:
    """A label for each bin, and how many of the finite numbers are in it."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if finite.size == 0:
        return [], np.zeros(0, int)
    least, most = finite.min().item(), finite.max().item()
    if values.dtype.kind in "biu" and int(most) - int(least) < max_bins:
        every = range(int(least), int(most) + 1)
        counts = np.bincount((finite.astype(np.int64) - int(least)).ravel(), minlength=len(every))
        return [str(bool(at)) if values.dtype.kind == "b" else str(at) for at in every], counts
    if most == least:
        return [number(least)], np.array([finite.size])
    counts, edges = np.histogram(pixels.unit(finite), bins=max_bins, range=(0, 1))
    starts = [number(float(least) * (1 - edge) + float(most) * edge) for edge in edges.tolist()]
    return [f"{low} … {high}" for low, high in itertools.pairwise(starts)], counts


def histogram(values: Array, width: int, height: int) -> list[str]:
    labels, counts = bins_of(values, max(1, min(height, _MAX_BINS)))
    if not labels:
        return ["no finite numbers"]
    margin = max(map(len, labels))
    amounts = [count_text(count) for count in counts.tolist()]
    room = max(1, width - margin - max(map(len, amounts)) - 4)
    return [
        f"{label:>{margin}} │{_bar(count / counts.max() * room)} {amount}"[:width]
        for label, count, amount in zip(labels, counts.tolist(), amounts, strict=True)
    ]


def _bar(length: float) -> str:
    eighths = round(length * 8)
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
