"""What the pages say of names, files and numbers that stand in the sources, compared with those."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_files_that_architecture_names_are_there():
    """Words like `daemon/space` name a source file, with or without its ending."""
    words = re.findall(r"`([a-z_]+/[a-z_./]+)`", (ROOT / "docs" / "architecture.md").read_text())
    roots = (ROOT, ROOT / "lib" / "src", ROOT / "lib" / "include")
    endings = ("", ".hpp", ".cpp")
    missing = [word for word in words if not any((root / (word + end)).exists() for root in roots for end in endings)]
    assert words and not missing
