"""python -m tensord: for data and for the eye. The commands are in tensord.cli."""

import argparse
import os
import sys

from tensord import Error, __version__
from tensord.cli import demo, files, top, view


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read our output has enough; Python flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Error, ImportError, OSError) as error:
        print(f"tensord: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tensord",
        description="Tensors of the store as files, pictures, and a screen that shows who uses them. "
        "tensorctl is for operations.",
    )
    parser.add_argument("--version", action="version", version=f"tensord {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, files, view, top):
        for command in module.add_parsers(commands):
            command.add_argument("--socket", help="the daemon's socket; else as tensord.connect() finds it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
