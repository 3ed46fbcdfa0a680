"""wait_async(): many at once, cancelled, timed out, and left behind; the event loop goes on meanwhile."""

import asyncio
import threading

import numpy as np
import pytest
from other_process import OtherProcess, run_python
from running_daemon import eventually

import tensord


def waiting_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tensord-wait"]


def test_a_name_is_awaited_while_the_loop_goes_on(store, socket):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        waiting = asyncio.create_task(store.wait_async("w/x", timeout=60))
        while ticks < 10:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        producer.say("go")
        view = await waiting
        ticking.cancel()
        return view

    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        hear()
        store.put("w/x", np.arange(3), live=True)
        """,
    ) as producer:
        view = asyncio.run(main())
    assert view.clone().tolist() == [0, 1, 2]


def test_versions_are_awaited_one_after_the_other(store):
    reader = store.put("w/x", np.zeros(2), live=True)

    async def write(writer, turn):
        while True:
            await turn.wait()
            turn.clear()
            with writer.writing():
                writer.numpy()[:] += 1

    async def main():
        turn = asyncio.Event()
        writing = asyncio.create_task(write(store.attach("w/x", mode="r+"), turn))
        version = 0
        for i in range(20):
            asyncio.get_running_loop().call_later(0.001, turn.set)
            version = await reader.wait_async(version, timeout=60)
            assert version == i + 1
        writing.cancel()

    asyncio.run(main())


def test_a_hundred_waits_at_once_leave_the_default_executor_alone(store):
    async def main():
        waits = [asyncio.create_task(store.wait_async(f"w/{i}", timeout=60)) for i in range(100)]
        await asyncio.sleep(0)
        # They would fill the default executor, and this would wait for them.
        await asyncio.to_thread(lambda: [store.put(f"w/{i}", [i]) for i in range(100)])
        return [view.clone()[0] for view in await asyncio.gather(*waits)]

    assert asyncio.run(main()) == list(range(100))
    assert eventually(lambda: not waiting_threads())


def test_a_cancelled_wait_returns_at_once_and_its_thread_ends(store):
    live = store.put("w/live", [0.0], live=True)

    async def main():
        for wait in (lambda: store.wait_async("w/x"), lambda: live.wait_async(0)):
            task = asyncio.create_task(wait())
            while not waiting_threads():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(wait(), 0.01)

    asyncio.run(main())
    assert eventually(lambda: not waiting_threads())
    # A name that comes too late is not attached by anybody who was left behind.
    store.put("w/x", [1.0])
    del store["w/x"]
    assert eventually(lambda: store.stats().dying_tensors == 0)


def test_a_timeout_says_who_has_not_acted(store):
    live = store.put("w/live", [0.0], live=True)

    async def main():
        with pytest.raises(tensord.TimeoutError, match="nobody is building one"):
            await store.wait_async("w/x", timeout=0.02)
        with pytest.raises(tensord.TimeoutError, match="nobody has written it since it was put"):
            await live.wait_async(0, timeout=0.02)
        with pytest.raises(tensord.InvalidArgumentError, match="sealed"):
            await store.put("w/sealed", [1.0]).wait_async(0)
        with pytest.raises(tensord.InvalidArgumentError, match="mode"):
            await store.wait_async("w/live", mode="w")
        return await store.wait_async("w/live", mode="r+")

    assert asyncio.run(main()).mode == "r+"


def test_a_loop_that_is_closed_in_the_middle_of_a_wait_hangs_nobody(store):
    loop = asyncio.new_event_loop()
    task = loop.create_task(store.wait_async("w/x"))
    loop.run_until_complete(asyncio.sleep(0.01))
    task.cancel()
    loop.close()  # without a chance for the task to notice
    store.put("w/x", [1.0])
    assert eventually(lambda: not waiting_threads())
    del task


def test_a_program_that_leaves_waits_behind_ends(socket):
    done = run_python(
        socket,
        """
        import asyncio

        store = tensord.connect()
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(store.wait_async(f"w/{i}")) for i in range(10)]
        loop.run_until_complete(asyncio.sleep(0.05))
        say("leaving")
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == '"leaving"\n'


def test_ctrl_c_ends_a_loop_that_waits(socket):
    import signal

    with OtherProcess(
        socket,
        """
        import asyncio

        async def main():
            waiting = asyncio.create_task(tensord.connect().wait_async("w/x"))
            await asyncio.sleep(0.01)
            say("waiting")
            await waiting

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            say("interrupted")
        """,
    ) as waiter:
        assert waiter.hear() == "waiting"
        waiter.signal(signal.SIGINT)
        assert waiter.hear() == "interrupted"
        assert waiter.wait() == 0
