"""python -m tensord load|save: files into a store, and back."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tensord import Error, connect, files


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        with connect(options.socket) as store, _progress() as progress:
            if options.command == "load":
                prefix = options.prefix if options.prefix is not None else Path(options.file).stem
                names = files.load(
                    store, prefix, options.file, replace=options.replace, live=options.live, progress=progress
                )
            else:
                names = files.save(store, options.name, options.file, progress=progress)
    except (Error, ImportError, OSError) as error:
        print(f"tensord: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    verb = "loaded from" if options.command == "load" else "saved to"
    print(f"{len(names)} tensor{'' if len(names) == 1 else 's'} {verb} {options.file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tensord", description="Tensors from files, and into files.")
    commands = parser.add_subparsers(dest="command", required=True)

    load = commands.add_parser("load", help="put the tensors of a file into the store")
    load.add_argument("file", help="a .npy, .npz, .safetensors, .pt or .pth file")
    load.add_argument("prefix", nargs="?", help="names are PREFIX/KEY, of a .npy PREFIX; default: the file's name")
    load.add_argument("--replace", action="store_true", help="take over names that exist")
    load.add_argument("--live", action="store_true", help="tensors that may be written in place")

    save = commands.add_parser("save", help="write tensors of the store into a file")
    save.add_argument("name", help="a tensor, or the prefix of several; '' for all")
    save.add_argument("file", help="the file; its ending says the format")

    for command in (load, save):
        command.add_argument("--socket", help="the daemon's socket; else as tensord.connect() finds it")
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
