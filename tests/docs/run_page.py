"""Executes one page of the documentation, as its reader would, on a store of its own.

    run_page.py PAGE --prefix PREFIX [--compiler CXX] [--cmake CMAKE] [--work FOLDER]

PREFIX holds an installed tensord; the Python that runs this has the module. Blocks run in order, in a scratch folder:
Python in one session (python_blocks.py), console in one bash (console_blocks.py), C++ and CMake (cpp_blocks.py);
configurations are read by what reads them (data_blocks.py). What cannot run says so and why (markdown_page.py); it
is checked as far as that goes, and listed. A block that none of this fits fails the page.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType

import console_blocks
import cpp_blocks
import data_blocks
import python_blocks
from markdown_page import Block, PageError, blocks_of
from output import matches

ROOT = Path(__file__).resolve().parents[2]
_NOT_RUNNING = 3  # tensorctl's exit code
_PATIENCE_S = 1400  # less than CTest's, so that the page's daemon ends with it


class PageRun:
    def __init__(self, page: Path, tools: cpp_blocks.Tools, scratch: Path) -> None:
        self._page, self._tools = page, tools
        self._home, self._runtime = scratch / "home", scratch / "run"
        self._socket = self._runtime / "tensord" / "tensord.sock"
        for folder in (self._home, self._runtime, self._socket.parent):
            folder.mkdir(mode=0o700)
        programs = [str(tools.prefix / "bin"), str(Path(sys.executable).parent)]
        os.environ.update(
            HOME=str(self._home),
            XDG_RUNTIME_DIR=str(self._runtime),
            TENSORD_SOCKET=str(self._socket),
            TENSORD_DAEMON=str(tools.prefix / "bin" / "tensord"),
            PATH=":".join([*programs, os.environ["PATH"]]),
        )
        os.chdir(self._home)
        sys.path.insert(0, str(self._home))
        self._python = python_blocks.PythonSession()
        shown_as = {str(self._runtime): "/run/user/1000", str(self._home): "/home/you", str(tools.prefix): "/usr"}
        self._console = console_blocks.ConsoleSession(self._home, dict(os.environ), shown_as)
        self._cpp = cpp_blocks.CppBlocks(tools, self._home, dict(os.environ))
        self._printed = ""
        self.not_run: list[Block] = []
        self.ran = 0

    def run(self, blocks: list[Block]) -> None:
        for block in blocks:
            if "file" in block.marks:
                file = self._home / block.marks["file"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.code)
        for block in blocks:
            if "not run" in block.marks:
                self._check_only(block)
                self.not_run.append(block)
            else:
                self._run_block(block)
                self.ran += 1

    def _run_block(self, block: Block) -> None:
        if "output" in block.marks:
            if not matches(block.code, self._printed, varies="varies" in block.marks):
                raise PageError(f"{block.place}: the page says:\n{block.code}and it printed:\n{self._printed}")
        elif block.language == "python":
            self._printed = self._python.run(block)
        elif block.language in ("console", "bash", "sh"):
            self._console.run(block)
        elif block.language == "cpp":
            self._printed = self._cpp.run(block)
        elif block.language == "cmake":
            self._cpp.build_project(block)
        elif not self._check_data(block) and block.language != "text" and "file" not in block.marks:
            raise PageError(f"{block.place}: nobody can run a block of {block.language}; mark it <!-- not run: why -->")
        elif block.language == "text" and block.code.lstrip().startswith("$ "):
            raise PageError(f"{block.place}: this is a console block, not text")

    def _check_data(self, block: Block) -> bool:
        return data_blocks.check(block, self._run_daemon_with, self._home)

    def _check_only(self, block: Block) -> None:
        if block.language == "python":
            python_blocks.check_syntax(block)
        elif block.language in ("console", "bash", "sh"):
            console_blocks.check_syntax(block, ROOT / "Makefile")
        elif block.language == "cpp":
            self._cpp.compile(block, only_syntax=True)
        else:
            self._check_data(block)

    def _run_daemon_with(self, config: Path) -> None:
        """A daemon takes this configuration, all of it."""
        socket = config.with_suffix(".sock")
        daemon = [str(self._tools.prefix / "bin" / "tensord"), "--config", str(config), "--socket", str(socket)]
        started = subprocess.run([*daemon, "--background"], capture_output=True, text=True, check=False)
        if started.returncode:
            raise PageError(f"{config.name}: tensord does not start with it: {started.stdout}{started.stderr}")
        self._stop(socket)

    def _stop(self, socket: Path) -> None:
        """Nothing may be left running, not even by a tensorctl that does not fit the daemon."""
        tensorctl = str(self._tools.prefix / "bin" / "tensorctl")
        stopped = subprocess.run(
            [tensorctl, "--socket", str(socket), "stop"], capture_output=True, text=True, check=False
        )
        if stopped.returncode not in (0, _NOT_RUNNING):
            raise PageError(f"the daemon at {socket} does not stop: {stopped.stderr}")

    def close(self) -> None:
        self._python.close()
        self._console.close()
        for socket in [*self._runtime.rglob("*.sock"), *self._home.rglob("*.sock")]:
            self._stop(socket)


def _told_to_end(signal_number: int, frame: FrameType | None) -> None:
    raise PageError("told to end")


def _out_of_time(signal_number: int, frame: FrameType | None) -> None:
    raise PageError(f"not done after {_PATIENCE_S} s; it is here:\n" + "".join(traceback.format_stack(frame)[-3:]))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--prefix", type=Path, required=True)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--work", type=Path, help="where C++ is built, below a folder for the page")
    args = parser.parse_args()
    page = args.page.resolve()
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(_PATIENCE_S)
    signal.signal(signal.SIGTERM, _told_to_end)
    with tempfile.TemporaryDirectory(prefix="tensord-docs-") as scratch:
        run = None
        try:
            blocks = blocks_of(name, page.read_text())
            work = args.work and args.work.resolve() / page.relative_to(ROOT).with_suffix("")
            if work:
                work.mkdir(parents=True, exist_ok=True)
            tools = cpp_blocks.Tools(args.prefix.resolve(), args.compiler, args.cmake, work)
            run = PageRun(page, tools, Path(scratch))
            run.run(blocks)
        except PageError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            if run:
                run.close()
            os.chdir("/")
    for block in run.not_run:
        print(f"{block.place}: {block.language}, not run: {block.marks['not run']}")
    print(f"{name}: {run.ran} blocks ran or were read, {len(run.not_run)} were not run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
