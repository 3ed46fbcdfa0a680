import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))

from running_daemon import RunningDaemon

import tensord


def pytest_addoption(parser):
    parser.addoption("--actor", required=True, type=Path, help="the C++ program that holds the page's C++ blocks")


class Actor:
    """A process that plays one side of the page: actor.py, or the program made of its C++ blocks."""

    def __init__(self, command, socket):
        self._process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, "TENSORD_SOCKET": socket},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words):
        """The answer, as a dict; None if the process died of it."""
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def do(self, *words):
        """The answer; an assertion if it is an error."""
        answer = self.ask(*words)
        assert answer is not None and "error" not in answer, answer
        return answer

    def wait(self):
        return self._process.wait(timeout=120)

    def close(self):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    daemon = RunningDaemon(tmp_path_factory.mktemp("daemon"), "--max-bytes", "256MiB")
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def start_actor(request, daemon):
    """Starts a process for a language; it ends with the tests."""
    commands = {
        "python": [sys.executable, Path(__file__).with_name("actor.py")],
        "cpp": [request.config.getoption("--actor")],
    }
    actors = []

    def start(language):
        actors.append(Actor(commands[language], daemon.socket))
        return actors[-1]

    yield start
    for actor in actors:
        actor.close()


@pytest.fixture(scope="session")
def players(start_actor):
    """One process for each side and language, for all examples: Python takes seconds to import torch."""
    return {
        (role, language): start_actor(language) for role in ("producer", "consumer") for language in ("python", "cpp")
    }


@pytest.fixture
def store(daemon):
    """The test's own connection; the store is empty before and after."""
    with tensord.connect(daemon.socket, start=False) as store:
        yield store
        for name in store:
            del store[name]
