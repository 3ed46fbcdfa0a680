import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "python"), str(ROOT / "examples"), str(ROOT / "examples" / "audio")]

from running_daemon import RunningDaemon  # noqa: E402

import tensord  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--decoder", required=True, type=Path, help="the built decoder of examples/audio")


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    daemon = RunningDaemon(tmp_path_factory.mktemp("daemon"), "--max-bytes", "256MiB")
    yield daemon
    daemon.stop()


@pytest.fixture
def store(daemon):
    with tensord.connect(daemon.socket, start=False) as store:
        yield store
        for name in store:
            del store[name]


@pytest.fixture
def decode(pytestconfig, daemon, monkeypatch):
    """Starts the decoder for one file, whose name in the store is "it"."""
    monkeypatch.setenv("TENSORD_SOCKET", daemon.socket)
    started = []

    def start(path):
        command = [pytestconfig.getoption("decoder"), "0", f"it={path}"]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
