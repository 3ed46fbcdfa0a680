#!/usr/bin/env python3
"""Runs tensord and its peers, question by question, and prints tables; `make bench-peers` builds, then calls this.

Each peer runs in an environment of its own, which is made when it is first needed (peers/environments.py).
A peer that cannot be installed, started, or asked something is in the results with the reason. Every round
asks all peers once, in an order drawn anew; a ratio is the median over the rounds of theirs divided by ours
in the same round. docs/benchmarks.md has the method, and the schema of the results.

    python benchmarks/compare.py --build build/bench            all of it
    python benchmarks/compare.py --only tensord,iceoryx2        some of it
    python benchmarks/compare.py --into docs/benchmarks.md      the tables of the last run, into the document
"""

import argparse
import ctypes
import json
import os
import queue
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import human_ratio, human_time, machine, print_machine
from peers import environments, report
from peers.catalogue import ENTRIES
from peers.questions import METHODS, MIB, Question, questions

ROOT = Path(__file__).resolve().parent.parent

# Longer than a host waits for its producer and consumer.
PATIENCE_S = 300

Json = dict[str, Any]


# ---- processes ------------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """Daemons of a peer whose parent has died become our children, so that none is left running."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def remove_litter(prefix: str, pids: Sequence[int]) -> list[str]:
    """Removes what a peer left in /dev/shm; what it was, without what is different in each run."""
    torch_prefixes = tuple(f"torch_{pid}_" for pid in pids)
    left = []
    for entry in Path("/dev/shm").iterdir():
        if entry.name.startswith(prefix) or entry.name.startswith(torch_prefixes):
            with suppress(OSError):
                entry.unlink()
            left.append(entry.name)
    return left


# ---- one peer -------------------------------------------------------------------------------------


class NoAnswer(Exception):
    """Carries the kind ("cannot", "failed") and the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason


class Running:
    """A peer whose host process is running: started on first use, and again after something failed."""

    starts = 0

    def __init__(self, key: str, environments_root: Path, logs: Path, build: Path | None) -> None:
        self.key, self.entry = key, ENTRIES[key]
        self.log_path = logs / f"{key}.log"
        self.log_path.unlink(missing_ok=True)
        self.environment = dict(os.environ, PYTHONPATH=str(ROOT / "benchmarks"))
        if self.entry.environment:
            self.python = environments.python_of(self.entry.environment, environments_root)
            self.environment.pop("PYTHONHOME", None)
        else:
            self.python = Path(sys.executable)
            ours = str(build / "python") if build else os.environ.get("PYTHONPATH", "")
            self.environment["PYTHONPATH"] += os.pathsep + ours if ours else ""
            if build:
                self.environment["TENSORD_DAEMON"] = str(build / "daemon" / "tensord")
        self.process: subprocess.Popen[str] | None = None
        self.left_behind: list[str] = []

    def start(self) -> Json:
        """What the peer says of itself. Raises NoAnswer."""
        Running.starts += 1
        # Short, because paths of sockets have to be.
        self.place = Path(tempfile.mkdtemp(prefix="tnp"))
        self.prefix = f"tnp{os.getpid()}-{Running.starts}-"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.python), "-m", "peers.host", self.key, str(self.place), self.prefix],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment,
            )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.listen, args=(self.process, self.answers), daemon=True).start()
        hello: Json = self.answer()
        return hello

    @staticmethod
    def listen(process: "subprocess.Popen[str]", answers: "queue.Queue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def answer(self) -> Any:
        try:
            line = self.answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            line = ""
        if not line:
            self.end()
            raise NoAnswer("failed", f"the host of this peer did not answer; see {os.path.relpath(self.log_path)}")
        ((kind, value),) = json.loads(line).items()
        if kind == "failed":
            self.end()  # whatever state it is in
        if kind != "result":
            raise NoAnswer(kind, value)
        return value

    def ask(self, method: str, **arguments: Any) -> Any:
        if self.process is None:
            self.start()
        assert self.process is not None and self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([method, arguments]) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        if self.process is None:
            return
        pids = descendants(self.process.pid)
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            pids = descendants(self.process.pid)
            self.process.kill()
            self.process.wait()
        kill([pid for pid in pids if pid in descendants(os.getpid())])
        self.process = None
        self.left_behind += remove_litter(self.prefix, pids)
        shutil.rmtree(self.place, ignore_errors=True)


# ---- one question ---------------------------------------------------------------------------------


class Asked:
    """One peer's answers to one question."""

    def __init__(self, peer: Running) -> None:
        self.peer = peer
        self.operations = 1
        self.rounds: list[Json] = []  # figure -> samples
        self.no_answer: NoAnswer | None = None

    def ask(self, question: Question, operations: int) -> Json | None:
        """The samples of one round, by figure; None once there was no answer."""
        if self.no_answer:
            return None
        arguments = dict(question.arguments)
        if question.counts_operations:
            arguments["operations"] = operations
        try:
            value = self.peer.ask(question.method, **arguments)
        except NoAnswer as reason:
            self.no_answer = reason
            return None
        return value if isinstance(value, dict) else {"": value}

    def warm_up(self, question: Question) -> None:
        operations, calls = question.warm_up
        for _ in range(calls):
            samples = self.ask(question, operations)
            if samples and question.counts_operations:
                mean_ns = statistics.mean(samples[""])
                self.operations = int(min(max(question.round_s * 1e9 / mean_ns, 1), question.most_operations))
        if question.counts_operations:
            self.ask(question, self.operations)


