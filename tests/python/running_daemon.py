"""A daemon of the test's own, which ends with the test."""

import ctypes
import os
import shutil
import signal
import socket as sockets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import tensord

_PR_SET_PDEATHSIG = 1


def program() -> str:
    """The daemon under test: $TENSORD_DAEMON, or the one that came with the installed package."""
    named = os.environ.get("TENSORD_DAEMON")
    if named:
        return named
    packaged = Path(tensord.__file__).parent / "bin" / "tensord"
    found = str(packaged) if packaged.exists() else shutil.which("tensord")
    if not found:
        raise RuntimeError("no tensord daemon to test: pip install this project, or name one in TENSORD_DAEMON")
    return found


def eventually(condition: Callable[[], object], patience_s: float = 20.0) -> bool:
    """Whether `condition` becomes true; how soon does not matter."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def _die_with_the_tests(how: signal.Signals) -> None:
    # Also when pytest itself is killed, no daemon of its tests runs on.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)


class RunningDaemon:
    def __init__(self, directory: str | Path, *options: str) -> None:
        self.socket = str(Path(directory) / "tensord.sock")
        self.log_path = Path(directory) / "tensord.log"
        # A keeper has a daemon to stop.
        at_our_end = signal.SIGTERM if "--keep" in options else signal.SIGKILL
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program(), "--socket", self.socket, "--log-level", "info", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _die_with_the_tests(at_our_end),
            )
        if not eventually(lambda: self._serves() or self.process.poll() is not None):
            raise RuntimeError("the daemon did not come up: " + self.log())
        if self.process.poll() is not None:
            raise RuntimeError("the daemon ended at once: " + self.log())

    def _serves(self) -> bool:
        # The socket's file is there a moment before somebody listens.
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET) as probe:
            return probe.connect_ex(self.socket) == 0

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
