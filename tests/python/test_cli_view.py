"""python -m tensord view: figures in a pipe, pictures on a terminal, PNG files, and live tensors that are followed."""

import subprocess
import sys

import numpy as np
import pytest
from on_terminal import OnTerminal, without_colours
from other_process import OtherProcess
from PIL import Image
from running_daemon import eventually

import tensord
from tensord import pictures


def view(socket, *arguments, without=()):
    """Runs the command; without modules that are hidden from it."""
    hidden = "".join(f"sys.modules[{module!r}] = None; " for module in without)
    code = f"import sys; {hidden}from tensord.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, "view", "--socket", socket, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


# ---- in a pipe -----------------------------------------------------------------------------------


def test_a_pipe_gets_figures(store, socket):
    store.put("run/weights", np.linspace(-1, 3, 64 * 64).reshape(64, 64))
    done = view(socket, "run/weights")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "run/weights  float64  (64, 64)  32 KiB  sealed\nmin -1  mean 1  max 3\n"


def test_a_pipe_gets_few_elements_as_numbers_and_a_live_tensor_once(store, socket):
    counter = store.put("run/counter", np.arange(4), live=True)
    with counter.writing():
        counter.numpy()[:] += 10
    done = view(socket, "run/counter")
    assert done.stdout.splitlines() == [
        "run/counter  int64  (4,)  32 bytes  live  version 1",
        "min 10  mean 11.5  max 13",
        "[0]    10  11  12  13",
    ]


def test_the_part_that_is_asked_for(store, socket):
    store.put("a", np.arange(24).reshape(2, 3, 4))
    done = view(socket, "a", "--index", "1,:,::2", "--as", "table")
    assert done.stdout.splitlines() == [
        "a  int64  (2, 3, 4)  192 bytes  sealed",
        "min 12  mean 17  max 22",
        "of [1,:,::2], (3, 2)",
        "  12  14",
        "  16  18",
        "  20  22",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "no tensor is named 'nothing'"),
        (["a", "--index", "5"], "5"),
        (["a", "--index", "x"], "for example 0,:,10:20"),
        (["a", "--index", "0,0,0"], "too many indices"),
        (["a", "--index", "::-1"], "-1"),
    ],
)
def test_what_cannot_be_shown_is_an_error_that_says_why(store, socket, arguments, says):
    store.put("a", np.zeros((2, 3)))
    done = view(socket, *arguments)
    assert done.returncode == 1 and done.stderr.startswith("tensord: ") and says in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_no_store_is_started_for_it(tmp_path):
    done = view(str(tmp_path / "none.sock"), "a")
    assert done.returncode == 1 and "none.sock" in done.stderr and list(tmp_path.iterdir()) == []


# ---- PNG -----------------------------------------------------------------------------------------


def test_a_png_file(store, socket, tmp_path):
    store.put("image", np.zeros((30, 40, 3), np.uint8))
    done = view(socket, "image", "--png", tmp_path / "a.png", "--size", "400x300")
    assert done.returncode == 0 and "uint8  (30, 40, 3)" in done.stdout
    with Image.open(tmp_path / "a.png") as found:
        assert (found.format, found.size) == ("PNG", (400, 300))
    assert view(socket, "image", "--png", tmp_path / "b.png", "--size", "1x1").returncode == 2
    assert not (tmp_path / "b.png").exists()


def test_without_matplotlib_it_says_what_to_install(store, socket, tmp_path):
    store.put("a", np.zeros(100))
    done = view(socket, "a", "--png", tmp_path / "a.png", without=["matplotlib"])
    assert done.returncode == 1
    assert done.stderr == "tensord: a PNG file needs the package matplotlib: pip install tensord[view]\n"
    assert view(socket, "a", without=["matplotlib", "rich", "textual", "torch", "ml_dtypes"]).returncode == 0


# ---- on a terminal -------------------------------------------------------------------------------


def test_an_image_is_drawn_in_its_colours(store, socket):
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20, :, 0], image[20:, :, 2] = 255, 255
    store.put("image", image)
    with OnTerminal(socket, "view", "image", columns=60, rows=30) as terminal:
        shown = terminal.rest()
        assert terminal.process.returncode == 0
    assert "38;2;255;0;0" in shown and "38;2;0;0;255" in shown
    drawn = [line for line in without_colours(shown).splitlines() if "▀" in line]
    assert [line.count("▀") for line in drawn] == [40] * 20


def test_a_terminal_of_few_colours_gets_those_and_one_of_none_gets_letters(store, socket):
    store.put("ramp", np.linspace(0, 1, 64 * 64).reshape(64, 64))
    with OnTerminal(socket, "view", "ramp", COLORTERM="") as terminal:
        shown = terminal.rest()
    assert "38;5;" in shown and "38;2;" not in shown and "▀" in shown
    for colourless in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with OnTerminal(socket, "view", "ramp", **colourless) as terminal:
            shown = terminal.rest()
        assert "▀" not in shown and "\x1b[3" not in shown and "@" in shown and "::::" in shown


