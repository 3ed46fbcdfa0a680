"""Packages that a command needs and the library does not."""

import importlib

__all__ = ["need"]


def need(package: str, extra: str, what: str) -> None:
    """Raises ImportError, with what to do, unless `package` can be imported."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        if error.name not in (None, package):
            raise  # it is there, and lacks something of its own
        raise ImportError(f"{what} needs the package {package}: pip install tensord[{extra}]", name=package) from error