def ask_all(question: Question, running: dict[str, Running]) -> dict[str, Asked]:
    asked = {key: Asked(peer) for key, peer in running.items()}
    for each in asked.values():
        each.warm_up(question)
    order = list(asked.values())
    shuffle = random.Random(1).shuffle
    for _ in range(question.rounds):
        shuffle(order)
        for each in order:
            samples = each.ask(question, each.operations)
            if samples is not None:
                each.rounds.append(samples)
    return asked


def summary(asked: Asked, ours: Asked | None, figure: str) -> Json:
    """Median, p5 and p95 of all samples, and the ratio to ours."""
    samples = [ns for samples in asked.rounds for ns in samples[figure]]
    twentieths = statistics.quantiles(samples, n=20, method="inclusive") if len(samples) > 1 else samples * 19
    result: Json = {
        "ns": {"median": statistics.median(samples), "p5": twentieths[0], "p95": twentieths[-1]},
        "samples_ns": [round(ns, 1) for ns in samples],
    }
    if ours and not ours.no_answer:
        result["this_to_ours"] = statistics.median(
            statistics.median(theirs[figure]) / statistics.median(mine[figure])
            for theirs, mine in zip(asked.rounds, ours.rounds, strict=True)
        )
    return result


def comparisons_of(question: Question, asked: dict[str, Asked]) -> list[Json]:
    ours = next((each for each in asked.values() if each.peer.entry.role == "ours"), None)
    comparisons = []
    for figure, title in question.figures.items() if question.figures else [("", question.title)]:
        ways: list[Json] = []
        for key, each in asked.items():
            way: Json = {"peer": key, "role": each.peer.entry.role}
            if each.no_answer:
                way[each.no_answer.kind] = each.no_answer.reason
            elif question.method == "hold":
                way["held"] = each.rounds[0]
            else:
                way |= summary(each, ours, figure)
            ways.append(way)
        comparisons.append(
            {
                "question": title,
                "method": f"{question.method}.{figure}" if figure else question.method,
                "parameters": question.arguments,
                "ways": ways,
            }
        )
    return comparisons


# ---- printing -------------------------------------------------------------------------------------


def print_comparison(comparison: Json, titles: dict[str, str]) -> None:
    print(f"\n{comparison['question']}")
    for way in comparison["ways"]:
        line = f"  {way['role']:<5}  {titles[way['peer']]:<24} "
        if "held" in way:
            held = way["held"]
            line += f"{held['descriptors']:>6} descriptors, {held['maps']:>6} maps"
        elif "ns" in way:
            ns = way["ns"]
            line += f"{human_time(ns['median']):>9}   {human_time(ns['p5']) + ' - ' + human_time(ns['p95']):<20}"
            line += f" this / ours {human_ratio(way['this_to_ours']):>8}" if "this_to_ours" in way else ""
        else:
            kind = "cannot" if "cannot" in way else "failed"
            line += f"{kind}: {way[kind]}"
        print(line.rstrip(), flush=True)


