"""Tensors from files and into files, straight through shared memory: what ``python -m tensord load|save`` runs.

    from tensord import files

    files.load(store, "model", "model.safetensors")  # one tensor for each key: "model/<key>"
    files.save(store, "model", "model.npz")

| ending         | holds                  | read and written by                        |
|----------------|------------------------|--------------------------------------------|
| `.npy`         | one tensor             | `numpy.lib.format`                         |
| `.npz`         | tensors by key         | `zipfile`, `numpy.lib.format`              |
| `.safetensors` | tensors by key         | safetensors: `pip install tensord[files]`  |
| `.pt`, `.pth`  | a flat dict of tensors | torch, weights only: no code of a file runs |

Elements go between file and shared memory in pieces of a few MiB; nothing holds the whole in between.
"""

import contextlib
import functools
import itertools
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tensord._core import Store, View
from tensord.errors import InvalidArgumentError, NotFoundError, UnsupportedTypeError
from tensord.state_dicts import as_torch
from tensord.whole_file import appearing

__all__ = ["load", "save"]

Progress = Callable[[str, int, int], None]
"""Called with a tensor's name, the bytes done so far, and the bytes of all tensors."""

_PIECE_BYTES = 4 << 20


class _Incoming(NamedTuple):
    """A tensor of a file: what to build, and how to fill it. Filling yields the bytes of each piece."""

    key: str
    shape: tuple[int, ...]
    dtype: Any
    fill: Callable[[View], Iterator[int]]
    tensor: Any = None  #: the torch tensor itself, if the file is one of torch's


# ---- the two functions ---------------------------------------------------------------------------


