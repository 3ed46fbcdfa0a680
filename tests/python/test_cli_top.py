"""python -m tensord top: what it reads, its text, and its screen, driven by Textual's pilot beside real daemons."""

import asyncio
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from on_terminal import OnTerminal
from other_process import OtherProcess
from running_daemon import RunningDaemon, eventually
from textual.widgets import Static

import tensord
from tensord.top import known, plain, rows
from tensord.top.app import Top
from tensord.top.inspection import Inspection
from tensord.top.reading import Rates, rates, read
from tensord.top.table import TensorTable

BY_SIZE = next(column for column in rows.COLUMNS if column.title == "size")


def top(socket, *arguments, without=()):
    hidden = "".join(f"sys.modules[{module!r}] = None; " for module in without)
    code = f"import sys; {hidden}from tensord.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, "top", "--socket", socket, *arguments], capture_output=True, text=True, timeout=120
    )


# ---- once, as text -------------------------------------------------------------------------------


def test_once_is_plain_text_without_textual_and_rich(store, socket):
    held = [store.put("run/large", np.zeros(1000)), store.put("run/small", np.zeros(3, np.int8))]
    done = top(socket, "--once", without=["textual", "rich", "matplotlib"])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tensord ") and lines[0].endswith(socket)
    assert "2 tensors" in lines[2] and lines[4].split() == ["name", "dtype", "shape", "size", "kind", "age", "holders"]
    assert lines[5].split()[:5] == ["run/large", "float64", "1000", "7.8", "KiB"]
    assert lines[6].split()[:5] == ["run/small", "int8", "3", "3", "bytes"]
    assert [line.split()[-1] for line in lines[5:7]] == ["1", "1"]
    holder = next(line for line in lines if f"pid {os.getpid()} " in line)
    assert "7.8 KiB, 2 views of 2 tensors" in holder
    del held


def test_once_sorts_and_ends_where_it_is_told(store, socket):
    for size in range(1, 6):
        store.put(f"t/{size}", np.zeros(size))
    done = top(socket, "--once", "--sort", "name", "--rows", "2")
    names = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("t/")]
    assert names == ["t/1", "t/2"] and "\nand 3 more\n" in done.stdout


def test_without_textual_it_says_what_to_install(store, socket):
    done = top(socket, without=["textual"])
    assert (done.returncode, done.stderr) == (1, "tensord: top needs the package textual: pip install tensord[top]\n")


def test_once_without_a_store_is_an_error_and_starts_none(tmp_path):
    done = top(str(tmp_path / "none.sock"), "--once")
    assert done.returncode == 1 and "none.sock" in done.stderr and list(tmp_path.iterdir()) == []


# ---- readings ------------------------------------------------------------------------------------


def test_rates_are_what_was_published_in_between(store):
    infos = known.Known()
    before = read(store, infos)
    for _ in range(10):
        store.put("a", np.zeros(100), replace=True)
    after = read(store, infos)
    assert rates(None, after) == rates(before, None) == rates(after, after) == Rates(0, 0)
    found = rates(before, after)
    seconds = after.at_s - before.at_s
    assert found.puts_per_s * seconds == pytest.approx(10)
    assert found.bytes_per_s * seconds == pytest.approx(8000)


class CountingStore:
    """A store that counts what is asked of it."""

    def __init__(self, store):
        self._store = store
        self.asked = []

    def info(self, name):
        self.asked.append(name)
        return self._store.info(name)

    def names(self):
        return self._store.names()


def test_a_tensor_is_asked_for_once_and_all_again_when_one_was_replaced(store):
    counting, infos = CountingStore(store), known.Known()

    def update(**options):
        counting.asked.clear()
        return {info.name: info.nbytes for info in infos.update(counting, store.stats(), **options)}

    store.put("a", np.zeros(1)), store.put("b", np.zeros(2))
    assert update() == {"a": 8, "b": 16} and sorted(counting.asked) == ["a", "b"]
    assert update() == {"a": 8, "b": 16} and counting.asked == []
    store.put("c", np.zeros(3))
    assert update() == {"a": 8, "b": 16, "c": 24} and counting.asked == ["c"]
    store.delete("a")
    assert update() == {"b": 16, "c": 24} and counting.asked == []
    store.put("b", np.zeros(5), replace=True)
    assert update() == {"b": 40, "c": 24} and sorted(counting.asked) == ["b", "c"]


def test_what_is_not_known_within_the_time_is_asked_for_at_the_next_turns(store):
    store.put_many({f"t/{at}": np.zeros(1) for at in range(10)})
    infos = known.Known()
    ticks = iter(range(1000))
    found = [len(infos.update(store, store.stats(), budget_s=4, clock=lambda: next(ticks))) for _ in range(4)]
    assert found[0] < found[1] < found[2] <= found[3] == 10 and infos.due == 0


