import gc

import pytest
from running_daemon import RunningDaemon

import tensord


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
