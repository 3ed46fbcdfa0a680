"""view: a tensor as a picture, in the terminal or as a PNG file; once, or again whenever it changes."""

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from tensord import NotFoundError, Store, TimeoutError, TornWriteError, View, connect
from tensord.cli.extras import need
from tensord.pictures import Look, look, text
from tensord.pictures.choose import KINDS, read_index
from tensord.pictures.looking import SAMPLE_ELEMENTS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["add_parsers"]

#: What is written without writing() makes no version, so it is looked at now and then.
_LOOK_EVERY_S = 0.5
#: More often than this nobody sees a picture change.
_FRAME_S = 0.05
#: Pixels of a PNG: less shows nothing, and more takes gigabytes to draw.
_LEAST_SIDE, _MOST_SIDE = 160, 8000
#: Columns of a text that goes into a pipe.
_PIPE_WIDTH = 100

Show = Callable[[Look | None, str], None]
"""Called with what there is to see, and with what is to be said of it."""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    view = commands.add_parser(
        "view",
        help="show a tensor as a picture",
        description="Shows a tensor as a picture: in the colours of the terminal, or as a PNG file. "
        "In a pipe: its figures. Of a large tensor a sample is shown, and it says so.",
    )
    view.set_defaults(run=run)
    view.add_argument("name", help="the tensor")
    view.add_argument("--as", dest="picture", choices=KINDS, help="the kind of picture; default: what suits the tensor")
    view.add_argument("--index", help="the part of it, as NumPy has it: 0,:,10:20", metavar="INDEX")
    view.add_argument("--png", help="write the picture into FILE", metavar="FILE")
    view.add_argument(
        "--size", type=_size, default=(960, 720), help="of the PNG in pixels; default: 960x720", metavar="WxH"
    )
    how_often = view.add_mutually_exclusive_group()
    how_often.add_argument(
        "--watch", action="store_true", help="show it again when it changes or is replaced, until Ctrl-C"
    )
    how_often.add_argument("--once", action="store_true", help="live tensors, too: by default a terminal watches them")
    return [view]


def _size(words: str) -> tuple[int, int]:
    matched = re.fullmatch(r"(\d+)x(\d+)", words)
    if matched is None:
        raise argparse.ArgumentTypeError(f"'{words}' is no size in pixels: say for example 960x720")
    width, height = map(int, matched.groups())
    if not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in (width, height)):
        raise argparse.ArgumentTypeError(f"'{words}': each side has {_LEAST_SIDE} to {_MOST_SIDE} pixels")
    return width, height


def run(options: argparse.Namespace) -> int:
    if options.png:
        need("matplotlib", "view", "a PNG file")
    # A store that has to be started has nothing to show.
    with connect(options.socket, start=False) as store:
        view = store.attach(options.name)
        on_screen = sys.stdout.isatty() and not options.png
        watch = options.watch or (view.kind == "live" and on_screen and not options.once)
        looker = _Looker(options)
        if not watch:
            _once(options, looker(view), on_screen)
            return 0
        with _screen(options) if on_screen else nullcontext(_printer(options)) as show:
            try:
                _watch(store, view, looker, show)
            except KeyboardInterrupt:  # the way to end it
                return 0
    return 0


class _Looker:
    def __init__(self, options: argparse.Namespace) -> None:
        self._index = read_index(options.index) if options.index else ()
        self._picture = options.picture
        self._max_elements = SAMPLE_ELEMENTS
        if options.png:
            from tensord.pictures import png

            self._max_elements = png.SAMPLE_ELEMENTS

    def __call__(self, view: View) -> Look:
        return look(view, index=self._index, picture=self._picture, max_elements=self._max_elements)


# ---- where it is shown ---------------------------------------------------------------------------


def _once(options: argparse.Namespace, seen: Look, on_screen: bool) -> None:
    if on_screen:
        with _screen(options, live=False) as show:
            show(seen, "")
    else:
        _printer(options)(seen, "")


def _printer(options: argparse.Namespace) -> Show:
    """Figures as lines, and the PNG file if one is asked for."""

    def show(seen: Look | None, words: str) -> None:
        if seen is not None:
            if options.png:
                from tensord.pictures import png

                png.write(seen, options.png, *options.size)
            print("\n".join(text.lines(seen, _PIPE_WIDTH)), flush=True)
        if words:
            print(words, flush=True)

    return show


@contextmanager
def _screen(options: argparse.Namespace, live: bool = True) -> Iterator[Show]:
    """A terminal: pictures in colours, by rich; in letters without it."""
    try:
        need("rich", "view", "a picture in colours")
    except ImportError as error:
        print(f"tensord: {error}", file=sys.stderr)
        yield _letters
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    if not live:
        yield lambda seen, words: console.print(_on_console(console, seen, words))
        return
    with Live(console=console, auto_refresh=False, screen=False, vertical_overflow="crop") as region:

        def show(seen: Look | None, words: str) -> None:
            region.update(_on_console(console, seen, words), refresh=True)

        yield show


def _on_console(console: "Console", seen: Look | None, words: str) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from tensord.pictures import terminal

    said: list[RenderableType] = []
    height = console.height - 2  # the prompt comes below, or the cursor
    if words:
        said.append(Text(words, style="yellow", no_wrap=True, overflow="ellipsis"))
        height -= 1
    if seen is not None:
        figures = text.figures(seen, console.width)
        colours = console.color_system is not None and not console.no_color
        height = max(1, height - len(figures))
        said += [Text("\n".join(figures)), terminal.pictures(seen, console.width, height, colours=colours)]
    return Group(*said)


def _letters(seen: Look | None, words: str) -> None:
    width, height = shutil.get_terminal_size()
    if seen is not None:
        shown = text.figures(seen, width)
        for kind in seen.pictures:
            shown += text.picture(seen, kind, width, max(1, (height - len(shown) - 1) // len(seen.pictures)))
        print("\n".join(shown))
    if words:
        print(words)


# ---- when it is shown again ----------------------------------------------------------------------


def _watch(store: Store, view: View, looker: _Looker, show: Show) -> None:
    """For ever. What becomes of the tensor is said beside its last picture."""
    name, words = view.name, ""
    last: Look | None = None
    while True:
        store.stats()  # raises once there is no store any more
        seen: Look | None = None
        try:
            seen, problem = looker(view), ""
        except (TimeoutError, TornWriteError) as error:
            seen, problem = last, str(error)
        if problem != words or not _same(seen, last):
            show(seen, problem)
        last, words = seen, problem
        time.sleep(_FRAME_S)
        try:
            found = store.attach(name)
        except NotFoundError:
            view.close()  # so that its memory comes back
            words = "deleted; this was its last. Waiting for another one of this name, or Ctrl-C"
            show(last, words)
            view = store.wait(name)
            continue
        if found.generation != view.generation:
            view.close()
            view = found
        else:
            found.close()
            _wait_for_change(view, last)


def _wait_for_change(view: View, last: Look | None) -> None:
    if view.kind == "sealed" or last is None:
        time.sleep(_LOOK_EVERY_S)
        return
    try:
        view.wait(after=last.version, timeout=_LOOK_EVERY_S)
    except TimeoutError:
        pass
    except TornWriteError:
        time.sleep(_LOOK_EVERY_S)


def _same(seen: Look | None, last: Look | None) -> bool:
    if seen is None or last is None:
        return seen is last
    return (
        seen.version == last.version
        and seen.generation == last.generation
        and np.array_equal(seen.elements, last.elements, equal_nan=True)
        and np.array_equal(seen.values, last.values, equal_nan=True)
    )
