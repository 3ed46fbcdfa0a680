"""For the Python reference: classes of the extension module have their types in its stub and their docstrings in
themselves, so the one gets the other. A Griffe extension, used by mkdocstrings (mkdocs.yml)."""

import importlib
import inspect
from typing import Any

import griffe


class RuntimeDocstrings(griffe.Extension):
    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        if pkg.name == "tensord":
            importlib.import_module("tensord")  # which adds methods to the extension's classes
            _fill(pkg["_core"], importlib.import_module("tensord._core"))


def _fill(documented: griffe.Object, runtime: object) -> None:
    for name, member in documented.members.items():
        if member.is_alias or not hasattr(runtime, name):
            continue
        own = getattr(runtime, name)
        text = inspect.getdoc(own)
        if text and not member.docstring:
            member.docstring = griffe.Docstring(text, parent=member)
        if member.is_class:
            _fill(member, own)
