"""Arrays as colours: an array of rows, columns and red, green, blue (uint8), fitted into a space."""

import numpy as np

from tensord.pictures.numbers import Array

__all__ = ["NOT_FINITE", "RAMP", "heatmap", "image", "levels", "resize", "size_of_heatmap", "size_of_image", "unit"]

#: The colour of NaN and of infinities, which no other number has.
NOT_FINITE = (255, 0, 170)

#: What shows through where an image is transparent.
_BEHIND = 40

#: Small arrays are enlarged so many times at most.
_MAX_ENLARGEMENT = 8


def _ramp() -> Array:
    """256 colours from dark to light, once round the hues on the way (Green's cubehelix): also right in grey."""
    light = np.linspace(0.08, 0.95, 256)
    angle = 2 * np.pi * (0.55 / 3 + 1 - 0.9 * light)
    swing = 1.2 * light * (1 - light) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    hues = np.array([[-0.14861, 1.78277], [-0.29227, -0.90649], [1.97294, 0.0]])
    colours = light + swing * (hues[:, :1] * cosine + hues[:, 1:] * sine)
    return np.asarray((colours.T.clip(0, 1) * 255).round(), np.uint8)


RAMP = _ramp()


def unit(values: Array) -> Array:
    """Real numbers brought to 0 to 1, the least to 0 and the largest to 1; all alike to 0.5; NaN what is not finite."""
    floats = values.astype(np.float64)
    finite = np.isfinite(floats)
    if not finite.any():
        return np.full(values.shape, np.nan)
    floats[~finite] = np.nan
    # Halved first, as the distance between two doubles may be larger than any.
    floats /= max(float(np.nanmax(np.abs(floats))), np.finfo(np.float64).tiny)
    least, most = float(np.nanmin(floats)), float(np.nanmax(floats))
    if most <= least:
        return np.where(finite, 0.5, np.nan)
    return np.asarray((floats - least) / (most - least))


def resize(values: Array, rows: int, columns: int) -> Array:
    """Blocks become their means; where there are fewer elements than asked for, they are repeated. NaN spreads."""
    for axis, wanted in ((0, rows), (1, columns)):
        size = values.shape[axis]
        starts = np.arange(wanted) * size // wanted
        if wanted < size:
            counts = np.diff(np.append(starts, size)).reshape((-1,) + (1,) * (values.ndim - 1 - axis))
            values = np.add.reduceat(values, starts, axis=axis) / counts
        elif wanted > size:
            values = values.take(starts, axis=axis)
    return values


def size_of_image(rows: int, columns: int, max_rows: int, max_columns: int) -> tuple[int, int]:
    """How large an image is drawn: a whole number of times itself, or as large as fits, its sides in proportion."""
    if rows <= max_rows and columns <= max_columns:
        times = min(max_rows // rows, max_columns // columns, _MAX_ENLARGEMENT)
        return rows * times, columns * times
    scale = min(max_rows / rows, max_columns / columns)
    return max(1, int(rows * scale)), max(1, int(columns * scale))


def size_of_heatmap(rows: int, columns: int, max_rows: int, max_columns: int) -> tuple[int, int]:
    """The same for a matrix, whose rows and columns need not be in proportion: as much of it as fits."""
    if rows <= max_rows and columns <= max_columns:
        return size_of_image(rows, columns, max_rows, max_columns)
    return min(rows, max_rows), min(columns, max_columns)


def levels(values: Array, dtype: str) -> Array:
    """The brightness of an image's elements from 0 to 1: of uint8 and of floats from 0 to 1 as they are."""
    if dtype in ("uint8", "bool"):
        return values / (255.0 if dtype == "uint8" else 1.0)
    if values.dtype.kind == "f" and values.size and np.all((values >= 0) & (values <= 1)):
        return values.astype(np.float64)
    return unit(values)


def image(values: Array, dtype: str, max_rows: int, max_columns: int) -> Array:
    """`values`: rows, columns and perhaps 1, 3 or 4 channels."""
    rows, columns = size_of_image(values.shape[0], values.shape[1], max_rows, max_columns)
    shown = resize(levels(values, dtype), rows, columns)
    if shown.ndim == 2:
        shown = shown[..., np.newaxis]
    colours = np.broadcast_to(shown[..., :3], (rows, columns, 3)) * 255
    if shown.shape[-1] == 4:
        colours = colours * shown[..., 3:] + _BEHIND * (1 - shown[..., 3:])
    return _painted(colours)


def heatmap(values: Array, max_rows: int, max_columns: int) -> Array:
    """`values`: rows and columns."""
    shown = resize(unit(values), *size_of_heatmap(values.shape[0], values.shape[1], max_rows, max_columns))
    with np.errstate(invalid="ignore"):
        colours = RAMP[np.nan_to_num(shown * 255).round().clip(0, 255).astype(np.uint8)].astype(np.float64)
    colours[np.isnan(shown)] = np.nan
    return _painted(colours)


def _painted(colours: Array) -> Array:
    missing = np.isnan(colours).any(axis=-1)
    painted = np.nan_to_num(colours).round().clip(0, 255).astype(np.uint8)
    painted[missing] = NOT_FINITE
    return painted
