"""The console blocks of a page: one bash, in order. A line after `$ ` is typed, one after `> ` goes on with it, and
what stands below is compared with what comes (see output.py). A command must succeed, unless the page asks for
its status next, with `$ echo $?`."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from markdown_page import Block, PageError
from output import matches


def commands_of(block: Block) -> list[tuple[int, str, str]]:
    """(line of the page, command, expected output) of each; no `$ ` at all means that all of it is one script."""
    if block.language in ("bash", "sh"):
        return [(block.line, block.code, "...")]
    found: list[tuple[int, str, str]] = []
    for at, line in enumerate(block.code.splitlines(), block.line):
        if line.startswith("$ "):
            found.append((at, line[2:], ""))
        elif not found:
            raise PageError(f"{block.page}:{at}: a console block begins with `$ `, not with {line!r}")
        elif line.startswith("> ") and not found[-1][2]:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line[2:], "")
        else:
            found[-1] = (found[-1][0], found[-1][1], found[-1][2] + line + "\n")
    return [
        (at, re.sub(r"\s+# .*$", "", command) if "\n" not in command else command, out) for at, command, out in found
    ]


class ConsoleSession:
    def __init__(self, directory: Path, environment: dict[str, str], shown_as: dict[str, str]) -> None:
        self._shown_as = shown_as  # what stands in output for a path of this test
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._status = 0

    def run(self, block: Block) -> None:
        """Raises PageError where a command fails, or prints something else than the page says."""
        commands = commands_of(block)
        for number, (line, command, expected) in enumerate(commands):
            shown, status = self._type(command)
            place = f"{block.page}:{line}: $ {command}"
            asks_next = number + 1 < len(commands) and commands[number + 1][1].startswith("echo $?")
            if status != 0 and not asks_next:
                raise PageError(f"{place}\nends with {status}:\n{shown}")
            if block.hidden and not expected:
                continue
            if not matches(expected, shown, varies="varies" in block.marks):
                raise PageError(f"{place}\nthe page says:\n{expected}and it prints:\n{shown}")

    def _type(self, command: str) -> tuple[str, int]:
        end = "--end-of-output--"
        assert self._bash.stdin and self._bash.stdout
        # Its input would be our next command.
        self._bash.stdin.write(f"(exit {self._status})\n{{ {command}\n}} </dev/null\necho {end} $?\n")
        self._bash.stdin.flush()
        shown = ""
        for line in self._bash.stdout:
            before, found, status = line.partition(end)
            if found:
                self._status = int(status)
                for real, name in self._shown_as.items():
                    shown = shown.replace(real, name)
                return shown + before, self._status
            shown += line
        raise PageError(f"bash ended in: {command}\n{shown}")

    def close(self) -> None:
        """Ends bash, and what it started in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.communicate()


def check_syntax(block: Block, makefile: Path) -> None:
    """bash -n, and that every `make TARGET` has that target."""
    script = "\n".join(command for _, command, _ in commands_of(block)) + "\n"
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageError(f"{block.place}: bash -n: {done.stderr}")
    for target in re.findall(r"^make ([a-z][a-z-]*)", script, re.MULTILINE):
        if not re.search(rf"^{target}:", makefile.read_text(), re.MULTILINE):
            raise PageError(f"{block.place}: there is no `make {target}`")