def test_a_process_holds_a_tensor_once_and_what_is_dying_is_a_row(store, socket):
    store.put("a", np.zeros(1000)).close()
    code = """
        stores = [tensord.connect(), tensord.connect()]
        views = [store.attach("a") for store in stores for _ in range(3)]
        say(os.getpid())
        hear()
    """
    with OtherProcess(socket, code) as other:
        pid = other.hear()
        (process,) = rows.processes(read(store, known.Known()))
        assert (process.pid, process.nbytes, process.dying_bytes, process.tensors) == (pid, 8000, 0, 1)
        assert process.views == 6
        store.put("a", np.zeros(5), replace=True).close()
        reading = read(store, known.Known())
        (process,) = rows.processes(reading)
        assert (process.nbytes, process.dying_bytes) == (8000, 8000)
        new, old = sorted(rows.tensor_rows(reading), key=lambda row: row.nbytes)
        assert (new.name, new.kind, new.holders) == ("a", "sealed", 0)
        assert (old.name, old.kind, old.nbytes) == ("a", "dying", 8000)
        assert f"pid {pid} " in "\n".join(plain.lines(reading, BY_SIZE, True))


def test_who_waits_is_told(store, socket):
    with OtherProcess(socket, "say(0); tensord.connect().wait('later/on')") as other:
        assert other.hear() == 0
        assert eventually(lambda: read(store, known.Known()).waiters)
        (line,) = plain.waiting_lines(read(store, known.Known()))[1:]
        assert f"pid {other.process.pid} " in line and "the name later/on" in line


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("", True), ("run", True), ("RUN/w", True), ("run/*", True), ("*weights", True), ("w*", False), ("bias", False)],
)
def test_filters_are_parts_or_patterns(pattern, expected):
    row = rows.Row("run/weights", "float32", (3,), 12, "sealed", 0, 0, 0.0)
    assert rows.matches(row, pattern) == expected


# ---- the screen ----------------------------------------------------------------------------------


def on_screen(socket, drive, size=(120, 36)):
    """Runs top without a terminal, and `drive` with its pilot."""

    async def run():
        app = Top(socket, 0.2, BY_SIZE, True)
        async with app.run_test(size=size) as pilot:
            await drive(SimpleNamespace(app=app, press=pilot.press, click=pilot.click, pause=pilot.pause))

    asyncio.run(run())


