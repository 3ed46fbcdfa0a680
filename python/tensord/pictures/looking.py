"""A Look: what is known of one tensor at one moment, enough to draw it. It holds no tensor, only a sample of one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

from tensord._core import View
from tensord.pictures import choose
from tensord.pictures.numbers import Array
from tensord.pictures.sample import Sample, take
from tensord.pictures.statistics import Statistics, magnitudes, statistics_of

__all__ = ["SAMPLE_ELEMENTS", "Look", "look"]

#: For a terminal. More would not be seen there, and a million numbers are counted in milliseconds.
SAMPLE_ELEMENTS = 1 << 20

#: Numbers in a table, along each dimension.
_TABLE_SIDE = 64

#: How often two samples are taken again so that both are of one version.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Look:
    name: str
    dtype: str
    shape: tuple[int, ...]  #: of the tensor
    nbytes: int
    kind: str  #: "sealed" or "live"
    version: int
    generation: int  #: see View
    index: str  #: the part that was asked for; empty: all
    part_shape: tuple[int, ...]  #: of that part
    statistics: Statistics  #: of `elements`
    elements: Array  #: of that part, of any shape
    one_in: int  #: one element of how many these are
    pictures: tuple[str, ...]  #: of choose.KINDS; "line" and "histogram" are of `elements`, others of `values`
    values: Array  #: rows, columns and perhaps channels
    values_index: str  #: which part of that part `values` are of; empty: all
    values_shape: tuple[int, ...]  #: how many there are, whereas a sample or a corner is in `values`
    channels: bool


def look(
    view: View,
    *,
    index: Sequence[int | slice | EllipsisType] = (),
    picture: str | None = None,
    max_elements: int = SAMPLE_ELEMENTS,
    timeout: float | None = 5.0,
) -> Look:
    """Looks at a tensor.

    index    the part of it that is meant.
    picture  one of choose.KINDS; None: what suits it.
    timeout  seconds for a writer of a live tensor to end.
    Raises what indexing a View and View.read() raise.
    """
    part = view[tuple(index)] if index else view
    for plan in choose.plans_for(part.shape, part.dtype, picture):
        shown = part[(0,) * plan.leading] if plan.leading else part
        for _ in range(_ATTEMPTS):
            values = _values(shown, plan, max_elements, timeout)
            elements = values if _is_all(values, shown, part) else take(part, max_elements, timeout=timeout)
            if elements.version == values.version:
                break
        if not (plan.if_unit and not _is_unit(values.values)):
            break
    array = values.values
    if plan.channels == 0:
        array = array.transpose(1, 2, 0)
    return Look(
        name=view.name,
        dtype=view.dtype,
        shape=view.shape,
        nbytes=view.nbytes,
        kind=view.kind,
        version=elements.version,
        generation=view.generation,
        index=choose.index_text(index),
        part_shape=part.shape,
        statistics=statistics_of(elements.values),
        elements=magnitudes(elements.values),
        one_in=elements.one_in,
        pictures=plan.kinds,
        values=array if "table" in plan.kinds else magnitudes(array),
        values_index=choose.index_text([0] * plan.leading + [slice(None)] * (shown.ndim)) if plan.leading else "",
        values_shape=shown.shape,
        channels=plan.channels is not None,
    )


def _values(shown: View, plan: choose.Plan, max_elements: int, timeout: float | None) -> Sample:
    if "table" in plan.kinds and math.prod(shown.shape) > 0:  # neighbours, rather than every so many-th
        shown = shown[tuple(slice(0, _TABLE_SIDE) for _ in shown.shape)] if shown.ndim else shown
    return take(shown, max_elements, whole=() if plan.channels is None else (plan.channels,), timeout=timeout)


def _is_all(values: Sample, shown: View, part: View) -> bool:
    return shown.shape == part.shape and values.values.size >= part.size


def _is_unit(values: Array) -> bool:
    return bool(values.size and ((values >= 0) & (values <= 1)).all())  # NaN is neither
