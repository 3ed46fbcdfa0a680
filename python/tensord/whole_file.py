"""Files that appear whole: whoever opens the name finds the old one or the new one, never a part."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["appearing"]


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary file, to be written in the block, which takes the name `path` at its end; not if it raises."""
    # Beside the file, so that taking its name is one step.
    handle, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's is 0600
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
