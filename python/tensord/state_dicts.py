"""Whole models: the tensors of a module, put under one prefix and attached together.

    store.put_state_dict("model", module)                              # one copy, in
    module.load_state_dict(store.state_dict("model"), assign=True)     # none; in any process

Tensors that share memory, tied weights, share it in the store and in what comes out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from tensord._core import Store, View
from tensord.errors import InvalidArgumentError, NotFoundError, UnsupportedTypeError

__all__ = ["put_state_dict", "state_dict"]


# These two are methods of Store: tensord/__init__.py hangs them there.


def put_state_dict(
    self: Store,
    prefix: str,
    module: Any,
    *,
    replace: bool = False,
    live: bool = False,
    lifetime: Literal["store", "client"] = "store",
) -> dict[str, View]:
    """Puts the tensors of a module, published together or not at all. Returns their views, by name.

    prefix   the names are ``prefix/key``, or the keys if it is empty.
    module   a torch.nn.Module, its state_dict(), or another mapping of keys to torch tensors or NumPy
             arrays. Exactly one copy of each, in; of tensors that share memory, one of all that they share.
    replace, live, lifetime  as for put(). Names of an older set that are not among the new keys stay.

    Raises as put_many(); UnsupportedTypeError for an entry that is no tensor.
    """
    named = {_join(prefix, key): _checked(key, tensor) for key, tensor in _entries(module)}
    return self.put_many(named, overlap="keep", replace=replace, live=live, lifetime=lifetime)


def state_dict(self: Store, prefix: str, mode: Literal["r", "r+"] = "r") -> dict[str, Any]:
    """The tensors below a prefix as a dict of torch tensors by key, without a copy, all of one moment.

    For ``module.load_state_dict(store.state_dict(prefix), assign=True)``. Keys are sorted: the store keeps
    no order, and load_state_dict asks for none. As for ``view.torch()``: what is written to the tensors of
    a sealed set stays in this dict; of a live set, with mode "r+", everybody sees it.

    Tied weights are one tensor object under both keys. load_state_dict(assign=True) makes a Parameter of
    each, over the same memory; tie them again before you train, as after every loading with assign=True.

    Raises NotFoundError (nothing is there), WouldCopyError (a live set with mode "r"), PermissionDeniedError.
    """
    below = _join(prefix, "")
    names = self.names(below)
    if not names:
        raise NotFoundError(f"there is no tensor below '{below}'" if prefix else "the store is empty")
    views = self.attach_many(names, mode)
    return {name[len(below) :]: tensor for name, tensor in as_torch(views).items()}


def _join(prefix: str, key: str) -> str:
    return f"{prefix}/{key}" if prefix else key


def _entries(module: Any) -> Iterable[tuple[Any, Any]]:
    # A Module is no mapping, but has a method that makes one.
    state = module if isinstance(module, Mapping) else getattr(module, "state_dict", lambda: None)()
    if not isinstance(state, Mapping):
        raise InvalidArgumentError(
            f"put_state_dict takes a torch.nn.Module or a mapping of keys to tensors, not a {type(module).__name__}"
        )
    return state.items()


def _checked(key: Any, tensor: Any) -> Any:
    import numpy as np
    import torch

    if not isinstance(key, str):
        raise InvalidArgumentError(f"the keys of a state dict are str, not {key!r}")
    if not isinstance(tensor, (torch.Tensor, np.ndarray)):
        raise UnsupportedTypeError(
            f"{key!r} is a {type(tensor).__name__}, not a tensor: leave it out, and send it by other means. (State "
            "dicts of optimizers are nested: put the tensors in them under names of your own, by put_many.)"
        )
    return tensor


# ---- tied weights ----------------------------------------------------------------------------------


def _extent(view: View) -> range:
    """The bytes of its segment that the elements lie in."""
    first = view.location.offset
    if view.size == 0:
        return range(first, first)
    steps = sum((length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True))
    return range(first, first + (steps + 1) * view.itemsize)


def as_torch(views: dict[str, View]) -> dict[str, Any]:
    """Each view as a tensor. Those whose elements lie within another's are made of the other's memory.

    Otherwise each view of a sealed tensor would have a private mapping of its own: what is written to
    one of two tied weights would not be seen in the other.
    """

    # The wider first, where several begin at one place, so that each may lie within one that came before.
    def place(name: str) -> tuple[int, int, int]:
        extent = _extent(views[name])
        return views[name].location.segment, extent.start, -len(extent)

    tensors: dict[str, Any] = {}
    wide: str | None = None
    for name in sorted(views, key=place):
        view = views[name]
        if wide is not None and _lies_within(view, views[wide]):
            tensors[name] = _part_of(tensors[wide], views[wide], view)
        else:
            tensors[name] = view.torch()
            wide = name if view.size else wide
    return {name: tensors[name] for name in views}


def _lies_within(view: View, wide: View) -> bool:
    inner, outer = _extent(view), _extent(wide)
    return (
        view.size > 0
        and view.location.segment == wide.location.segment
        and outer.start <= inner.start
        and inner.stop <= outer.stop
        and view.dtype == wide.dtype
        and (inner.start - outer.start) % view.itemsize == 0
    )


def _part_of(tensor: Any, wide: View, view: View) -> Any:
    offset = (view.location.offset - wide.location.offset) // view.itemsize
    if (offset, view.shape, view.strides) == (0, wide.shape, wide.strides):
        return tensor
    return tensor.as_strided(view.shape, view.strides, tensor.storage_offset() + offset)
