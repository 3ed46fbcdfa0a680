"""benchmarks/run with peers, small: whether it asks, checks and reports; how fast anything is does not matter here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_daemon import program

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ASKED = {"attach", "attach_torch", "put", "handoff", "fresh", "hold", "attach_among", "put_beside"}


def run(*options, **more):
    command = [sys.executable, str(BENCHMARKS / "run"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **more)


def installed(folder):
    """What `run` takes for a build: the daemon is the one under test, the module the one that is imported here."""
    (folder / "daemon").mkdir()
    (folder / "daemon" / "tensord").symlink_to(program())
    return folder


def broken_environment(folder):
    """An environment that is up to date, with a Python that does not run."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from environments import made_from
    finally:
        sys.path.remove(str(BENCHMARKS))
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/bin/false")
    (folder / "made-from").write_text(made_from(folder.name))


@pytest.fixture(scope="module")
def results_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    broken_environment(folder / "iceoryx2")
    path = folder / "results.json"
    before = set(os.listdir("/dev/shm"))
    done = run(
        *("--small", "--only", "peers", "--peers", "tensord,shared-memory,iceoryx2", "--environments", folder),
        *("--build", installed(folder), "--results", path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {name for name in os.listdir("/dev/shm") if name.startswith("tnp")} - before
    return path


@pytest.fixture(scope="module")
def results(results_path):
    return json.loads(results_path.read_text())


def ways(comparison):
    return {way["peer"]: way for way in comparison["ways"]}


def test_every_peer_of_the_small_run_says_what_it_is(results):
    for peer in (results["peers"]["tensord"], results["peers"]["shared-memory"]):
        assert peer["title"] and peer["version"] and peer["settings"]


def test_every_question_is_answered_by_tensord_and_by_shared_memory(results):
    pytest.importorskip("torch")
    asked = {comparison["method"].partition(".")[0] for comparison in results["peer_comparisons"]}
    assert asked == ASKED
    for comparison in results["peer_comparisons"]:
        for peer in ("tensord", "shared-memory"):
            answer = ways(comparison)[peer]
            if answer.get("cannot") == "has no connections":
                assert (peer, comparison["method"]) == ("shared-memory", "put_beside")
                continue
            assert not {"failed", "cannot"} & set(answer), (comparison["question"], answer)
            assert ("held" in answer) == (comparison["method"] == "hold")


def test_figures_are_of_all_rounds_and_in_order(results):
    pytest.importorskip("torch")
    timed = [comparison for comparison in results["peer_comparisons"] if comparison["method"] != "hold"]
    for comparison in timed:
        for way in comparison["ways"]:
            if "cannot" in way:
                continue
            ns = way["ns"]
            assert 0 < ns["p5"] <= ns["median"] <= ns["p95"]
            rounds = 1 if comparison["method"].startswith("fresh") else 2
            assert len(way["samples_ns"]) >= rounds
        assert ways(comparison)["tensord"]["this_to_ours"] == 1


def test_held_tensors_of_shared_memory_cost_descriptors_and_maps_each(results):
    (held,) = [comparison for comparison in results["peer_comparisons"] if comparison["method"] == "hold"]
    shared_memory = ways(held)["shared-memory"]["held"]
    assert shared_memory["descriptors"] >= shared_memory["descriptors_before"] + 20
    assert shared_memory["maps"] >= shared_memory["maps_before"] + 20


def test_a_peer_that_cannot_be_started_is_reported_and_the_others_are_asked(results):
    broken = results["peers"]["iceoryx2"]
    assert "did not answer" in broken["unavailable"]
    assert "iceoryx2" not in ways(results["peer_comparisons"][0])


def test_an_environment_that_cannot_be_installed_says_what_the_installer_said():
    program = """
import environments

try:
    environments.run("sh", "-c", "echo slow; echo ERROR: no network >&2; echo more >&2; exit 1")
except environments.Unavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.stdout.strip() == "not installed: ERROR: no network", done.stderr


def test_a_peer_that_brings_other_bytes_is_found_out(tmp_path):
    program = """
import sys
from pathlib import Path
import numpy as np
from peers.peer import Peer
from peers.worker import Consumer, pattern

class Liar(Peer):
    def attach(self, name, length):
        array = pattern(4 * length)
        array[length // 2] += 1
        return array, None

consumer = object.__new__(Consumer)
consumer.peer = Liar(Path("."), "")
try:
    consumer.check("attach/4096", 4096)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.stdout.strip() == "attach/4096 does not hold what was put", done.stderr
