"""load and save: files into the store, and back."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tensord import connect, files
from tensord.words import some

__all__ = ["add_parsers"]


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    load = commands.add_parser("load", help="put the tensors of a file into the store")
    load.set_defaults(run=_load)
    load.add_argument("file", help="a .npy, .npz, .safetensors, .pt or .pth file")
    load.add_argument("prefix", nargs="?", help="names are PREFIX/KEY, of a .npy PREFIX; default: the file's name")
    load.add_argument("--replace", action="store_true", help="take over names that exist")
    load.add_argument("--live", action="store_true", help="tensors that may be written in place")

    save = commands.add_parser("save", help="write tensors of the store into a file")
    save.set_defaults(run=_save)
    save.add_argument("name", help="a tensor, or the prefix of several; '' for all")
    save.add_argument("file", help="the file; its ending says the format")
    return [load, save]


def _load(options: argparse.Namespace) -> int:
    prefix = options.prefix if options.prefix is not None else Path(options.file).stem
    with connect(options.socket) as store, _progress() as progress:
        names = files.load(store, prefix, options.file, replace=options.replace, live=options.live, progress=progress)
    print(f"{some(len(names), 'tensor')} loaded from {options.file}")
    return 0


def _save(options: argparse.Namespace) -> int:
    with connect(options.socket) as store, _progress() as progress:
        names = files.save(store, options.name, options.file, progress=progress)
    print(f"{some(len(names), 'tensor')} saved to {options.file}")
    return 0


@contextlib.contextmanager
def _progress() -> Iterator[files.Progress]:
    """A bar on a terminal, if the package rich is there; else a line for each tensor."""
    bars_wanted = sys.stdout.isatty()
    try:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    except ImportError:
        bars_wanted = False
    if not bars_wanted:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as bars:
        bar = bars.add_task("")
        yield lambda name, done, total: bars.update(bar, description=name, completed=done, total=total)


class _Lines:
    def __init__(self) -> None:
        self._name: str | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        if name != self._name:
            self._name = name
            print(name, flush=True)
