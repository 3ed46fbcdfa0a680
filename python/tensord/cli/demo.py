"""demo: the first minute with a store, in two processes, with NumPy alone. It shows each line that it runs."""

import argparse
import subprocess
import sys
import textwrap
from typing import Any

from tensord import AlreadyExistsError, ConnectionLostError, Error, Store, connect

__all__ = ["add_parsers"]

_NAMES = ("demo/image", "demo/matrix", "demo/wave", "demo/counter")

# ---- the play: each line is printed and run ------------------------------------------------------

_PUTS = """\
import numpy as np, tensord
store = tensord.connect({socket})
y, x = np.mgrid[0:240, 0:320]
image = np.stack([x * 255 // 320, y * 255 // 240, (x ^ y) & 255], axis=-1).astype("uint8")
store.put("demo/image", image{replace})  # one copy, in; nobody changes it any more
store.put("demo/matrix", np.sin(x / 30) * np.cos(y / 25), dtype="float32"{replace})
store.put("demo/wave", np.sin(np.linspace(0, 40, 4000)) * np.linspace(0, 1, 4000){replace})
view = store.put("demo/counter", np.zeros(8, "int64"), live=True{replace})  # live: written in place
counter = view.numpy()  # no copy: the shared memory itself
counter
"""

_OTHER = """\
import numpy as np, os, tensord
store = tensord.connect({socket})
image = store["demo/image"].numpy()  # no copy
print("pid", os.getpid(), "sees", image.shape, image.dtype, "of mean", round(float(image.mean()), 2))
view = store.attach("demo/counter", "r+")
for step in range(1000):
    with view.writing():  # all of it at once, for whoever waits or copies
        view.numpy()[:] += np.arange(8)
"""

_LOOKS = """\
counter  # nobody sent it here
view.version
store.attach("demo/image").numpy().flags.writeable  # sealed
store.names("demo/")
"""

_NEXT = """
The tensors stay. Look at them, from any process:

    python -m tensord view demo/image
    python -m tensord view demo/counter
    python -m tensord top
    tensorctl ls
    tensorctl holders demo/counter
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    demo = commands.add_parser(
        "demo",
        help="see it work: two processes, four tensors",
        description="Puts an image, a matrix, a vector and a counter into a store, has a second process look and "
        "count, and shows each line that it runs. Starts a store if none runs, and leaves nothing behind.",
    )
    demo.set_defaults(run=run)
    demo.add_argument("--keep", action="store_true", help="leave the tensors, and the store, to be looked at")
    demo.add_argument("--replace", action="store_true", help="take over names that exist")
    return [demo]


def run(options: argparse.Namespace) -> int:
    ours = not _runs(options.socket)
    with connect(options.socket) as store:
        if not options.replace:
            _refuse_taken(store)
        print(f"A store {'was started for you' if ours else 'runs already'}: {store.socket}\n")
        keep = False
        try:
            _play(
                socket="" if options.socket is None else repr(options.socket),
                replace=", replace=True" if options.replace else "",
            )
            keep = options.keep
        finally:
            if not keep:
                _clean_up(store, ours)
    if options.keep:
        if options.socket is not None:
            print(f"\n    export TENSORD_SOCKET={options.socket}", end="")
        print(_NEXT, end="")
    else:
        print(f"\nIts tensors are deleted{', and its store has ended' if ours else ''}. To keep them, and look around:")
        print("\n    python -m tensord demo --keep")
    return 0


def _runs(socket: str | None) -> bool:
    try:
        connect(socket, start=False).close()
    except ConnectionLostError:
        return False
    return True


def _refuse_taken(store: Store) -> None:
    taken = [name for name in _NAMES if name in store]
    if taken:
        raise AlreadyExistsError(
            f"the store has {', '.join(taken)} already, of a demo with --keep perhaps: --replace takes over, and the "
            "end of the demo deletes what it put"
        )


def _clean_up(store: Store, ours: bool) -> None:
    for name in _NAMES:
        if name in store:
            store.delete(name)
    if ours and not list(store):
        store.shutdown()


def _play(**words: str) -> None:
    namespace: dict[str, Any] = {}
    _run_lines(_PUTS.format(**words), namespace)
    code = _OTHER.format(**words)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        print(f"\nAnother process, pid {other.pid}, runs meanwhile:\n")
        print(textwrap.indent(code, "    "))
        _run_lines("view.wait(after=0, timeout=60)  # sleeps until it has written a version\n", namespace)
        said, _ = other.communicate()
    if other.returncode != 0:
        raise Error(f"the other process failed, with {other.returncode}: it says why above")
    print(f"\nIt said, and has ended:\n\n{textwrap.indent(said, '    ')}")
    _run_lines(_LOOKS, namespace)


def _run_lines(code: str, namespace: dict[str, Any]) -> None:
    """As if they were typed; what they show is shown, and not kept in `_`, which would hold tensors."""
    shown_by, sys.displayhook = sys.displayhook, _show
    try:
        for line in code.splitlines():
            print(f">>> {line}", flush=True)
            exec(compile(line, "<demo>", "single"), namespace)
    finally:
        sys.displayhook = shown_by


def _show(value: object) -> None:
    if value is not None:
        print(repr(value), flush=True)
