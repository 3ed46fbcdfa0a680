"""Compares docs/dependencies.md with what the build files ask for: each dependency of theirs has a line there, with the
same least version, and what was tried is what requirements/constraints.txt says.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tomllib

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/dependencies.md"

# Names by which the build files know what the page has under another one.
OTHER_NAMES = {
    "threads": "glibc",
    "libboost-dev": "boost",
    "libcli11-dev": "cli11",
    "libspdlog-dev": "spdlog",
    "nlohmann-json3-dev": "nlohmann-json",
    "python3-dev": "python",
    "python3-venv": "python",
    "clang-14": "clang",
    "libclang-rt-14-dev": "clang",
    "clang-format-14": "clang",
    "libtorch": "torch",
}


class Line(NamedTuple):
    at_least: str
    tried: str


class Wanted(NamedTuple):
    name: str
    at_least: str
    where: str


def canonical(name: str) -> str:
    name = name.lower().replace("_", "-")
    return OTHER_NAMES.get(name, name)


def lines_of_page() -> dict[str, Line]:
    lines = {}
    for row in (ROOT / PAGE).read_text().splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row.startswith("| ") and len(cells) == 5:
            lines[canonical(cells[0])] = Line(cells[1], cells[2])
    return lines


def wanted_by_cmake() -> Iterator[Wanted]:
    for pattern in ("CMakeLists.txt", "*/CMakeLists.txt", "cmake/*.cmake*"):
        for file in ROOT.glob(pattern):
            where = str(file.relative_to(ROOT))
            text = file.read_text()
            for name, version in re.findall(
                r"^\s*find_(?:package|dependency)\((\w+)(?: ([0-9.]+))?", text, re.MULTILINE
            ):
                yield Wanted(name, version, where)
            for version in re.findall(r"^cmake_minimum_required\(VERSION ([0-9.]+)", text, re.MULTILINE):
                yield Wanted("CMake", version, where)


def wanted_by_python() -> Iterator[Wanted]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    requirements = [*settings["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        requirements += extra
    for requirement in [*requirements, "Python" + project["requires-python"]]:
        name, version = re.fullmatch(r"([A-Za-z0-9_-]+)(?:\[[a-z,-]+\])?(?:>=([0-9.]+))?", requirement).groups()
        if name != project["name"]:
            yield Wanted(name, version or "", "pyproject.toml")


def installed_by_setup() -> Iterator[Wanted]:
    for name in re.findall(r"^([A-Za-z0-9_-]+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE):
        yield Wanted(name, "", "requirements/dev.txt")
    script = (ROOT / "scripts/setup").read_text()
    needed = r"^(?:need|need_program|may_need) \S+ ([a-z0-9+-]+)$"
    for name in [*re.findall(needed, script, re.MULTILINE), "libclang-rt-14-dev"]:
        yield Wanted(name, "", "scripts/setup")


def complaints() -> Iterator[str]:
    lines = lines_of_page()
    uninteresting = {"git", "catch", "package", "gnuinstalldirs"}
    for wanted in [*wanted_by_cmake(), *wanted_by_python(), *installed_by_setup()]:
        name = canonical(wanted.name)
        if name in uninteresting:
            continue
        line = lines.get(name)
        if line is None:
            yield f"{wanted.where} wants {wanted.name}, which has no line in {PAGE}"
        elif wanted.at_least and line.at_least != wanted.at_least:
            yield (
                f"{wanted.where} asks for {wanted.name} {wanted.at_least}, {PAGE} for {line.at_least or 'any version'}"
            )
    pinned = re.findall(r"^([A-Za-z0-9_-]+)==(\S+)$", (ROOT / "requirements/constraints.txt").read_text(), re.MULTILINE)
    for name, version in pinned:
        line = lines.get(canonical(name))
        if line is not None and version not in line.tried:
            yield f"{PAGE} says that {name} {line.tried} was tried; the tests run with {version}"


if __name__ == "__main__":
    found = list(dict.fromkeys(complaints()))
    print("\n".join(found) or f"{PAGE} and the build files say the same of {len(lines_of_page())} dependencies")
    sys.exit(bool(found))
