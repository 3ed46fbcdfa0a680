"""store.users(): what each user has of the store."""

import os

import numpy as np
import pytest
from running_daemon import RunningDaemon

import tensord


def test_users_are_told_what_they_have_and_may_have(store):
    store.put("a/x", np.zeros(1024, np.uint8))
    with tensord.connect(store.socket) as other:  # or memory would be granted ahead for a row of puts
        view = other.put("a/y", np.zeros(4096, np.uint8))
    store.delete("a/y")
    (user,) = [user for user in store.users() if user.uid == os.geteuid()]
    assert isinstance(user, tensord.UserStats)
    assert (user.used_bytes, user.dying_bytes) == (1024, 4096)
    assert user.tensors == 2
    assert user.connections >= 1  # of those that were closed the daemon hears a moment later
    stats = store.stats()
    assert user.max_bytes == user.max_dying_bytes == stats.limit_bytes
    assert (user.max_tensors, user.max_connections) == (stats.max_tensors, stats.max_connections)
    view.close()
    assert store.users()[0].dying_bytes == 0


def test_a_quota_is_a_memory_error_that_says_what_to_do(tmp_path):
    daemon = RunningDaemon(tmp_path, "--max-bytes-per-user", "1MiB")
    try:
        store = tensord.connect(daemon.socket, start=False)
        store.put("a/x", np.zeros(1 << 19, np.uint8))
        with pytest.raises(MemoryError, match="asked for 1 MiB more, and may have 1 MiB") as told:
            store.put("a/y", np.zeros(1 << 20, np.uint8))
        assert isinstance(told.value, tensord.OutOfSpaceError)
        assert "--max-bytes-per-user" in str(told.value)
    finally:
        daemon.stop()