def load(
    store: Store,
    prefix: str,
    path: str | os.PathLike[str],
    *,
    replace: bool = False,
    live: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Puts the tensors of a file into the store, and returns their names.

    prefix   the name for a `.npy`; otherwise names are ``prefix/key``, or the keys if it is empty.
    replace, live  as in ``store.put``.

    All are published together, once everything was read: a file that is cut short leaves nothing behind.
    Tensors of a `.pt` that share memory, tied weights, share it in the store.
    Raises InvalidArgumentError (not such a file), UnsupportedTypeError (a dtype that tensord does not
    hold), AlreadyExistsError, OutOfSpaceError, ImportError (a library is missing), OSError.
    """
    path = Path(path)
    with _reader(path)(path) as incoming:
        named = {"/".join(part for part in (prefix, tensor.key) if part): tensor for tensor in incoming}
        if _share_memory(incoming):
            tensors = {name: tensor.tensor for name, tensor in named.items()}
            _tell_all(store.put_many(tensors, overlap="keep", replace=replace, live=live), progress)
            return list(named)
        specs = {name: (tensor.shape, tensor.dtype) for name, tensor in named.items()}
        with store.build_many(specs, replace=replace, live=live) as views:
            done, total = 0, sum(view.nbytes for view in views.values())
            for name, view in views.items():
                _tell(progress, name, done, total)
                for size_bytes in named[name].fill(view):
                    done += size_bytes
                    _tell(progress, name, done, total)
        return list(named)


def _share_memory(incoming: Sequence[_Incoming]) -> bool:
    tensors = [each.tensor for each in incoming if each.tensor is not None and each.tensor.nbytes]
    places = [tensor.untyped_storage().data_ptr() for tensor in tensors]
    return len(set(places)) < len(places)


def save(
    store: Store,
    name: str,
    path: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> list[str]:
    """Writes tensors into a file, and returns their names. The file appears, or is replaced, whole.

    name  the tensor for a `.npy`; otherwise a prefix: all tensors ``name/key``, or all of the store if
          it is empty. A tensor of just this name is saved under the last part of it.

    Sealed tensors are written from shared memory; live ones are cloned first.
    Raises NotFoundError, UnsupportedTypeError (the format has no such dtype), ImportError, OSError.
    """
    path = Path(path)
    write = _writer(path)
    views = {name: store.attach(name)} if path.suffix == ".npy" else _views_below(store, name)
    with appearing(path) as temporary:
        write(temporary, views, progress)
    return [view.name for view in views.values()]


def _views_below(store: Store, name: str) -> dict[str, View]:
    below = f"{name}/" if name else ""
    views = {found[len(below) :]: store.attach(found) for found in store.names(below)}
    if name and name in store:
        views[name.rpartition("/")[2]] = store.attach(name)
    if not views:
        raise NotFoundError(f"there is no tensor '{name}', and none below '{name}/'" if name else "the store is empty")
    return views


def _tell(progress: Progress | None, name: str, done: int, total: int) -> None:
    if progress is not None:
        progress(name, done, total)


# ---- pieces --------------------------------------------------------------------------------------


def _pieces(shape: Sequence[int], itemsize: int) -> Iterator[tuple[Any, ...]]:
    """Indices that together cover an array of this shape once, in C order, each a contiguous few MiB of it."""
    if math.prod(shape) == 0:
        return
    if not shape:
        yield (...,)
        return
    axis, inner_bytes = len(shape) - 1, itemsize
    while axis > 0 and inner_bytes * shape[axis] <= _PIECE_BYTES:
        inner_bytes *= shape[axis]
        axis -= 1
    step = max(1, _PIECE_BYTES // inner_bytes)
    for outer in itertools.product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], step):
            yield (*(slice(i, i + 1) for i in outer), slice(start, min(start + step, shape[axis])))


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


# ---- .npy and .npz -------------------------------------------------------------------------------


def _read_npy_header(stream: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        shape, fortran_order, dtype = readers[version](stream)
    except ValueError as error:
        raise InvalidArgumentError(f"{what} is not an array that NumPy wrote: {error}") from error
    if dtype.hasobject:
        raise UnsupportedTypeError(f"{what} holds Python objects, not numbers: tensord cannot share them")
    return shape, fortran_order, dtype


def _fill_from_npy(stream: IO[bytes], what: str, view: View) -> Iterator[int]:
    _, fortran_order, dtype = _read_npy_header(stream, what)
    array = view.numpy()
    in_file_order = array.T if fortran_order else array
    # What differs from the tensor's layout takes a way round, a piece at a time.
    direct = in_file_order.flags.c_contiguous and dtype == array.dtype
    for index in _pieces(in_file_order.shape, dtype.itemsize):
        target = in_file_order[index]
        piece = target if direct else np.empty(target.shape, dtype)
        _read_exactly(stream, _bytes_of(piece), what)
        if not direct:
            target[...] = piece
        yield piece.nbytes


def _read_exactly(stream: Any, memory: memoryview, what: str) -> None:
    done = 0
    try:
        while done < len(memory):
            size_bytes = stream.readinto(memory[done:])
            if not size_bytes:
                raise EOFError("it ends too early")
            done += size_bytes
    except (EOFError, zipfile.BadZipFile) as error:
        raise InvalidArgumentError(f"{what} is damaged: {error}") from error


def _npy_tensor(key: str, what: str, open_stream: Callable[[], Any]) -> _Incoming:
    with open_stream() as stream:
        shape, _, dtype = _read_npy_header(stream, what)

    def fill(view: View) -> Iterator[int]:
        with open_stream() as stream:
            yield from _fill_from_npy(stream, what, view)

    return _Incoming(key, shape, dtype.newbyteorder("="), fill)


@contextlib.contextmanager
def _read_npy(path: Path) -> Iterator[list[_Incoming]]:
    yield [_npy_tensor("", str(path), lambda: open(path, "rb"))]  # noqa: SIM115  (its reader closes it)


@contextlib.contextmanager
def _read_npz(path: Path) -> Iterator[list[_Incoming]]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InvalidArgumentError(f"{path} is not an .npz file: {error}") from error
    with archive:
        yield [
            _npy_tensor(member.removesuffix(".npy"), f"{member} in {path}", functools.partial(archive.open, member))
            for member in archive.namelist()
        ]


def _write_array(stream: IO[bytes], view: View, name: str, meter: Callable[[str, int], None]) -> None:
    array = _still(view)
    if array.dtype.isbuiltin != 1:  # of ml_dtypes, or bits that stand in for what NumPy has not
        raise UnsupportedTypeError(f"NumPy's files have no {view.dtype}: save '{name}' as .safetensors or .pt")
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, header)
    in_file_order = array.T if header["fortran_order"] else array
    for index in _pieces(in_file_order.shape, array.itemsize):
        piece = np.ascontiguousarray(in_file_order[index])
        stream.write(_bytes_of(piece))
        meter(name, piece.nbytes)


def _write_npy(path: Path, views: dict[str, View], progress: Progress | None) -> None:
    with open(path, "wb") as stream:
        for view in views.values():
            _write_array(stream, view, view.name, _Meter(views, progress))


def _write_npz(path: Path, views: dict[str, View], progress: Progress | None) -> None:
    meter = _Meter(views, progress)
    with zipfile.ZipFile(path, "w") as archive:
        for key, view in views.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
                _write_array(stream, view, view.name, meter)


class _Meter:
    """Adds up what was written, and tells."""

    def __init__(self, views: dict[str, View], progress: Progress | None) -> None:
        self._progress = progress
        self._done, self._total = 0, sum(view.nbytes for view in views.values())

    def __call__(self, name: str, size_bytes: int) -> None:
        self._done += size_bytes
        _tell(self._progress, name, self._done, self._total)


def _still(view: View) -> np.ndarray[Any, Any]:
    return view.clone() if view.kind == "live" else view.numpy()


# ---- .safetensors --------------------------------------------------------------------------------

_SAFETENSORS_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}


def _import_safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("files of .safetensors need the library: pip install tensord[files]") from error
    return safetensors


@contextlib.contextmanager
def _read_safetensors(path: Path) -> Iterator[list[_Incoming]]:
    safetensors = _import_safetensors()

    def open_file(framework: str) -> Any:
        try:
            return safetensors.safe_open(path, framework)
        except safetensors.SafetensorError as error:
            raise InvalidArgumentError(f"{path} is not a .safetensors file: {error}") from error

    def incoming(key: str) -> _Incoming:
        with open_file("np") as file:
            lazy = file.get_slice(key)
            shape, name = tuple(lazy.get_shape()), lazy.get_dtype()
        if name not in _SAFETENSORS_DTYPES:
            raise UnsupportedTypeError(
                f"'{key}' in {path} has the dtype {name}, which tensord does not hold: convert it"
            )

        def fill(view: View) -> Iterator[int]:
            # What NumPy has not, the library gives as torch's.
            in_torch = name.startswith(("BF16", "F8_"))
            target = view.torch() if in_torch else view.numpy()
            with open_file("pt" if in_torch else "np") as file:
                lazy = file.get_slice(key)
                for index in _pieces(shape, view.itemsize):
                    piece = lazy[index] if shape else file.get_tensor(key)
                    target[index] = piece
                    yield piece.nbytes

        return _Incoming(key, shape, _SAFETENSORS_DTYPES[name], fill)

    with open_file("np") as file:
        keys = list(file.keys())
    yield [incoming(key) for key in keys]


def _write_safetensors(path: Path, views: dict[str, View], progress: Progress | None) -> None:
    safetensors = _import_safetensors()
    # What data_ptr points into.
    arrays = {key: np.asarray(_still(view), order="C") for key, view in views.items()}
    try:
        tensors = {
            # The view's dtype, as the array's may be one that stands in for it.
            key: safetensors.TensorSpec(
                dtype=views[key].dtype, shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes
            )
            for key, array in arrays.items()
        }
        safetensors.serialize_file(tensors, path)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise UnsupportedTypeError(f"the library safetensors does not write these tensors: {error}") from error
    _tell_all(views, progress)


def _tell_all(views: dict[str, View], progress: Progress | None) -> None:
    # The library wrote all at once.
    meter = _Meter(views, progress)
    for view in views.values():
        meter(view.name, view.nbytes)


# ---- .pt -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _read_torch(path: Path) -> Iterator[list[_Incoming]]:
    import torch

    with open(path, "rb") as file:  # so that from here on every error is about what is in it
        zipped = zipfile.is_zipfile(file)  # files of torch before 1.6 are not, and are read whole
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:
        raise InvalidArgumentError(f"{path} is no state dict that can be read without running code: {error}") from error
    if isinstance(content, torch.Tensor):
        content = {"": content}
    if not isinstance(content, dict):
        raise InvalidArgumentError(f"{path} holds a {type(content).__name__}, not a dict of tensors")

    def incoming(key: Any, tensor: Any) -> _Incoming:
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise InvalidArgumentError(
                f"{path} holds a {type(tensor).__name__} under {key!r}, and only a flat dict of dense tensors "
                "can be loaded: save module.state_dict()"
            )

        def fill(view: View) -> Iterator[int]:
            target = view.torch()
            for index in _pieces(tensor.shape, tensor.itemsize):
                target[index].copy_(tensor.detach()[index])
                yield target[index].nbytes

        return _Incoming(key, tuple(tensor.shape), tensor.dtype, fill, tensor)

    yield [incoming(key, tensor) for key, tensor in content.items()]


def _write_torch(path: Path, views: dict[str, View], progress: Progress | None) -> None:
    import torch

    sealed = as_torch({key: view for key, view in views.items() if view.kind == "sealed"})
    tensors = {key: sealed[key] if key in sealed else view.clone(torch=True) for key, view in views.items()}
    torch.save(tensors, path)
    _tell_all(views, progress)


# ---- which is which ------------------------------------------------------------------------------

_FORMATS: dict[str, tuple[Callable[..., Any], Callable[..., None]]] = {
    ".npy": (_read_npy, _write_npy),
    ".npz": (_read_npz, _write_npz),
    ".safetensors": (_read_safetensors, _write_safetensors),
    ".pt": (_read_torch, _write_torch),
    ".pth": (_read_torch, _write_torch),
}


def _format(path: Path) -> tuple[Callable[..., Any], Callable[..., None]]:
    if path.suffix not in _FORMATS:
        raise InvalidArgumentError(f"{path}: the ending says the format, and must be one of {', '.join(_FORMATS)}")
    return _FORMATS[path.suffix]


def _reader(path: Path) -> Callable[[Path], contextlib.AbstractContextManager[list[_Incoming]]]:
    return _format(path)[0]


def _writer(path: Path) -> Callable[[Path, dict[str, View], Progress | None], None]:
    return _format(path)[1]