def test_without_rich_a_terminal_gets_letters_and_is_told_what_to_install(store, socket, tmp_path):
    (tmp_path / "rich.py").write_text("raise ImportError('hidden', name='rich')")
    store.put("ramp", np.linspace(0, 1, 64 * 64).reshape(64, 64))
    path = ":".join([str(tmp_path), *sys.path])
    with OnTerminal(socket, "view", "ramp", PYTHONPATH=path) as terminal:
        shown = terminal.rest()
        assert terminal.process.returncode == 0
    assert "pip install tensord[view]" in shown and "min 0  mean 0.5  max 1" in shown and "@@@@" in shown


def test_no_line_is_wider_than_the_terminal_and_no_picture_higher(store, socket):
    store.put("w" * 100 + "/x", np.random.default_rng(0).normal(size=(500, 900)))
    with OnTerminal(socket, "view", "w" * 100 + "/x", columns=50, rows=20) as terminal:
        lines = without_colours(terminal.rest()).splitlines()
    assert max(map(len, lines)) <= 50 and len(lines) < 20


# ---- followed ------------------------------------------------------------------------------------

WRITER = """
view = tensord.connect().attach("live", mode="r+")
while True:
    value = hear()
    with view.writing():
        view.numpy()[:] = value
    say(view.version)
"""


def test_a_live_tensor_is_shown_again_when_another_process_has_written_it(store, socket):
    store.put("live", np.zeros(4, np.int64), live=True)
    with OtherProcess(socket, WRITER) as writer, OnTerminal(socket, "view", "live") as terminal:
        terminal.until(r"version 0\s+min 0  mean 0  max 0")
        for value in (7, 4321):
            writer.say(value)
            version = writer.hear()
            terminal.until(rf"version {version}\s+min {value}  mean {value}  max {value}")
        terminal.type("\x03")
        terminal.rest()
        assert terminal.process.returncode == 0


def test_what_is_written_without_a_version_is_seen_too(store, socket):
    counter = store.put("live", np.zeros(4, np.int64), live=True).numpy()
    with OnTerminal(socket, "view", "live") as terminal:
        terminal.until("max 0")
        counter += 5
        terminal.until("max 5")


def test_once_is_once(store, socket):
    store.put("live", np.zeros(4, np.int64), live=True)
    with OnTerminal(socket, "view", "live", "--once") as terminal:
        assert "version 0" in terminal.rest() and terminal.process.returncode == 0


# Whole versions alone: each has one number everywhere.
FAST_WRITER = """
view = tensord.connect().attach("live", mode="r+")
array = view.numpy()
number = 0
while True:
    number += 1
    with view.writing():
        array[:] = number
    if number == 1:
        say("begun")
"""


def test_no_picture_is_of_two_versions(store, socket):
    view = store.put("live", np.zeros(50_000, np.int64), live=True)
    with OtherProcess(socket, FAST_WRITER) as writer:
        assert writer.hear() == "begun"
        for _ in range(300):
            found = pictures.look(view)
            assert found.statistics.minimum == found.statistics.maximum == found.version


def test_a_replaced_tensor_is_followed_and_a_deleted_one_waited_for(store, socket):
    store.put("a", np.full(4, 1)).close()
    with OnTerminal(socket, "view", "a", "--watch") as terminal:
        terminal.until("max 1")
        store.put("a", np.full(4, 22), replace=True).close()
        terminal.until("max 22")
        store.delete("a")
        terminal.until("deleted")
        assert eventually(lambda: store.stats().dying_tensors == 0)  # who looks on does not keep it
        store.put("a", np.full(4, 333))
        terminal.until("max 333")
        terminal.type("\x03")
        terminal.rest()
        assert terminal.process.returncode == 0


def test_a_writer_that_died_half_way_is_told(store, socket):
    store.put("live", np.full(4, 3), live=True)
    code = """
        view = tensord.connect().attach("live", mode="r+")
        with view.writing():
            say("writing")
            hear()
    """
    with OtherProcess(socket, code) as writer, OnTerminal(socket, "view", "live", columns=200) as terminal:
        assert writer.hear() == "writing"
        writer.process.kill()
        terminal.until("half written")
        with store.attach("live", "r+").writing(repair=True):
            store.attach("live", "r+").numpy()[:] = 9
        terminal.until("max 9")


def test_a_store_that_ends_ends_the_view_with_an_error(own_daemon):
    with tensord.connect(own_daemon.socket, start=False) as store:
        store.put("a", np.full(4, 1))
    with OnTerminal(own_daemon.socket, "view", "a", "--watch") as terminal:
        terminal.until("max 1")
        own_daemon.kill()
        assert "tensord: " in terminal.rest() and terminal.process.returncode == 1


def test_a_pipe_that_watches_gets_each_new_state_and_a_png_is_written_anew(store, socket, tmp_path):
    store.put("a", np.full(4, 1))
    command = [sys.executable, "-m", "tensord", "view", "a", "--watch", "--png", str(tmp_path / "a.png")]
    with subprocess.Popen([*command, "--socket", socket], stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert any("max 1" in line for line in watcher.stdout)
            first = (tmp_path / "a.png").read_bytes()
            store.put("a", np.full(4, 2), replace=True)
            assert any("max 2" in line for line in watcher.stdout)
            assert (tmp_path / "a.png").read_bytes() != first
        finally:
            watcher.kill()
