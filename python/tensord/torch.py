"""Helpers for PyTorch: one dataset in shared memory for all workers of a DataLoader.

    from tensord.torch import TensorDataset

    dataset = TensorDataset(store["digits/images"], store["digits/labels"])
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True, num_workers=8)

The package is a module of its own, so that `import tensord` needs no torch.
"""

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

    # And no __getitems__ that gathers a batch's items at once: the collating copies them in any case, so a gather is a
    # copy more. For items of 3 KiB a batch takes 1.6 times as long with it, for pictures of 224 x 224 5.8 times.
    def __getitem__(self, index: Any) -> tuple[torch.Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    # What a spawned worker gets: the views, which attach again, and no elements.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._views
