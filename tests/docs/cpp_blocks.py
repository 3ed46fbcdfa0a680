"""The C++ and CMake blocks of a page, against an installed tensord.

A block with a `main` is a program; any other becomes the body of one that has connected, `store` being its Store.
Each is compiled with warnings as errors, and run. A CMake block is the lines of a project of one's own: the programs
that it makes from the page's files (`<!-- file: job.cpp -->`) are run where their block stands.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from markdown_page import Block, PageError

ROOT = Path(__file__).resolve().parents[2]

_FRAME = """\
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>
#include <tensord/tensord.hpp>
{includes}
int main() {{
  [[maybe_unused]] const tensord::Store store = tensord::Store::connect();
#line {line} "{page}"
{body}
}}
"""

_CMAKE_FRAME = """\
cmake_minimum_required(VERSION 3.25)
project(page CXX)
{lines}
"""

# A CUDA build of PyTorch stops find_package(Torch) where the CUDA toolkit is missing, as on most
# machines that merely `pip install torch`. The page's lines are then tried with its CPU side.
_FIND_TORCH_WITHOUT_CUDA = f"""\
list(APPEND CMAKE_MODULE_PATH "{ROOT}/cmake")
find_package(LibTorch REQUIRED)
set(TORCH_LIBRARIES LibTorch::LibTorch)
set(Torch_FOUND TRUE)
"""


@dataclass
class Tools:
    prefix: Path  #: an installation of tensord
    compiler: str = "c++"
    cmake: str = "cmake"
    work: Path | None = None  #: where C++ is built; a place that stays is one where ccache finds it again


def _torch_folder() -> Path:
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise PageError("this page's C++ needs torch, which this Python has not")
    return Path(spec.submodule_search_locations[0])


def _run(place: str, command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise PageError(f"{place}: {' '.join(command)}\nends with {done.returncode}:\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def program_of(block: Block) -> str:
    if re.search(r"\bint main\(", block.code):
        return f'#line {block.line} "{block.page}"\n{block.code}'
    lines = block.code.splitlines()
    includes = [line if line.startswith("#include") else "" for line in lines]
    uses_torch = re.search(r"torch", block.code) and "torch.hpp" not in block.code
    extra = "#include <tensord/torch.hpp>\n#include <tensord/torch_module.hpp>\n" if uses_torch else ""
    body = "\n".join("" if include else line for line, include in zip(lines, includes, strict=True))
    return _FRAME.format(
        includes=extra + "\n".join(filter(None, includes)), line=block.line, page=block.page, body=body
    )


class CppBlocks:
    def __init__(self, tools: Tools, directory: Path, environment: dict[str, str]) -> None:
        self._tools, self._directory, self._environment = tools, directory, environment
        self._work = tools.work or directory
        self._projects: dict[str, Path] = {}  # by file: where its program was built

    def compile(self, block: Block, *, only_syntax: bool = False) -> Path:
        source = self._work / f"block-{block.line}.cpp"
        program = source.with_suffix("")
        source.write_text(program_of(block))
        launcher = ["ccache"] if shutil.which("ccache") else []
        flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-Wno-unused", f"-I{self._tools.prefix}/include"]
        libraries = [str(next(self._tools.prefix.glob("lib*/libtensord.*"))), "-pthread"]
        if re.search(r'#include "', block.code):
            flags.append(f"-I{ROOT}/lib/src")
        if "torch" in source.read_text():
            torch = _torch_folder()
            flags += ["-isystem", f"{torch}/include", "-isystem", f"{torch}/include/torch/csrc/api/include"]
            libraries += [f"-L{torch}/lib", f"-Wl,-rpath,{torch}/lib", "-ltorch_cpu", "-lc10"]
        object_file = str(source.with_suffix(".o"))
        compiler = [*launcher, self._tools.compiler]
        _run(block.place, [*compiler, *flags, "-c", str(source), "-o", object_file])
        if not only_syntax:
            _run(block.place, [self._tools.compiler, object_file, *libraries, "-o", str(program)])
        return program

    def run(self, block: Block) -> str:
        """What the program of this block printed."""
        program = self._projects.get(block.marks.get("file", "")) or self.compile(block)
        return _run(block.place, [str(program)], cwd=self._directory, env=self._environment)

    def build_project(self, block: Block) -> None:
        """Configures and builds a CMake block; its programs wait for the blocks that are their files."""
        source, build = self._work / f"project-{block.line}", self._work / f"project-{block.line}-build"
        source.mkdir(exist_ok=True)
        whole = "cmake_minimum_required" in block.code
        (source / "CMakeLists.txt").write_text(block.code if whole else _CMAKE_FRAME.format(lines=block.code))
        programs = re.findall(r"add_executable\((\w+) ([^)]*)\)", block.code)
        for _, files in programs:
            for file in files.split():
                if not (self._directory / file).exists():
                    raise PageError(f"{block.place}: no block of the page is marked <!-- file: {file} -->")
                shutil.copy(self._directory / file, source)
        options = [f"-DCMAKE_CXX_COMPILER={self._tools.compiler}", "-DCMAKE_BUILD_TYPE=None", "-G", "Ninja"]
        options.append(f"-DPython_EXECUTABLE={sys.executable}")
        if shutil.which("ccache"):
            options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        prefixes = [str(self._tools.prefix)]
        if "Torch" in block.code:
            prefixes.append(str(_torch_folder() / "share" / "cmake"))
            if any((_torch_folder() / "lib").glob("libtorch_cuda*")) and not shutil.which("nvcc"):
                (source / "FindTorch.cmake").write_text(_FIND_TORCH_WITHOUT_CUDA)
                options.append(f"-DCMAKE_MODULE_PATH={source}")
        options.append(f"-DCMAKE_PREFIX_PATH={';'.join(prefixes)}")
        _run(block.place, [self._tools.cmake, "-S", str(source), "-B", str(build), *options])
        _run(block.place, [self._tools.cmake, "--build", str(build)])
        for target, files in programs:
            for file in files.split():
                self._projects[file] = build / target
