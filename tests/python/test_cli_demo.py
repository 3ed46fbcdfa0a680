"""python -m tensord demo: the first minute of somebody who has installed the package, and nothing else."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import tensord


def demo(socket, *arguments, without=()):
    hidden = "".join(f"sys.modules[{module!r}] = None; " for module in without)
    code = f"import sys; {hidden}from tensord.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, "demo", *arguments],
        env={**os.environ, "TENSORD_SOCKET": socket},
        capture_output=True,
        text=True,
        timeout=120,
    )


EXTRAS = ["torch", "ml_dtypes", "rich", "textual", "matplotlib", "safetensors"]


def test_each_line_is_shown_with_what_it_shows_and_nothing_is_left(store, socket):
    done = demo(socket, without=EXTRAS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"A store runs already: {socket}"
    put = lines.index('>>> store.put("demo/image", image)  # one copy, in; nobody changes it any more')
    assert lines[put + 1] == "<tensord.View 'demo/image' uint8 (240, 320, 3) sealed r>"
    # The other process has counted, and has seen what it says; here it was only looked at.
    other = re.search(r"Another process, pid (\d+), runs meanwhile", done.stdout).group(1)
    assert re.search(rf"pid {other} sees \(240, 320, 3\) uint8 of mean 126\.44", done.stdout)
    counter = lines.index(">>> counter  # nobody sent it here")
    assert lines[counter + 1] == repr(np.arange(8) * 1000)
    assert lines[lines.index(">>> view.version") + 1] == "1000"
    assert list(store) == [] and store.stats().dying_tensors == 0


def test_kept_tensors_stay_and_what_to_do_next_works(store, socket):
    done = demo(socket, "--keep")
    assert sorted(store.names("demo/")) == ["demo/counter", "demo/image", "demo/matrix", "demo/wave"]
    commands = [line.split()[3:] for line in done.stdout.splitlines() if line.startswith("    python -m tensord ")]
    assert [command[0] for command in commands] == ["view", "view", "top"]
    for command in commands:
        if command == ["top"]:
            command.append("--once")
        tried = subprocess.run(
            [sys.executable, "-m", "tensord", *command, "--socket", socket], capture_output=True, text=True, timeout=120
        )
        shown = "demo/counter" if command[0] == "top" else command[1]
        assert tried.returncode == 0 and shown in tried.stdout


def test_tensors_of_others_are_not_taken_over_unless_it_is_said(store, socket):
    store.put("demo/counter", np.array([5]))
    done = demo(socket)
    assert done.returncode == 1 and "demo/counter" in done.stderr and "--replace" in done.stderr
    assert store["demo/counter"].numpy().tolist() == [5] and list(store) == ["demo/counter"]
    assert demo(socket, "--replace").returncode == 0
    assert list(store) == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_store_is_started_and_ends_with_the_demo_unless_it_is_kept(tmp_path, keep):
    socket = str(tmp_path / "new.sock")
    done = demo(socket, *(["--keep"] if keep else []))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"A store was started for you: {socket}\n")
    if keep:
        with tensord.connect(socket, start=False) as store:
            assert len(store.names("demo/")) == 4
            store.shutdown()
    else:
        assert "its store has ended" in done.stdout
        with pytest.raises(tensord.ConnectionLostError):
            tensord.connect(socket, start=False)
