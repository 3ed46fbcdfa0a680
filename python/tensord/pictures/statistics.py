"""The figures of an array: how many elements, the least, the mean, the largest, and how many are not finite."""

from typing import NamedTuple

import numpy as np

from tensord.pictures.numbers import Array

__all__ = ["Statistics", "magnitudes", "number", "statistics_of"]


class Statistics(NamedTuple):
    """Minimum, mean and maximum are of the finite elements, None without any; of complex numbers the magnitudes."""

    elements: int
    minimum: float | None
    mean: float | None
    maximum: float | None
    nans: int
    infinities: int


def magnitudes(values: Array) -> Array:
    """Real numbers, of complex ones their magnitudes."""
    if not np.iscomplexobj(values):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return np.abs(values)


def statistics_of(values: Array) -> Statistics:
    values = magnitudes(values)
    if values.dtype.kind in "biu":
        nans = infinities = 0
        finite = values
    else:
        nans = int(np.isnan(values).sum())
        infinities = int(np.isinf(values).sum())
        finite = values if nans + infinities == 0 else values[np.isfinite(values)]
    if finite.size == 0:
        return Statistics(values.size, None, None, None, nans, infinities)
    # item() keeps integers of 64 bits exact.
    return Statistics(values.size, finite.min().item(), _mean(finite), finite.max().item(), nans, infinities)


def _mean(finite: Array) -> float:
    # Divided first: the sum of numbers near the largest of their type is none.
    exponent = np.frexp(float(np.abs(finite.astype(np.float64)).max()))[1]
    scaled = np.ldexp(finite.astype(np.float64), -int(exponent))
    return float(np.ldexp(scaled.mean(), int(exponent)))


def number(value: float | complex | bool) -> str:
    """A number in few letters: whole ones as they are."""
    if isinstance(value, complex):
        return f"{value.real:.4g}{value.imag:+.4g}j"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
