"""Blocks that are read by a program rather than run: each is given to the program that would read it."""

import configparser
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from markdown_page import Block, PageError

# Units that a page shows parts of, as drop-ins: systemd sees them behind a whole one.
_WHOLE_UNIT = {"Service": "ExecStart=/bin/true\n", "Socket": "ListenStream=/run/page.sock\n"}


def _check_unit(block: Block, sections: list[str]) -> None:
    if not shutil.which("systemd-analyze"):
        return
    kind = "socket" if "Socket" in sections else "service"
    with tempfile.TemporaryDirectory(prefix="tensord-unit-") as folder:
        unit = Path(folder) / f"page.{kind}"
        main = kind.capitalize()
        unit.write_text(f"[{main}]\n{_WHOLE_UNIT[main]}" + block.code)
        if kind == "socket":
            unit.with_suffix(".service").write_text(f"[Service]\n{_WHOLE_UNIT['Service']}")
        done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        # What it says of other units of this machine is not about the page.
        said = [line for line in done.stderr.splitlines() if "page." in line and "not executable" not in line]
        if said:
            raise PageError(f"{block.place}: systemd-analyze verify: " + "\n".join(said))


def _check_ini(block: Block, run_daemon: Callable[[Path], None], directory: Path) -> None:
    sections = [line.strip()[1:-1] for line in block.code.splitlines() if line.startswith("[")]
    if sections:
        parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(block.code)
        if {"Unit", "Service", "Socket"} & set(sections):
            _check_unit(block, sections)
        return
    config = directory / f"config-{block.line}.ini"
    config.write_text(block.code)
    run_daemon(config)


def check(block: Block, run_daemon: Callable[[Path], None], directory: Path) -> bool:
    """Whether this is a language of data, and then whether it is sound: PageError if not. `ini` without sections is
    a configuration of tensord, and given to `run_daemon`."""
    try:
        if block.language == "ini":
            _check_ini(block, run_daemon, directory)
        elif block.language in ("yaml", "yml"):
            list(yaml.safe_load_all(block.code))
        elif block.language == "json":
            json.loads(block.code)
        elif block.language == "toml":
            if sys.version_info >= (3, 11):
                import tomllib

                tomllib.loads(block.code)
        else:
            return False
    except (configparser.Error, yaml.YAMLError, ValueError) as error:
        raise PageError(f"{block.place}: {block.language}: {error}") from error
    return True
