"""Which picture suits a tensor, and which part of it that picture shows."""

import re
from collections.abc import Sequence
from types import EllipsisType
from typing import NamedTuple

from tensord.errors import InvalidArgumentError

__all__ = ["KINDS", "Plan", "index_text", "plans_for", "read_index"]

KINDS = ("image", "heatmap", "line", "histogram", "table")

#: So few elements say more as numbers than as a picture.
_TABLE_ELEMENTS = 32
#: Fewer rows or columns than this are no image, unless it is said.
_IMAGE_SIDE = 8


class Plan(NamedTuple):
    kinds: tuple[str, ...]  #: of KINDS: pictures to be shown below each other
    leading: int  #: so many dimensions are taken at their first index for the first picture
    channels: int | None = None  #: the dimension of colours in what is left; None: it has none
    if_unit: bool = False  #: suits only if all elements are from 0 to 1


def plans_for(shape: Sequence[int], dtype: str, kind: str | None = None) -> list[Plan]:
    """Plans, the best first; the last one suits whatever the elements are."""
    if 0 in shape:
        return [Plan((), 0)]
    pairs = dtype.endswith("_x2")  # the last dimension is not what the shape says
    if kind is not None:
        return [_said(() if pairs else shape, kind, len(shape))]
    plans = []
    image = _image(shape, _IMAGE_SIDE)
    if image is not None and (dtype == "uint8" or "float" in dtype) and not pairs:
        plans.append(image._replace(if_unit=dtype != "uint8"))
    leading = max(0, len(shape) - 2)
    rest = shape[leading:]
    if _count(rest) <= _TABLE_ELEMENTS:
        kinds: tuple[str, ...] = ("table",)
    else:
        kinds = ("heatmap",) if len(rest) == 2 and min(rest) > 1 else ("line", "histogram")
    if _count(shape[:leading]) > 1 and "histogram" not in kinds:
        kinds += ("histogram",)  # of all elements, where the first picture is of few of them
    return [*plans, Plan(kinds, leading)]


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _image(shape: Sequence[int], least_side: int) -> Plan | None:
    """As an image with channels, last or first, if the last three dimensions can be that."""
    if len(shape) < 3:
        return None
    leading, (first, middle, last) = len(shape) - 3, shape[-3:]
    if last in (1, 3, 4) and min(first, middle) >= least_side:
        return Plan(("image",), leading, channels=2)
    if first in (1, 3, 4) and min(middle, last) >= least_side:
        return Plan(("image",), leading, channels=0)
    return None


def _said(shape: Sequence[int], kind: str, dimensions: int) -> Plan:
    if kind in ("line", "histogram"):
        return Plan((kind,), 0)
    return (_image(shape, 1) if kind == "image" else None) or Plan((kind,), max(0, dimensions - 2))


# ---- indices as people type them -----------------------------------------------------------------

_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")


def read_index(text: str) -> tuple[int | slice | EllipsisType, ...]:
    """`0,:,10:20,...` as NumPy means it. Raises InvalidArgumentError."""
    return tuple(_read_one(part.strip(), text) for part in text.strip().strip("[]()").split(","))


def _read_one(part: str, text: str) -> int | slice | EllipsisType:
    if part == "...":
        return ...
    if re.fullmatch(r"-?\d+", part):
        return int(part)
    matched = _SLICE.fullmatch(part)
    if matched is None:
        raise InvalidArgumentError(
            f"the index '{text}' has '{part}', which is no whole number, slice or '...': say for example 0,:,10:20"
        )
    start, stop, step = (int(number) if number else None for number in matched.groups())
    return slice(start, stop, step)


def index_text(index: Sequence[int | slice | EllipsisType]) -> str:
    """The same, for people to read and to type again."""

    def one(item: int | slice | EllipsisType) -> str:
        if isinstance(item, slice):
            ends = [item.start, item.stop] + ([item.step] if item.step is not None else [])
            return ":".join("" if end is None else str(end) for end in ends)
        return "..." if isinstance(item, EllipsisType) else str(item)

    return ",".join(map(one, index))
