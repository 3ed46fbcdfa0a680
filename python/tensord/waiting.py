"""The asyncio twins of the calls that wait: Store.wait_async() and View.wait_async().

A wait sleeps in the kernel, where no event loop reaches it, so each one has a thread of its own for as long as
it lasts; the loop's default executor is left alone. When the awaiting task is cancelled, it goes on at once, and its
thread ends by itself within a fifth of a second. So nobody waits for such threads: not the loop when
it closes, and not the interpreter, which stops those that are left before it goes.
"""

import atexit
import threading
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from tensord._core import Store, View, WaitStop

__all__ = ["wait_for_name", "wait_for_version"]

_T = TypeVar("_T")

# The waits under way, for the end of the interpreter.
_under_way: set[tuple[threading.Thread, WaitStop]] = set()
# How long that end waits for them at most, together. Only a daemon that does not answer takes that long.
_PATIENCE_S = 1.0


async def wait_for_name(
    self: Store, name: str, *, timeout: float | None = None, mode: Literal["r", "r+"] = "r"
) -> View:
    """As wait(), for `await`: attaches to a tensor as soon as somebody has published one of that name.

    timeout in seconds; None: no limit. Raises what wait() raises; its TimeoutError says who has not acted, which
    asyncio.timeout() cannot. Any number of these may be under way; each sleeps on a thread of its own, which
    ends within a fifth of a second after the task is cancelled.
    """
    return await _beside_the_loop(lambda: self.wait(name, timeout=timeout, mode=mode))


async def wait_for_version(self: View, after: int, *, timeout: float | None = None) -> int:
    """As wait(), for `await`: the number of a whole version other than `after`.

    timeout in seconds; None: no limit. Raises what wait() raises; its TimeoutError says who has not acted, which
    asyncio.timeout() cannot. Any number of these may be under way; each sleeps on a thread of its own, which
    ends within a fifth of a second after the task is cancelled.
    """
    return await _beside_the_loop(lambda: self.wait(after, timeout=timeout))


async def _beside_the_loop(wait: Callable[[], _T]) -> _T:
    import asyncio  # more than half of the time of `import tensord`, if it were up there

    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    stop = WaitStop()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():  # cancelled meanwhile
            set_outcome(outcome)

    def run() -> None:
        try:
            try:
                with stop:
                    result = wait()
            except Exception as error:
                loop.call_soon_threadsafe(settle, future.set_exception, error)
            else:
                loop.call_soon_threadsafe(settle, future.set_result, result)
        except RuntimeError:
            pass  # the loop is closed, and nobody awaits this any more
        finally:
            _under_way.discard(entry)

    # A daemon: the interpreter does not join it before _stop_all() has told it to end.
    thread = threading.Thread(target=run, name="tensord-wait", daemon=True)
    entry = (thread, stop)
    _under_way.add(entry)
    try:
        thread.start()
    except RuntimeError:  # no more threads
        _under_way.discard(entry)
        raise
    try:
        return await future
    finally:
        stop.stop()


@atexit.register
def _stop_all() -> None:
    # A thread that is inside of the library when the interpreter goes could not come back into it.
    threads = list(_under_way)
    for _, stop in threads:
        stop.stop()
    for thread, _ in threads:
        thread.join(_PATIENCE_S / len(threads))
