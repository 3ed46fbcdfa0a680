import contextlib
import gc
import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from running_daemon import RunningDaemon

import tensord

# Files that need torch are left out where it is not, as scripts/test-pythons has it; pytest says which.
collect_ignore = [
    file.name
    for file in Path(__file__).parent.glob("test_*.py")
    if find_spec("torch") is None and re.search(r"^(import|from) torch\b", file.read_text(), re.MULTILINE)
]


def pytest_report_header():
    return f"without torch, and so without {', '.join(sorted(collect_ignore))}" if collect_ignore else None


@pytest.fixture(scope="session", autouse=True)
def _noted_messages():
    """What errors said goes where TENSORD_MESSAGES names, for tests/messages."""
    with contextlib.ExitStack() as files, pytest.MonkeyPatch.context() as patch:
        if path := os.environ.get("TENSORD_MESSAGES"):
            file = files.enter_context(open(path, "a", buffering=1))

            def init(self, *args):
                super(tensord.Error, self).__init__(*args)
                if os.getpid() == noting:
                    file.write(" ".join(map(str, args)).replace("\n", " ") + "\n")

            noting = os.getpid()
            patch.setattr(tensord.Error, "__init__", init, raising=False)
        yield


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory):
    """One daemon for all tests that leave nothing behind but tensors."""
    daemon = RunningDaemon(tmp_path_factory.mktemp("daemon"), "--max-bytes", "512MiB")
    yield daemon
    daemon.stop()


@pytest.fixture
def socket(shared_daemon):
    return shared_daemon.socket


@pytest.fixture
def store(shared_daemon):
    """A store that is empty before the test, and after it."""
    with tensord.connect(shared_daemon.socket, start=False) as store:
        assert list(store) == []
        yield store
    gc.collect()  # failed tests keep frames, and frames keep views
    with tensord.connect(shared_daemon.socket, start=False) as store:
        for name in store:
            del store[name]


@pytest.fixture
def own_daemon(tmp_path):
    """A daemon that the test may fill, stop or kill."""
    daemon = RunningDaemon(tmp_path, "--max-bytes", "64MiB")
    yield daemon
    if daemon.process.poll() is None:
        daemon.kill()
