"""Error messages that no other test goes through (tests/messages looks that each is seen)."""

import os
import socket as sockets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from running_daemon import RunningDaemon, eventually, program

import tensord
from tensord import files
from tensord.shared_memory import SharedMemoryManager


def test_a_daemon_that_fails_to_start_is_told_of_with_its_log(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORD_DAEMON", "/bin/false")
    with pytest.raises(tensord.ConnectionLostError, match=r"failed to start a daemon: .* and in .*socket\.log"):
        tensord.connect(str(tmp_path / "socket"))


def test_a_live_tensor_that_changes_all_the_time_is_not_copied_for_ever(store):
    live = store.put("m/live", np.zeros(1 << 20), live=True)
    reader = store.attach("m/live")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with live.writing():
                live.numpy()[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    said = set()

    def changes_too_fast():
        try:
            reader.read(timeout=0)
        except tensord.TimeoutError as error:
            said.add("changes faster" if "changes faster than it can be copied" in str(error) else "is being written")
        return "changes faster" in said

    try:
        assert eventually(changes_too_fast)
    finally:
        stop.set()
        writer.join()


def test_without_ml_dtypes_numpy_converts_to_no_bfloat16(socket):
    """In a process of its own, which hides the package before tensord looks for it."""
    code = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np, tensord
store = tensord.connect(sys.argv[1])
try:
    store.put("m/x", np.ones(3), dtype="bfloat16")
except tensord.UnsupportedTypeError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code, socket], capture_output=True, text=True, check=True).stdout
    assert "NumPy has no bfloat16 here" in said and "install the package ml_dtypes" in said
    with pytest.raises(tensord.UnsupportedTypeError):
        raise tensord.UnsupportedTypeError(said)  # tests/messages sees this process only


def test_a_block_that_was_left_is_not_left_again(store):
    live = store.put("m/live", np.zeros(4), live=True)
    writing = live.writing()
    with pytest.raises(tensord.InvalidArgumentError, match="never entered, or has ended"):
        writing.__exit__(None, None, None)
    with writing:
        pass
    with pytest.raises(tensord.InvalidArgumentError, match="never entered, or has ended"):
        writing.__exit__(None, None, None)


def test_a_buffer_in_c_order_of_a_fortran_array_would_be_a_copy(store):
    view = store.put("m/f", np.asfortranarray(np.ones((3, 4))))
    with pytest.raises(tensord.WouldCopyError, match="the elements lie in another order"):
        memoryview(np.frombuffer(view))


def test_a_dtype_of_safetensors_that_tensord_does_not_hold_is_named(store, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file({"w": torch.ones(3)}, path)
    monkeypatch.delitem(files._SAFETENSORS_DTYPES, "F32")
    with pytest.raises(tensord.UnsupportedTypeError, match="'w' in .* has the dtype F32, .*: convert it"):
        files.load(store, "m", path)


def test_a_manager_of_shared_memory_is_started_once(monkeypatch, socket):
    monkeypatch.setenv("TENSORD_SOCKET", socket)
    with SharedMemoryManager() as manager, pytest.raises(tensord.InvalidArgumentError, match="enter it once"):
        manager.start()


def test_a_service_manager_that_keeps_no_more_is_named_with_its_setting(tmp_path, monkeypatch):
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))

        def keep():
            while True:
                _, descriptors, _, _ = sockets.recv_fds(manager, 4096, 253)
                for fd in descriptors:
                    os.close(fd)

        threading.Thread(target=keep, daemon=True).start()
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
        monkeypatch.setenv("FDSTORE", "10")
        daemon = RunningDaemon(tmp_path)
        stores = []
        try:
            with pytest.raises(tensord.LimitReachedError, match="keeps .* descriptors .*FileDescriptorStoreMax= is 10"):
                for _ in range(10):
                    stores.append(tensord.connect(daemon.socket, start=False))
            assert stores[0].stats().kept_by == "service manager"
        finally:
            daemon.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can serve as somebody else")
def test_a_socket_in_a_public_place_that_somebody_else_serves_is_not_trusted(monkeypatch):
    stranger = 60_003
    with tempfile.TemporaryDirectory(prefix="tensord-stranger-") as place:
        os.chmod(place, 0o755)
        folder = Path(place) / "tensord"
        folder.mkdir()
        os.chown(folder, stranger, stranger)
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        monkeypatch.delenv("TENSORD_SOCKET", raising=False)
        command = [program(), "--socket", str(folder / "tensord.sock")]
        with subprocess.Popen(
            command, user=stranger, group=stranger, extra_groups=[], stderr=subprocess.DEVNULL
        ) as daemon:
            try:
                assert eventually((folder / "tensord.sock").exists)
                with pytest.raises(
                    tensord.ConnectionLostError, match=f"served by uid {stranger}, who is neither you nor root"
                ):
                    while True:  # until it listens there
                        tensord.connect(start=False).close()
            finally:
                daemon.kill()
