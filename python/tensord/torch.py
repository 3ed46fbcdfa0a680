"""Helpers for PyTorch: one dataset in shared memory for all workers of a DataLoader.

    from tensord.torch import TensorDataset

    dataset = TensorDataset(store["digits/images"], store["digits/labels"])
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True, num_workers=8)

The package is a module of its own, so that `import tensord` needs no torch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.utils.data

from tensord._core import View
from tensord.errors import InvalidArgumentError

__all__ = ["TensorDataset"]


class TensorDataset(torch.utils.data.Dataset[tuple[torch.Tensor, ...]]):
    """``torch.utils.data.TensorDataset`` over views: item ``i`` is ``(view[i], ...)``, without a copy.

    However many workers read it, and by whatever start method, the elements are in memory once: a
    forked worker inherits the mapping, a spawned one attaches by name.

    Owns     the views' pins: closing the views, or deleting their names, takes no elements away. But a
             worker that is *spawned* needs the names; it raises NotFoundError if they are gone.
    Writes   of sealed tensors are private to the process (and seen by later epochs of that worker:
             augment out of place); of live tensors, attached "r+", seen by everybody.
    Raises   InvalidArgumentError if the first dimensions differ, WouldCopyError for live tensors
             attached "r".
    """

    def __init__(self, *views: View) -> None:
        if not views:
            raise InvalidArgumentError("a TensorDataset needs at least one view: TensorDataset(store[name], ...)")
        for view in views:
            if not isinstance(view, View):
                raise InvalidArgumentError(
                    f"a TensorDataset is made of views, not of {type(view).__name__}: store.put(name, tensor) gives one"
                )
        shapes = [(view.name, view.shape) for view in views]  # parts of a tensor have one name
        if any(not shape for _, shape in shapes) or len({shape[0] for _, shape in shapes}) > 1:
            raise InvalidArgumentError(f"the first dimensions of all views must be equal; shapes are {shapes}")
        self._views = tuple(views)
        self.tensors = tuple(view.torch() for view in views)

    def __getitem__(self, index: Any) -> tuple[torch.Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, ...]]:
        """A batch's items, as DataLoader asks for them: one gather for each tensor, not one for each item."""
        chosen = torch.as_tensor(indices)
        return list(zip(*(tensor[chosen].unbind() for tensor in self.tensors), strict=True))

    def __len__(self) -> int:
        return len(self.tensors[0])

    # What a spawned worker gets: the views, which attach again, and no elements.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._views
