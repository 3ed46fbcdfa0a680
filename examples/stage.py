"""Stage: what the `run` of every example does around its own story.

with stage.own_store("audio") as store, stage.processes() as start:
    start("decoder", [program, "file.wav"]).finish()
stage.judge("audio", claims)
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensord

PROCESS_LIMIT_S = 500

Claim = tuple[str, str, bool]
"""What is claimed, what was seen, whether it holds."""


@contextmanager
def own_store(example: str) -> Iterator[tensord.Store]:
    """A store that nobody else uses, in a temporary folder; it and its daemon go at the end, also on SIGTERM.

    $TENSORD_SOCKET leads to it meanwhile, so every process that is started here finds it by connect().
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"{example}: terminated"))
    with tempfile.TemporaryDirectory(prefix=f"tensord-{example}-") as directory:
        os.environ["TENSORD_SOCKET"] = str(Path(directory) / "tensord.sock")
        store = tensord.connect()
        try:
            yield store
        finally:
            store.shutdown()


class Process:
    """A child whose output appears line by line under its name."""

    def __init__(self, name: str, command: Sequence[object]) -> None:
        self.name = name
        env = dict(os.environ, PYTHONUNBUFFERED="1")
        words = [str(word) for word in command]
        self.child = subprocess.Popen(
            words, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.spoke = threading.Event()
        self.reader = threading.Thread(target=self._show_output, daemon=True)
        self.reader.start()

    def _show_output(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            print(f"  {self.name:>8} | {line.rstrip()}", flush=True)
            self.spoke.set()
        self.spoke.set()

    def wait_for_first_line(self) -> None:
        self.spoke.wait(PROCESS_LIMIT_S)

    def runs(self) -> bool:
        return self.child.poll() is None

    def finish(self) -> None:
        """Waits for its end, which is to be a good one."""
        try:
            status = self.child.wait(PROCESS_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{self.name} did not end within {PROCESS_LIMIT_S} s") from None
        self.reader.join(timeout=5)
        if status != 0:
            raise SystemExit(f"{self.name} failed (exit status {status}); its last lines stand above")

    def kill(self) -> None:
        """SIGKILL for it and for what it has started, unless it has ended already."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        self.reader.join(timeout=5)


@contextmanager
def processes() -> Iterator[Callable[[str, Sequence[object]], Process]]:
    """Gives a function that starts a process under a name; none of them outlives the block."""
    running: list[Process] = []

    def start(name: str, command: Sequence[object]) -> Process:
        process = Process(name, command)
        running.append(process)
        return process

    try:
        yield start
    finally:
        for process in running:
            process.kill()


def judge(example: str, claims: Sequence[Claim]) -> None:
    """Prints what was claimed and what was seen. Ends the program with 1 if a claim does not hold."""
    print("\nWhat was claimed, and what was seen")
    width = max(len(claim) for claim, _, _ in claims)
    for claim, seen, holds in claims:
        print(f"  {'ok    ' if holds else 'FAILED'}  {claim:<{width}}  {seen}")
    if not all(holds for _, _, holds in claims):
        raise SystemExit(f"{example}: at least one claim does not hold")