# ---- all ------------------------------------------------------------------------------------------


def start_all(keys: Sequence[str], build: Path | None, environments_root: Path, logs: Path) -> tuple[Json, Json]:
    """What runs, and of every peer what it is, or why it is not there."""
    running: dict[str, Running] = {}
    peers: Json = {}
    for key in keys:
        try:
            peer = Running(key, environments_root, logs, build)
            peers[key] = peer.start()
            for size_bytes in (4096, MIB):
                peer.ask("check", size_bytes=size_bytes)
            running[key] = peer
        except environments.Unavailable as reason:
            peers[key] = {"title": key, "unavailable": str(reason)}
        except NoAnswer as no_answer:
            peers[key] = {"title": peers.get(key, {}).get("title", key), "unavailable": no_answer.reason}
        if "unavailable" in peers[key]:
            print(f"{key} is left out: {peers[key]['unavailable']}", flush=True)
        else:
            print(f"{peers[key]['title']}, {peers[key]['version']}: {peers[key]['settings']}", flush=True)
    return running, peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=Path, help="a build with TENSORD_BUILD_PYTHON; default: the installed one")
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers", metavar="FOLDER")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "peers" / "results.json", metavar="FILE")
    parser.add_argument("--only", metavar="PEER,...", help="of " + ", ".join(ENTRIES))
    parser.add_argument("--ask", metavar="QUESTION,...", help="of " + ", ".join(METHODS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--tensors", type=int, default=10_000, help="how many are held at once")
    parser.add_argument("--largest", type=int, default=64, metavar="MIB", help="the size of the large tensors")
    parser.add_argument("--operations", type=int, default=10_000, help="how many at most in one round")
    parser.add_argument("--into", type=Path, metavar="DOCUMENT", help="only put the tables of the last run there")
    chosen = parser.parse_args()
    if chosen.into:
        report.replace(chosen.into, json.loads(chosen.results.read_text()))
        return
    keys = chosen.only.split(",") if chosen.only else list(ENTRIES)
    methods = chosen.ask.split(",") if chosen.ask else METHODS
    for what, wanted, known in (("peer", keys, list(ENTRIES)), ("question", methods, METHODS)):
        unknown = [one for one in wanted if one not in known]
        if unknown:
            parser.error(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    build = chosen.build.resolve() if chosen.build else None
    if build and not (build / "daemon" / "tensord").exists():
        sys.exit(f"benchmarks/compare.py: {build} has no daemon; `make bench-peers` builds it")

    adopt_orphans()
    logs = chosen.results.resolve().parent / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    facts = machine(build)
    print_machine(facts)
    running, peers = start_all(keys, build, chosen.environments.resolve(), logs)
    titles = {key: peer["title"] for key, peer in peers.items()}
    comparisons = []
    try:
        for question in questions(chosen.rounds, chosen.tensors, chosen.largest * MIB, chosen.operations):
            if question.method not in methods:
                continue
            able = {key: running[key] for key in running if question.method in (peers[key]["questions"] or METHODS)}
            for comparison in comparisons_of(question, ask_all(question, able)):
                print_comparison(comparison, titles)
                comparisons.append(comparison)
    finally:
        for key, peer in running.items():
            peer.end()
            peers[key]["left_in_dev_shm"] = len(peer.left_behind)
        kill(descendants(os.getpid()))
    facts["load_after"] = os.getloadavg()[0]

    chosen.results.write_text(
        json.dumps({"schema": 1, "machine": facts, "peers": peers, "comparisons": comparisons}, indent=1) + "\n"
    )
    print(f"\nwritten to {os.path.relpath(chosen.results)}")


if __name__ == "__main__":
    main()
