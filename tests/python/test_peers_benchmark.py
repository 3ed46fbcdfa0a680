"""benchmarks/compare.py, small: whether it asks, checks and reports; how fast anything is does not matter here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ASKED = ["attach", "put", "handoff", "fresh", "hold"]  # not attach_torch: importing torch takes too long


def compare(*options, **more):
    command = [sys.executable, str(BENCHMARKS / "compare.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **more)


def broken_environment(folder):
    """An environment that is up to date, with a Python that does not run."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from peers.environments import made_from
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
    done = compare(
        *("--only", "tensord,shared-memory,iceoryx2", "--ask", ",".join(ASKED), "--environments", folder),
        *("--rounds", 2, "--tensors", 20, "--largest", 1, "--operations", 5, "--results", path),
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
    asked = {comparison["method"].partition(".")[0] for comparison in results["comparisons"]}
    assert asked == set(ASKED)
    for comparison in results["comparisons"]:
        for peer in ("tensord", "shared-memory"):
            answer = ways(comparison)[peer]
            assert not {"failed", "cannot"} & set(answer), (comparison["question"], answer)
            assert ("held" in answer) == (comparison["method"] == "hold")


def test_figures_are_of_all_rounds_and_in_order(results):
    timed = [comparison for comparison in results["comparisons"] if comparison["method"] != "hold"]
    for comparison in timed:
        for way in comparison["ways"]:
            ns = way["ns"]
            assert 0 < ns["p5"] <= ns["median"] <= ns["p95"]
            rounds = 1 if comparison["method"].startswith("fresh") else 2
            assert len(way["samples_ns"]) >= rounds
        assert ways(comparison)["tensord"]["this_to_ours"] == 1


def test_held_tensors_of_shared_memory_cost_descriptors_and_maps_each(results):
    (held,) = [comparison for comparison in results["comparisons"] if comparison["method"] == "hold"]
    shared_memory = ways(held)["shared-memory"]["held"]
    assert shared_memory["descriptors"] >= shared_memory["descriptors_before"] + 20
    assert shared_memory["maps"] >= shared_memory["maps_before"] + 20


def test_the_tables_go_between_the_marks_of_a_document(results_path, tmp_path):
    from_benchmarks = {"cwd": BENCHMARKS, "capture_output": True, "text": True, "check": True}
    program = "from peers import report; print(report.BEGIN); print('what was there'); print(report.END)"
    marks = subprocess.run([sys.executable, "-c", program], **from_benchmarks).stdout
    document = tmp_path / "document.md"
    document.write_text("before\n" + marks + "after\n")
    for _ in range(2):  # what was written can be replaced
        assert compare("--results", results_path, "--into", document).returncode == 0
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "what was there" not in text
    assert text.count("| SharedMemory | ") == 4  # attach, put, hand over, hold


def test_a_document_without_marks_is_left_alone(results_path, tmp_path):
    document = tmp_path / "document.md"
    document.write_text("nothing to replace\n")
    done = compare("--results", results_path, "--into", document)
    assert done.returncode != 0 and "has no line" in done.stderr
    assert document.read_text() == "nothing to replace\n"


def test_a_peer_that_cannot_be_started_is_reported_and_the_others_are_asked(results):
    broken = results["peers"]["iceoryx2"]
    assert "did not answer" in broken["unavailable"]
    assert "iceoryx2" not in ways(results["comparisons"][0])


def test_an_environment_that_cannot_be_installed_says_what_the_installer_said():
    program = """
from peers import environments

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
