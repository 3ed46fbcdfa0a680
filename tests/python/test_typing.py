"""What type checkers say: nothing about our own code, and the right things about code that uses it."""

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import tensord

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGE = Path(tensord.__file__).parent


def mypy(*arguments, **environment):
    # Its cache, .mypy_cache, makes every run after the first one quick.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def is_python_script(path):
    return path.is_file() and not path.suffix and path.read_bytes().startswith(b"#!/usr/bin/env python3")


def programs():
    """What is checked together: the package, and each folder of programs; scripts one by one, being all __main__."""
    files = [path for top in ("examples", "benchmarks") for path in sorted((ROOT / top).rglob("*"))]
    yield [ROOT / "python" / "tensord"]
    for folder in sorted({path.parent for path in files if path.suffix == ".py"}):
        yield sorted(folder.glob("*.py"))
    yield from ([path] for path in files if is_python_script(path))


@pytest.mark.parametrize("paths", list(programs()), ids=lambda paths: str(paths[0].relative_to(ROOT)))
def test_the_package_its_examples_and_its_benchmarks_are_strictly_typed(paths):
    pytest.importorskip("torch")
    assert mypy(*paths) == ""


def test_a_user_of_the_package_gets_its_types():
    pytest.importorskip("torch")
    # The package that is imported here, rather than the sources: what was installed, if it was.
    found = {} if str(PACKAGE.parent) in site.getsitepackages() else {"MYPYPATH": str(PACKAGE.parent)}
    assert mypy("--config-file=", "--strict", HERE / "typed_use.py", **found) == ""


WITHOUT_TORCH = """
from typing import Any

import numpy as np
import tensord
from typing_extensions import assert_type

def use(store: tensord.Store) -> float:
    view = store.put("a", np.zeros(3))
    assert_type(view.shape, tuple[int, ...])
    assert_type(view.clone(), np.ndarray[Any, Any])
    assert view.torch().is_contiguous()
    return float(view.numpy()[0])
"""


def test_a_user_without_torch_can_check_types_too(tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    for package in (PACKAGE, Path(np.__file__).parent):
        (packages / package.name).symlink_to(package)
    (tmp_path / "use.py").write_text(WITHOUT_TORCH)
    python = f"--python-executable={tmp_path}/venv/bin/python"
    options = (python, "--config-file=", "--strict", f"--cache-dir={tmp_path}/cache")
    assert mypy(*options, tmp_path / "use.py") == ""
    # So torch really is out of sight there.
    (tmp_path / "imports.py").write_text("import torch\n")
    assert "import-not-found" in mypy(*options, tmp_path / "imports.py")
