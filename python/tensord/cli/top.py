"""top: who uses the store, and how much of it; a screen that follows it, or its state once."""

import argparse

from tensord import connect
from tensord.cli.extras import need
from tensord.top import plain
from tensord.top.known import Known
from tensord.top.reading import read
from tensord.top.rows import COLUMNS

__all__ = ["add_parsers"]

_INTERVAL_S = 1.0
_LEAST_INTERVAL_S = 0.1


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    top = commands.add_parser(
        "top",
        help="who uses the store, live",
        description="A screen that follows the store: memory, puts a second, its tensors, who holds them, who waits. "
        "Keys: s and r sort, / filters, enter inspects a tensor, q ends it.",
    )
    top.set_defaults(run=run)
    top.add_argument("--interval", type=_interval, default=_INTERVAL_S, metavar="SECONDS", help="default: 1")
    top.add_argument(
        "--sort", choices=[column.title for column in COLUMNS], default="size", help="the column; default: size"
    )
    top.add_argument("--once", action="store_true", help="print it once, as text, rather than show a screen")
    top.add_argument("--rows", type=int, default=30, metavar="N", help="with --once: the first N tensors; default: 30")
    return [top]


def _interval(words: str) -> float:
    seconds = float(words)
    if not seconds >= _LEAST_INTERVAL_S:
        raise argparse.ArgumentTypeError(f"{words} seconds is too often: {_LEAST_INTERVAL_S} at least")
    return seconds


def run(options: argparse.Namespace) -> int:
    column = next(column for column in COLUMNS if column.title == options.sort)
    if options.once:
        with connect(options.socket, start=False) as store:
            print("\n".join(plain.lines(read(store, Known()), column, column.descending, max(0, options.rows))))
        return 0
    need("textual", "top", "top")
    from tensord.top.app import Top

    Top(options.socket, options.interval, column, column.descending).run()
    return 0