def text_of(app):
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def until(user, condition, patience_s=30.0):
    for _ in range(int(patience_s / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(text_of(user.app))


def names(user):
    return [row.name for row in user.app.screen.query_one(TensorTable).rows]


def test_the_screen_shows_memory_tensors_and_holders(store, socket):
    view = store.put("run/weights", np.zeros((64, 64), np.float32))

    async def drive(user):
        await until(user, lambda: names(user) == ["run/weights"])
        await user.pause()
        shown = text_of(user.app)
        for part in ("tensord ", socket, "used", "dying", "free of 512 MiB", "1 tensor", "puts", "who holds", "nobody"):
            assert part in shown
        assert "64×64" in shown and "16 KiB" in shown and f"{os.getpid()} " in shown
        store.put("run/new", np.zeros(3)).close()
        await until(user, lambda: "run/new" in names(user))
        store.delete("run/new")
        await until(user, lambda: names(user) == ["run/weights"])

    on_screen(socket, drive)
    del view


def test_keys_and_clicks_sort(store, socket):
    for name, size in (("b", 100), ("a", 10), ("c", 1)):
        store.put(name, np.zeros(size)).close()

    async def drive(user):
        await until(user, lambda: names(user) == ["b", "a", "c"])  # the largest first
        for keys, expected in (("r", "cab"), ("n", "abc"), ("n", "cba"), ("b", "bac"), ("a", "cab")):
            await user.press(keys)
            assert names(user) == list(expected)
        await user.click(TensorTable, offset=(3, 1))  # the title "name", within the border
        assert names(user) == ["a", "b", "c"]
        await user.press("s")  # dtype: all alike, so by name
        assert names(user) == ["a", "b", "c"]

    on_screen(socket, drive)


def test_a_filter_narrows_the_table_until_escape(store, socket):
    for name in ("run/weights", "run/bias", "data/images"):
        store.put(name, np.zeros(3)).close()

    async def drive(user):
        await until(user, lambda: len(names(user)) == 3)
        await user.press("slash", *"bia")
        assert names(user) == ["run/bias"] and "1 of 3" in str(user.app.screen.query_one(TensorTable).border_title)
        await user.press("enter")
        assert isinstance(user.app.focused, TensorTable) and names(user) == ["run/bias"]
        await user.press("slash", "x")  # takes the place of what was there
        await until(user, lambda: "none of 3 tensors has 'x' in its name" in text_of(user.app))
        await user.press("escape")
        assert len(names(user)) == 3

    on_screen(socket, drive)


def test_enter_inspects_a_tensor_with_its_holders_waiters_and_picture(store, socket):
    store.put("run/step", np.arange(100, dtype=np.int64), live=True).close()
    code = """
        view = tensord.connect().attach("run/step")
        say(os.getpid())
        view.wait(after=0)
    """

    async def drive(user):
        await until(user, lambda: names(user) == ["run/step"] and user.app._reading.waiters)
        await user.press("enter")
        assert isinstance(user.app.screen, Inspection)
        await until(user, lambda: "max 99" in text_of(user.app))
        shown = text_of(user.app)
        assert "run/step  int64  (100,)" in shown and "version 0" in shown and "│⠀" in shown
        assert re.search(rf"pid {pid} python: \d views?;", shown)  # the waiting call has one of its own
        assert f"pid {pid} python: a version of run/step" in shown
        store.attach("run/step", "r+").numpy()[:] = 555
        await until(user, lambda: "max 555" in text_of(user.app))
        store.delete("run/step")
        await until(user, lambda: "no tensor is named 'run/step'" in text_of(user.app))
        assert "a deleted one of this name" in text_of(user.app)
        await user.press("escape")
        await until(user, lambda: [row.kind for row in user.app.screen.query_one(TensorTable).rows] == ["dying"])

    with OtherProcess(socket, code) as other:
        pid = other.hear()
        on_screen(socket, drive)


def test_a_store_that_goes_is_told_and_its_successor_is_found(own_daemon, tmp_path):
    with tensord.connect(own_daemon.socket, start=False) as store:
        store.put("before", np.zeros(3)).close()

    def note(user):
        return str(user.app._overview.query_one("#note", Static).render())

    async def drive(user):
        await until(user, lambda: names(user) == ["before"])
        first = own_daemon.pid
        own_daemon.kill()
        await until(user, lambda: "There is no store now" in note(user))
        assert names(user) == [] and "no store" in text_of(user.app)
        following = RunningDaemon(tmp_path)
        try:
            with tensord.connect(following.socket, start=False) as store:
                store.put("after", np.zeros(3)).close()
            await until(user, lambda: names(user) == ["after"])
            assert f"pid {following.pid} follows pid {first}" in note(user)
        finally:
            following.stop()

    on_screen(own_daemon.socket, drive)


def test_without_a_store_it_waits_for_one(tmp_path):
    async def drive(user):
        await until(user, lambda: "no store" in text_of(user.app))
        daemon = RunningDaemon(tmp_path)
        try:
            await until(user, lambda: "no tensors" in text_of(user.app))
        finally:
            daemon.stop()

    on_screen(str(tmp_path / "tensord.sock"), drive)


def test_only_what_is_on_the_screen_of_ten_thousand_tensors_is_drawn(store, socket):
    store.put_many({f"many/{at:05}": np.zeros(1) for at in range(10_000)})

    async def drive(user):
        await until(user, lambda: len(names(user)) == 10_000, patience_s=120)
        table = user.app.screen.query_one(TensorTable)
        drawn = []
        render = table.render_line
        table.render_line = lambda y: drawn.append(y) or render(y)
        await user.press("n", "n", "end")
        await until(user, lambda: "many/00000" in text_of(user.app))
        assert table.cursor_row.name == "many/00000"
        assert "holders" in text_of(user.app)  # the scroll bar hides no column
        assert max(drawn) < table.size.height  # lines of the screen, never of the list
        await user.press("home")
        assert table.cursor_row.name == "many/09999"

    on_screen(socket, drive)


def test_the_cursor_stays_at_its_tensor_when_others_come_and_go(store, socket):
    for name in ("b", "c", "d"):
        store.put(name, np.zeros(3)).close()

    async def drive(user):
        await until(user, lambda: len(names(user)) == 3)
        await user.press("n", "n", "n", "down")
        table = user.app.screen.query_one(TensorTable)
        assert (names(user), table.cursor_row.name) == (["b", "c", "d"], "c")
        store.put("a", np.zeros(3)).close()
        await until(user, lambda: names(user) == ["a", "b", "c", "d"])
        assert table.cursor_row.name == "c"

    on_screen(socket, drive)


@pytest.mark.parametrize("width", [30, 60, 200])
def test_narrow_screens_do_without_columns(store, socket, width):
    store.put("名前/とても長い名前" * 3, np.zeros(3)).close()

    async def drive(user):
        await until(user, lambda: len(names(user)) == 1)
        await user.pause()
        table = user.app.screen.query_one(TensorTable)
        for y in range(2):
            assert table.render_line(y).cell_length == table.width
        assert "24 bytes" in text_of(user.app)

    on_screen(socket, drive, size=(width, 20))


def test_on_a_real_terminal_it_comes_up_and_q_ends_it(store, socket):
    store.put("run/weights", np.zeros(3)).close()
    with OnTerminal(socket, "top", columns=100, rows=30) as terminal:
        terminal.until("run/weights")
        terminal.type("q")
        terminal.rest()
        assert terminal.process.returncode == 0
