"""Finding a daemon, starting one, and what happens when it goes away."""

import os
import signal
import socket as sockets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from other_process import OtherProcess, run_python
from running_daemon import eventually, program

import tensord


@pytest.fixture
def place(tmp_path):
    """A socket path where the test may start a daemon, which ends with it."""
    path = str(tmp_path / "started.sock")
    yield path
    try:
        with tensord.connect(path, start=False) as store:
            store.shutdown()
    except tensord.ConnectionLostError:
        pass


@pytest.fixture(autouse=True)
def the_daemon_under_test(monkeypatch):
    monkeypatch.setenv("TENSORD_DAEMON", program())


def test_connect_starts_a_daemon_when_none_is_running(place, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", place)
    with tensord.connect() as store:
        assert store.socket == place
        store.put("a", 1)
        pid = store.stats().daemon_pid
    with tensord.connect() as again:
        assert again.stats().daemon_pid == pid and list(again) == ["a"]


def test_the_package_starts_the_daemon_that_came_with_it(place, monkeypatch):
    packaged = Path(tensord.__file__).parent / "bin" / "tensord"
    if not packaged.exists():
        pytest.skip("this tensord comes from a build tree, which has no daemon inside the package")
    monkeypatch.delenv("TENSORD_DAEMON")
    with tensord.connect(place) as store:
        command = Path(f"/proc/{store.stats().daemon_pid}/cmdline").read_bytes().split(b"\0")
    assert command[0] == os.fsencode(packaged)


def test_a_daemon_outlives_the_process_that_started_it(place):
    done = run_python(place, """tensord.connect().put("left", [1, 2])""")
    assert done.returncode == 0, done.stderr
    with tensord.connect(place, start=False) as store:
        assert store["left"].numpy().tolist() == [1, 2]


def test_many_starters_at_once_give_one_daemon(place):
    code = """
    hear()
    say(tensord.connect().stats().daemon_pid)
    hear()
    """
    others = [OtherProcess(place, code) for _ in range(4)]
    try:
        for other in others:
            other.say("go")
        assert len({other.hear() for other in others}) == 1
    finally:
        for other in others:
            other.__exit__()


def test_a_path_may_be_any_path(own_daemon):
    for path in (own_daemon.socket, Path(own_daemon.socket), os.fsencode(own_daemon.socket)):
        with tensord.connect(socket=path, start=False) as store:
            assert store.socket == own_daemon.socket
            assert own_daemon.socket in repr(store)


def test_without_start_no_daemon_is_an_error_that_says_how_to_start_one(place):
    with pytest.raises(tensord.ConnectionLostError, match="tensorctl start") as caught:
        tensord.connect(place, start=False)
    assert isinstance(caught.value, ConnectionError)
    assert not os.path.exists(place)


def test_a_missing_program_is_named(place, monkeypatch):
    monkeypatch.setenv("TENSORD_DAEMON", "/nowhere/tensord")
    with pytest.raises(tensord.ConnectionLostError, match="/nowhere/tensord"):
        tensord.connect(place)


@pytest.mark.parametrize("kind", [sockets.SOCK_STREAM, sockets.SOCK_SEQPACKET], ids=["stream", "seqpacket"])
def test_a_socket_that_is_not_ours_is_told_from_a_daemon(tmp_path, kind):
    path = str(tmp_path / "other.sock")
    with sockets.socket(sockets.AF_UNIX, kind) as server:
        server.bind(path)
        server.listen()
        code = f"""
        try:
            tensord.connect({path!r}, start=False)
        except ConnectionError as error:
            say([type(error).__name__, str(error)])
        """
        with OtherProcess(path, code) as other:
            if kind == sockets.SOCK_SEQPACKET:
                peer, _ = server.accept()
                peer.recv(65536)
                peer.send(b"hello, I am something else")
            name, text = other.hear()
    assert name == "ConnectionLostError" and "not a tensord socket" in text


def test_a_closed_store_says_so_and_its_views_live_on(socket):
    store = tensord.connect(socket, start=False)
    view = store.put("a", [1, 2])
    store.close()
    store.close()
    for use in (lambda: store.attach("a"), lambda: store.put("b", 1), store.names, store.stats):
        with pytest.raises(tensord.ConnectionLostError, match="closed"):
            use()
    assert view.numpy().tolist() == [1, 2]
    with tensord.connect(socket, start=False) as again:
        again.delete("a")


def test_shutdown_ends_the_daemon_and_leaves_views_readable(own_daemon):
    store = tensord.connect(own_daemon.socket, start=False)
    array = store.put("a", np.arange(4)).numpy()
    store.shutdown()
    assert own_daemon.process.wait(timeout=20) == 0
    with pytest.raises(tensord.ConnectionLostError):
        store.names()
    assert array.tolist() == [0, 1, 2, 3]


def test_a_killed_daemon_is_an_error_and_views_stay_readable(own_daemon):
    pytest.importorskip("torch")
    store = tensord.connect(own_daemon.socket, start=False)
    view = store.put("a", np.arange(4))
    own_daemon.kill()
    with pytest.raises(tensord.ConnectionLostError, match="gone"):
        store.put("b", 1)
    assert view.numpy().tolist() == view.torch().tolist() == view.clone().tolist() == [0, 1, 2, 3]


WAITING = """
import threading, time
store = tensord.connect()
say("connected")
hear()
# The daemon is stopped: whoever comes first waits for it, and the others wait for him.
for _ in range({threads}):
    threading.Thread(target=store.names, daemon=True).start()
    time.sleep(0.1)
try:
    say("waiting")
    store.names()
    say("answered")
except KeyboardInterrupt:
    say("interrupted")
store.close()
os._exit(0)
"""


@pytest.mark.parametrize("threads", [0, 2])
def test_ctrl_c_ends_a_wait_for_a_daemon_that_does_not_answer(own_daemon, threads):
    with OtherProcess(own_daemon.socket, WAITING.format(threads=threads)) as other:
        assert other.hear() == "connected"
        os.kill(own_daemon.pid, signal.SIGSTOP)
        try:
            other.say("go")
            assert other.hear() == "waiting"

            def asleep():
                with open(f"/proc/{other.process.pid}/syscall") as file:
                    return not file.read().startswith("running")

            assert eventually(asleep)
            other.signal(signal.SIGINT)
            assert other.hear() == "interrupted"
        finally:
            os.kill(own_daemon.pid, signal.SIGCONT)


def test_a_request_given_up_by_ctrl_c_spoils_no_later_one(own_daemon):
    code = """
    store = tensord.connect()
    store.put("a", 1)
    say("ready")
    hear()
    try:
        say("waiting")
        store.build("never", 1000, "float64")
    except KeyboardInterrupt:
        say("interrupted")
    hear()
    say([store.names(), store.stats().building_tensors, store["a"].numpy().tolist()])
    """
    with OtherProcess(own_daemon.socket, code) as other:
        assert other.hear() == "ready"
        os.kill(own_daemon.pid, signal.SIGSTOP)
        other.say("go")
        assert other.hear() == "waiting"
        # One signal may come before the request waits, and then ends it before it is sent: fine too.
        other.signal(signal.SIGINT)
        assert other.hear() == "interrupted"
        os.kill(own_daemon.pid, signal.SIGCONT)
        other.say("go on")
        assert other.hear() == [["a"], 0, 1]


def test_importing_tensord_imports_nothing_that_takes_long():
    code = "import sys, tensord; print(sorted({'numpy', 'torch', 'ml_dtypes', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
