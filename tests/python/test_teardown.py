"""Tensors that end where nobody expects it: on threads that Python knows nothing of, at exit, and after it.

What other libraries keep of a tensor is pure C++: it needs no GIL, no interpreter, and no Python thread.
"""

import ctypes
import queue
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from foreign_arrays import Managed, ManagedVersioned, consume
from other_process import run_python
from running_daemon import eventually

EXPORTS = 10_000


@pytest.fixture(params=["sealed", "live"])
def mode(request, store):
    """How to attach to the tensor "a": "r" of a sealed one, "r+" of a live one."""
    store.put("a", np.arange(6), live=request.param == "live")
    return {"sealed": "r", "live": "r+"}[request.param]


def assert_nothing_is_left(store):
    store.delete("a")
    assert eventually(lambda: store.stats().dying_tensors == 0)


@pytest.mark.parametrize("form, max_version", [(Managed, None), (ManagedVersioned, (1, 0))])
def test_deleters_run_on_threads_that_python_knows_nothing_of(store, mode, form, max_version):
    libc = ctypes.CDLL(None)
    libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
    per_round = 100
    for _ in range(EXPORTS // per_round):
        threads = []
        for _ in range(per_round):
            taken = consume(store.attach("a", mode).__dlpack__(max_version=max_version), form)
            thread = ctypes.c_ulong()
            start, argument = ctypes.c_void_p(taken.deleter), ctypes.c_void_p(ctypes.addressof(taken))
            assert libc.pthread_create(ctypes.byref(thread), None, start, argument) == 0
            threads.append(thread)
        for thread in threads:
            libc.pthread_join(thread, None)
    assert_nothing_is_left(store)


def test_torch_tensors_go_on_another_thread_than_they_came_from(store, mode):
    tensors = queue.SimpleQueue()

    def drop():
        while tensors.get() is not None:
            pass

    thread = threading.Thread(target=drop)
    thread.start()
    for _ in range(EXPORTS):
        tensors.put(store.attach("a", mode).torch())
    tensors.put(None)
    thread.join()
    assert_nothing_is_left(store)


# ---- the end of a process ------------------------------------------------------------------------

AT_EXIT = {
    "everything in globals": """
        views = [sealed, live, store.attach("live", "r+")]
        tensors = [sealed.torch(), live.torch(), torch.from_dlpack(live), live.clone(torch=True)]
        arrays = [sealed.numpy(), np.from_dlpack(sealed), memoryview(live)]
        capsules = [sealed.__dlpack__(), live.__dlpack__(max_version=(1, 0))]
    """,
    "tensors that outlive all modules": """
        import builtins
        builtins.kept = [sealed.torch(), live.torch(), sealed.numpy(), live.__dlpack__(), store, sealed]
    """,
    "a tensor in a cycle with a finaliser": """
        class Owner:
            def __init__(self):
                self.self, self.tensor = self, live.torch()

            def __del__(self):
                self.tensor += 1

        Owner()
        kept = Owner()
    """,
    "handlers of atexit that still use the store": """
        import atexit
        atexit.register(store.close)  # runs last
        atexit.register(lambda: store.attach("live", "r+").torch().sum())
        atexit.register(lambda: store.put("late", sealed.torch()).torch().add_(1))
    """,
    "a build that never ended": """
        build = store.build("unfinished", 3, "float32")
        view = build.__enter__()
        array, tensor = view.numpy(), view.torch()
    """,
    "a write that never ended": """
        writing = live.writing()
        writing.__enter__()
    """,
    "daemon threads that hold tensors": """
        import threading
        held = threading.Barrier(5)

        def hold():
            tensor, array, view = store.attach("live", "r+").torch(), sealed.numpy(), store.attach("sealed")
            held.wait()
            threading.Event().wait()

        for _ in range(4):
            threading.Thread(target=hold, daemon=True).start()
        held.wait()
    """,
    "daemon threads that wait": """
        import threading, time
        waiting = [threading.Thread(target=live.wait, args=(live.version,), daemon=True) for _ in range(2)]
        for thread in waiting:
            thread.start()
        time.sleep(0.2)
    """,
    "daemon threads at work": """
        import threading
        begun = threading.Barrier(3)

        def work(number):
            begun.wait()
            while True:
                # Not in torch, whose own calls abort a process that ends around such a thread.
                store.put(f"work/{number}", np.ones(1000), replace=True).numpy().sum()
                store.attach("live").clone()
                store.names()

        for number in range(2):
            threading.Thread(target=work, args=(number,), daemon=True).start()
        begun.wait()
    """,
}


def at_exit(code):
    setup = """
import torch
store = tensord.connect()
sealed, live = store.put("sealed", np.arange(6)), store.put("live", np.arange(6), live=True)
"""
    return setup + textwrap.dedent(code) + "\nsay('the end')\n"


@pytest.mark.parametrize("code", AT_EXIT.values(), ids=AT_EXIT)
def test_a_process_ends_well_with(socket, store, code):
    ended = run_python(socket, at_exit(code))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "the end" in ended.stdout


def test_deleters_run_after_the_interpreter_is_gone(socket, store):
    ended = run_python(
        socket,
        at_exit(f"""
            import ctypes
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from foreign_arrays import ManagedVersioned, consume

            libc = ctypes.CDLL(None)
            register = libc["__cxa_atexit"]  # what is registered runs in exit(), so after Py_Finalize(), last first
            register.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
            done = ctypes.create_string_buffer(b"every deleter ran")
            libc.strdup.restype = ctypes.c_void_p  # memory that no interpreter takes away
            register(ctypes.cast(libc.puts, ctypes.c_void_p), libc.strdup(done), None)
            for view in [sealed, live] * 50:
                taken = consume(view.__dlpack__(max_version=(1, 0)), ManagedVersioned)
                register(taken.deleter, ctypes.addressof(taken), None)
            """),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "every deleter ran"
