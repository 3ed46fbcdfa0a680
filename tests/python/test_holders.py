"""store.holders(): who holds the memory of a tensor."""

import os
from pathlib import Path

import numpy as np
import pytest
from other_process import OtherProcess
from running_daemon import eventually

import tensord


def test_holders_are_told_with_what_they_hold(store):
    array = np.arange(5.0)
    view = store.put("a/x", array)
    (holder,) = store.holders("a/x")
    assert holder == store.holders(name="a/x")[0]
    assert (holder.name, holder.state, holder.views) == ("a/x", "attached", 1)
    assert (holder.pid, holder.uid, holder.nbytes) == (os.getpid(), os.geteuid(), array.nbytes)
    assert holder.command == Path("/proc/self/comm").read_text().strip()
    assert holder.created_unix_ns == store.info("a/x").created_unix_ns
    assert 0 < holder.connected_unix_ns <= holder.created_unix_ns

    as_array = view.numpy()
    view.close()
    assert store.holders("a/x")[0].views == 1
    del as_array
    assert store.holders("a/x") == []


def test_a_killed_process_holds_nothing(store, socket):
    store.put("a/x", np.arange(5.0)).close()
    code = """
        view = tensord.connect()["a/x"]
        say(os.getpid())
        hear()
    """
    with OtherProcess(socket, code) as other:
        pid = other.hear()
        store.delete("a/x")
        (holder,) = [holder for holder in store.holders() if holder.state == "dying"]
        assert (holder.name, holder.pid) == ("a/x", pid)
        other.process.kill()
        assert eventually(lambda: all(holder.state != "dying" for holder in store.holders()))
    with pytest.raises(tensord.NotFoundError, match="a/x"):
        store.holders("a/x")


def test_what_is_being_built_is_its_builders(store):
    with store.build("a/x", 3, "float32"):
        (holder,) = store.holders("a/x")
        assert (holder.state, holder.pid) == ("building", os.getpid())
    with pytest.raises(tensord.InvalidArgumentError):
        store.holders("")
