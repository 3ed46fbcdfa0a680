"""The stub names what the module has: no more, no less."""

import ast
from pathlib import Path

import pytest

import tensord
from tensord import _core

STUB = ast.parse((Path(tensord.__file__).parent / "_core.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
# Of object, of pybind11, of pickling; and the buffer protocol's name in Python 3.12.
NOT_IN_STUBS = {"__buffer__", "__init__", "__new__", "__doc__", "__module__", "__repr__", "__hash__"}


def own_names(cls):
    return {name for name in vars(cls) if not name.startswith("_pybind11")} - NOT_IN_STUBS


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_that_its_stub_says(name):
    said = {node.name for node in CLASSES[name].body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))} - NOT_IN_STUBS
    assert said == own_names(getattr(_core, name))


def test_the_module_has_the_functions_and_classes_that_its_stub_says():
    said = {node.name for node in STUB.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert said == {name for name in vars(_core) if not name.startswith("_")}


@pytest.mark.parametrize("name", tensord.__all__)
def test_everything_public_is_there_and_documented(name):
    assert getattr(tensord, name).__doc__ or name == "__version__"


def test_the_package_is_typed():
    assert (Path(tensord.__file__).parent / "py.typed").exists()
