"""Where figures were measured, and how they are written."""

import os
import platform
import re
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Json = dict[str, Any]


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def content(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def compiler(build: Path | None) -> str:
    if build is None:
        return ""
    named = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", content(build / "CMakeCache.txt"), re.MULTILINE)
    return output_of(named[1], "--version").partition("\n")[0] if named else ""


def machine(build: Path | None) -> Json:
    cpu = re.search(r"model name\s*: (.*)", content("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+) kB", content("/proc/meminfo"))
    huge = re.search(r"\[(\w+)\]", content("/sys/kernel/mm/transparent_hugepage/shmem_enabled"))
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in content("/proc/cpuinfo"),
        "memory_gib": round(int(memory[1]) / (1 << 20), 1) if memory else None,
        "huge_pages_for_shared_memory": huge[1] if huge else "unknown",
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "compiler": compiler(build),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "commit": output_of("git", "describe", "--always", "--dirty"),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def human_time(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def human_ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def describe(facts: Json) -> list[str]:
    """The machine in two lines."""
    where = "virtual machine, " if facts["virtual"] else ""
    software = [
        f"Linux {facts['kernel']}, huge pages for shared memory: {facts['huge_pages_for_shared_memory']}",
        facts["compiler"],
        f"Python {facts['python']}, NumPy {facts['numpy']}",
        f"tensord {facts['commit']}",
    ]
    return [
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB ({where}load {facts['load_before']:.1f})",
        "; ".join(filter(None, software)),
    ]


def print_machine(facts: Json) -> None:
    print("\n".join(describe(facts)))
    print("Time of one operation: median, 5th to 95th percentile; ratios are medians of the ratio in each round.")


def human_duration(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.0f} s"
