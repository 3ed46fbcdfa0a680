"""The environments of the peers: one folder each, so that what they depend on never meets what we do.

Made from requirements/ when first needed, and again when those have changed.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"

# Of the peers' binary packages; those of Plasma exist for no later one.
PYTHON = "3.11"


class Unavailable(Exception):
    """There is no such environment. The text says why, and stands in the report."""


def interpreter() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        return getattr(sys, "_base_executable", sys.executable)
    found = shutil.which("python" + PYTHON)
    if found is None:
        raise Unavailable(f"needs Python {PYTHON}, and there is no python{PYTHON} in PATH")
    return found


def run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines[-1:] or ["no message"]
        raise Unavailable(f"not installed: {errors[0]}"[:300])


def made_from(name: str) -> str:
    """What an environment bears the mark of that is up to date."""
    return hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes() + PYTHON.encode()).hexdigest()


def python_of(name: str, root: Path) -> Path:
    """The interpreter of that environment, which is made if need be. Raises Unavailable."""
    folder = root / name
    python, stamp = folder / "bin" / "python", folder / "made-from"
    if stamp.exists() and stamp.read_text() == made_from(name):
        return python
    print(f"installing {name} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    run(interpreter(), "-m", "venv", str(folder))
    requirements = str(REQUIREMENTS / f"{name}.txt")
    run(str(python), "-m", "pip", "--disable-pip-version-check", "install", "--requirement", requirements)
    stamp.write_text(made_from(name))
    return python
