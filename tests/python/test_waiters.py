"""store.waiters(), store.holders_of_all() and the counters of store.stats(): what people look at."""

import os
import threading
import time

import numpy as np
from running_daemon import eventually

import tensord


def test_a_thread_that_sleeps_for_a_name_is_a_waiter_until_it_comes(store, socket):
    waiting = tensord.connect(socket)
    thread = threading.Thread(target=waiting.wait, args=("w/x",), kwargs={"timeout": 60})
    thread.start()
    eventually(lambda: store.waiters() != [])
    (waiter,) = store.waiters()
    assert isinstance(waiter, tensord.Waiter)
    assert (waiter.name, waiter.waits_for, waiter.pid) == ("w/x", "name", os.getpid())
    assert waiter.uid == os.geteuid() and waiter.connection > 0 and waiter.command != "?"
    assert 0 < waiter.since_unix_ns <= time.time_ns()
    store.put("w/x", [1.0])
    thread.join()
    assert store.waiters() == []


def test_holders_of_all_are_those_of_every_tensor_that_begins_so(store):
    views = [store.put(name, np.zeros(8)) for name in ("a/x", "a/y", "b/x")]
    store.delete("a/y")
    found = {(holder.name, holder.state) for holder in store.holders_of_all("a/")}
    assert found == {("a/x", "attached"), ("a/y", "dying")}
    assert {holder.name for holder in store.holders_of_all()} >= {"a/x", "a/y", "b/x"}
    assert store.holders_of_all("n" * 1000) == []
    del views


def test_stats_count_what_was_published_and_say_who_keeps_the_store(store):
    before = store.stats()
    store.put("a/x", np.zeros(1024, np.uint8))
    store.put("a/x", np.zeros(1024, np.uint8), replace=True)
    after = store.stats()
    assert (after.published - before.published, after.deleted - before.deleted) == (2, 1)
    assert after.published_bytes - before.published_bytes == 2048
    assert after.kept_by in ("nobody", "keeper", "service manager")
