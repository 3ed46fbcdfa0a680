"""A peer's processes, from the outside: started when first asked, ended without leaving anything behind."""

import ctypes
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import environments

from peers.catalogue import ENTRIES

BENCHMARKS = Path(__file__).resolve().parent.parent

# Longer than a host waits for its producer and consumer.
PATIENCE_S = 300

Json = dict[str, Any]


def adopt_orphans() -> None:
    """Daemons of a peer whose parent has died become our children, so that none is left running."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_descendants() -> None:
    """Of this process: all that is left of the peers, with whatever they had started."""
    kill(descendants(os.getpid()))


def remove_litter(prefix: str, pids: Sequence[int]) -> list[str]:
    """Removes what a peer left in /dev/shm; what it was, without what is different in each run."""
    torch_prefixes = tuple(f"torch_{pid}_" for pid in pids)
    left = []
    for entry in Path("/dev/shm").iterdir():
        if entry.name.startswith(prefix) or entry.name.startswith(torch_prefixes):
            with suppress(OSError):
                entry.unlink()
            left.append(entry.name)
    return left


class NoAnswer(Exception):
    """Carries the kind ("cannot", "failed") and the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason


class Running:
    """A peer whose host process is running: started on first use, and again after something failed."""

    starts = 0

    def __init__(self, key: str, environments_root: Path, logs: Path) -> None:
        self.key, self.entry = key, ENTRIES[key]
        self.log_path = logs / f"{key}.log"
        self.log_path.unlink(missing_ok=True)
        self.environment = dict(os.environ, PYTHONPATH=str(BENCHMARKS))
        if self.entry.environment:
            self.python = environments.python_of(self.entry.environment, environments_root)
            self.environment.pop("PYTHONHOME", None)
        else:
            self.python = Path(sys.executable)
            for ours in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
                self.environment["PYTHONPATH"] += os.pathsep + ours
        self.process: subprocess.Popen[str] | None = None
        self.left_behind: list[str] = []

    def start(self) -> Json:
        """What the peer says of itself. Raises NoAnswer."""
        Running.starts += 1
        # Short, because paths of sockets have to be.
        self.place = Path(tempfile.mkdtemp(prefix="tnp"))
        self.prefix = f"tnp{os.getpid()}-{Running.starts}-"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.python), "-m", "peers.host", self.key, str(self.place), self.prefix],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment,
            )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.listen, args=(self.process, self.answers), daemon=True).start()
        hello: Json = self.answer()
        return hello

    @staticmethod
    def listen(process: "subprocess.Popen[str]", answers: "queue.Queue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def answer(self) -> Any:
        try:
            line = self.answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            line = ""
        if not line:
            self.end()
            raise NoAnswer("failed", f"the host of this peer did not answer; see {os.path.relpath(self.log_path)}")
        ((kind, value),) = json.loads(line).items()
        if kind == "failed":
            self.end()  # whatever state it is in
        if kind != "result":
            raise NoAnswer(kind, value)
        return value

    def ask(self, method: str, **arguments: Any) -> Any:
        if self.process is None:
            self.start()
        assert self.process is not None and self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([method, arguments]) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        if self.process is None:
            return
        pids = descendants(self.process.pid)
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            pids = descendants(self.process.pid)
            self.process.kill()
            self.process.wait()
        kill([pid for pid in pids if pid in descendants(os.getpid())])
        self.process = None
        self.left_behind += remove_litter(self.prefix, pids)
        shutil.rmtree(self.place, ignore_errors=True)
