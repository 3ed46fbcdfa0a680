"""Programs that run for as long as they are measured, and no longer."""

import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def die_with_parent() -> None:
    """The calling process ends when its parent does, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def serve(program: Path, arguments: Sequence[str], socket: Path) -> Callable[[], None]:
    """Starts a daemon and returns, once its socket is there, what ends it."""
    process = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    while not socket.exists():
        if process.poll() is not None:
            raise RuntimeError(f"{program.name} ended at once, with {process.returncode}")
        time.sleep(0.01)

    def stop() -> None:
        process.terminate()
        process.wait()

    return stop
