"""The stub says what the module has: no more, no less, with the same parameters and defaults."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tensord
from tensord import _core

HERE = Path(__file__).resolve().parent
PACKAGE = Path(tensord.__file__).parent
MODULES = ["tensord", *(f"tensord.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]))]


def stubtest(*arguments):
    """What mypy's stubtest finds between the stub, as it is or as a test has it, and the module."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--concise", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_stubtest_finds_nothing_but_what_is_allowed():
    pytest.importorskip("torch")
    options = ("--allowlist", str(HERE / "stubtest_allowed.txt"), "--mypy-config-file", str(HERE / "stubtest.ini"))
    assert stubtest("tensord", *options) == ""


# stubtest reads signatures where Python has them, and passes over what has none.
def core_functions():
    for name, value in vars(_core).items():
        if inspect.isbuiltin(value):
            yield name, value
        for member, function in vars(value).items() if inspect.isclass(value) else ():
            if type(function).__name__ == "instancemethod" and not member.startswith("_pybind11"):
                yield f"{name}.{member}", function


@pytest.mark.parametrize("function", [pytest.param(value, id=name) for name, value in core_functions()])
def test_a_function_of_the_module_says_what_it_takes(function):
    assert list(inspect.signature(function).parameters)[:1] in (["self"], ["socket"], ["path"])


def test_a_signature_is_what_a_call_accepts():
    signature = inspect.signature(_core.Store.put)
    assert list(signature.parameters)[:3] == ["self", "name", "array"]
    assert signature.parameters["replace"].kind is inspect.Parameter.KEYWORD_ONLY
    assert signature.parameters["lifetime"].default == "store"
    assert str(inspect.signature(tensord.connect)) == "(socket=None, start=True)"
    assert inspect.getdoc(_core.Store.put).startswith("Puts a tensor")


# ---- documentation -------------------------------------------------------------------------------


def public_things():
    for module_name in MODULES:
        if module_name.rpartition(".")[2].startswith("_") and module_name != "tensord._core":
            continue
        if module_name == "tensord.torch" and importlib.util.find_spec("torch") is None:
            continue
        module = importlib.import_module(module_name)
        yield module_name, module
        names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        for name in names:
            value = getattr(module, name)
            if not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            yield f"{module_name}.{name}", value
            for member, function in vars(value).items() if inspect.isclass(value) else ():
                if not member.startswith("_") and (isinstance(function, property) or callable(function)):
                    yield f"{module_name}.{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("thing", [pytest.param(value, id=name) for name, value in public_things()])
def test_everything_public_is_documented(thing):
    assert thing.__doc__ and thing.__doc__.strip()


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()
