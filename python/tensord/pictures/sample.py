"""At most so many elements of a tensor, and of a live one all of one version. The others are not copied."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tensord._core import View
from tensord.pictures.numbers import Array, numbers

__all__ = ["Sample", "steps_for", "take"]


#: Scattered elements cost a page fault and a cache miss each, so a sample is so much smaller than what is read whole.
_THINNER = 4


class Sample(NamedTuple):
    values: Array  #: numbers
    version: int
    steps: tuple[int, ...]  #: every so many-th index of each dimension; all ones: nothing is left out

    @property
    def one_in(self) -> int:
        """One element of how many is here."""
        return math.prod(self.steps)


def steps_for(shape: Sequence[int], max_elements: int, whole: Collection[int] = ()) -> tuple[int, ...]:
    """The steps that leave `max_elements` at most of this shape, or as few as the dimensions in `whole` allow.

    Longer dimensions are thinned first: each is cut to one common length.
    """
    if 0 in shape:
        return (1,) * len(shape)
    thinned = [size for axis, size in enumerate(shape) if axis not in whole]
    room = max_elements // max(1, math.prod(shape[axis] for axis in whole))
    low, high = 1, max([1, *thinned])  # the common length: `low` fits, or nothing does
    while low < high:
        middle = (low + high + 1) // 2
        if math.prod(min(size, middle) for size in thinned) <= room:
            low = middle
        else:
            high = middle - 1
    return tuple(1 if axis in whole else max(1, math.ceil(size / low)) for axis, size in enumerate(shape))


def take(view: View, max_elements: int, *, whole: Collection[int] = (), timeout: float | None = 5.0) -> Sample:
    """Elements of `view` at even distances: all of them if they are `max_elements` at most, else a quarter of so many.

    whole    dimensions that are not to be thinned: channels.
    timeout  seconds for a writer to end; see View.read(), whose errors are raised.
    """
    most = max_elements if view.size <= max_elements else max_elements // _THINNER
    steps = steps_for(view.shape, most, whole)
    part = view if math.prod(steps) == 1 else view[tuple(slice(None, None, step) for step in steps)]
    array, version = part.read(timeout=timeout)
    return Sample(numbers(array, view.dtype), version, steps)
