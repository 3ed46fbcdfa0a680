"""All benchmarks but the peers' (tests/python/test_peers_benchmark.py), as small as can be: whether every question is
asked and answered; how fast anything is does not matter here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PROGRAMS = {path.stem for path in BENCHMARKS.glob("*.cpp")}
FROM_PYTHON = {"python_attach", "python_torch", "python_clone", "python_first_touch"}


@pytest.fixture(scope="module")
def results(pytestconfig, tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks") / "results.json"
    before = set(os.listdir("/dev/shm"))
    done = subprocess.run(
        [
            *(sys.executable, BENCHMARKS / "run", "--small", "--only", ",".join(sorted(PROGRAMS | FROM_PYTHON))),
            *("--build", pytestconfig.getoption("--build"), "--results", path),
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {name for name in os.listdir("/dev/shm") if name.startswith("tensord-bench")} - before
    return json.loads(path.read_text())


def test_every_program_answers(results):
    assert results["failures"] == []
    assert {comparison["program"] for comparison in results["comparisons"]} == PROGRAMS | FROM_PYTHON


def test_ours_comes_first_and_every_way_has_a_figure_for_every_round(results):
    for comparison in results["comparisons"]:
        if "counts" in comparison:
            assert comparison["counts"]
            continue
        assert comparison["ways"][0]["role"] == "ours"
        for way in comparison["ways"]:
            assert len(way["samples_ns"]) == 2 and all(ns > 0 for ns in way["samples_ns"]), way


def test_every_figure_to_reach_is_read_from_a_question_that_is_asked(results):
    asked = {comparison["question"] for comparison in results["comparisons"]}
    for figure in results["figures"]:
        assert figure["read_from"] in asked or figure["read_from"].startswith("peers: "), figure


def test_attach_makes_no_system_call(results):
    (counted,) = [
        each["counts"] for each in results["comparisons"] if each["question"] == "attach" and "counts" in each
    ]
    assert counted == {"system calls": 0}
