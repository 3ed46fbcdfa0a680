"""What benchmarks/run makes of samples: statistics, verdicts, tables. The samples are made up."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def benchmarks_are_importable():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


def comparison(question, parameters, *ways):
    from summary import summarise

    return summarise(
        {
            "question": question,
            "parameters": parameters,
            "ways": [{"way": way, "role": role, "ns": ns} for way, role, ns in ways],
        }
    )


def asked_of_peers(method, parameters, **medians):
    """`medians` by peer; ours is first."""
    ours = next(iter(medians.values()))
    ways = [
        {
            "peer": peer.replace("_", "-"),
            "role": "ours" if peer == "tensord" else "peer",
            "ns": {"median": ns, "p5": ns, "p95": ns},
            "samples_ns": [ns],
            "this_to_ours": ns / ours,
        }
        for peer, ns in medians.items()
    ]
    return {"question": method, "method": method, "parameters": parameters, "growth": False, "ways": ways}


def results(*comparisons, peers=()):
    keys = sorted({way["peer"] for each in peers for way in each["ways"]})
    return {
        "machine": {
            "cpu": "Abacus",
            "cores": 2,
            "memory_gib": 1,
            "virtual": False,
            "kernel": "1",
            "compiler": "",
            "huge_pages_for_shared_memory": "never",
            "python": "3",
            "numpy": "2",
            "commit": "abc",
            "began": "then",
            "load_before": 0.0,
            "load_after": 0.0,
        },
        "comparisons": list(comparisons),
        "peers": {key: {"title": key.title(), "version": "1", "settings": "none"} for key in keys},
        "peer_comparisons": list(peers),
        "failures": [],
        "seconds": {"attach": 1.0},
        "figures": [],
    }


def verdict(of, row, figure):
    from figures import evaluate

    (found,) = [each for each in evaluate(of) if (each["row"], each["figure"]) == (row, figure)]
    return found


def test_a_ratio_is_the_median_of_the_ratios_within_a_round():
    # The machine was ten times slower in the second round: no difference to the ratio.
    ways = comparison("q", {}, ("ours", "ours", [10, 100, 12]), ("floor", "floor", [5, 50, 6]))["ways"]
    assert ways[1]["ours_to_this"] == 2
    assert ways[0]["ours_to_this"] == 1
    assert ways[0]["ns"]["median"] == 12


def test_one_sample_is_its_own_spread():
    from summary import spread

    assert spread([7.0]) == {"median": 7.0, "p5": 7.0, "p95": 7.0}


def test_the_floor_is_the_fastest_of_several():
    put = comparison(
        "put",
        {"bytes": 1 << 20},
        ("ours", "ours", [100, 100]),
        ("slow copy", "floor", [200, 200]),
        ("quick copy", "floor", [90, 90]),
        ("aside", "aside", [1, 1]),
    )
    said = verdict(results(put), "put into recycled space", "1 MiB")
    assert said["reached"] is False and "quick copy" in said["text"]
    put["ways"][0]["samples_ns"] = [92, 92]
    quick = comparison("put", {"bytes": 1 << 20}, ("ours", "ours", [92, 92]), ("quick copy", "floor", [90, 90]))
    assert verdict(results(quick), "put into recycled space", "1 MiB")["reached"] is True


def test_a_figure_beyond_the_floor_is_the_difference_within_a_round():
    reclaim = comparison(
        "reclaim after SIGKILL", {"pins": 3}, ("ours", "ours", [9e6, 90e6]), ("hang-up", "floor", [5e6, 86e6])
    )
    said = verdict(results(reclaim), "reclaim after SIGKILL, 10,000 pins", "after the kernel's hang-up")
    assert said["measured"] == 4e6 and said["reached"] is True


def test_being_ahead_of_all_peers_is_decided_by_the_quickest():
    put = asked_of_peers("put", {"size_bytes": 4096}, tensord=10.0, plasma=100.0, shared_array=9.0)
    said = verdict(results(peers=[put]), "put 4 KiB under a new name", "tight loop, every peer by name")
    assert said["measured"] == 0.9 and said["reached"] is False and "Shared-Array" in said["text"]


def test_a_peer_that_has_no_names_is_not_one_by_name():
    attach = asked_of_peers("attach", {"size_bytes": 4096}, tensord=10.0, plasma=100.0, iceoryx2=20.0)
    of = results(peers=[attach])
    assert verdict(of, "attach → ndarray → drop, Python", "4 KiB, every peer by name")["reached"] is True
    assert verdict(of, "attach → ndarray → drop, Python", "4 KiB, iceoryx2")["reached"] is False


def test_what_was_not_measured_is_neither_reached_nor_hidden():
    from figures import evaluate

    for figure in evaluate(results()):
        assert "reached" not in figure and "not measured" in figure["missing"]


def test_the_tables_go_where_they_belong_and_replace_what_was_there(tmp_path):
    import document

    put = comparison("put", {"bytes": 4096}, ("ours", "ours", [30, 30]), ("memcpy", "floor", [10, 10]))
    peers = asked_of_peers("put", {"size_bytes": 4096}, tensord=10.0, plasma=105.0)
    peers["ways"].append({"peer": "ray", "role": "peer", "cannot": "has no time"})
    of = results(put, {"question": "hold", "parameters": {}, "counts": {"maps": 1234}}, peers=[peers])
    of["figures"] = [{"row": "r", "figure": "f", "goal": "g", "text": "t", "reached": False}]
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{document.BEGIN}\nwhat was there\n{document.END}\nafter\n")
    for _ in range(2):
        document.write(of, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "what was there" not in text
    assert "| r | f | g | t | **no** |" in text
    tables = (tmp_path / "benchmarks-tables.md").read_text()
    assert "| floor | memcpy | 10 ns | 10 ns - 10 ns | ours / this = **3** |" in tables
    assert "| maps | 1,234 |" in tables
    assert "| Plasma | **10.5** × 105 ns (105 ns - 105 ns) |" in tables
    assert "- Ray, put: has no time" in tables


def test_a_document_without_marks_is_left_alone(tmp_path):
    import document

    page = tmp_path / "benchmarks.md"
    page.write_text("nothing to replace\n")
    with pytest.raises(SystemExit, match="has no line"):
        document.write(results(), tmp_path)
    assert page.read_text() == "nothing to replace\n"


def test_a_question_that_fails_is_reported_and_the_others_are_asked(tmp_path):
    import os
    import subprocess

    build = tmp_path / "build"
    (build / "daemon").mkdir(parents=True)
    (build / "daemon" / "tensord").touch()
    (build / "benchmarks").mkdir()
    programs = {
        "put": 'echo \'{"question": "put", "parameters": {}, "ways": [{"way": "w", "role": "ours", "ns": [1, 2]}]}\'; '
        "exit 3",
        "hold": 'echo \'{"question": "hold", "parameters": {}, "counts": {"maps": 1}}\'',
    }
    for name, body in programs.items():
        path = build / "benchmarks" / f"{name}_bench"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "run", "--build", build, "--only", "put,hold"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    found = json.loads((build / "results.json").read_text())
    assert [failure["question"] for failure in found["failures"]] == ["put"]
    assert "ended with 3" in found["failures"][0]["reason"]
    assert [each["question"] for each in found["comparisons"]] == ["put", "hold"]  # also what came before it failed
