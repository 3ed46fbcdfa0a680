"""The documentation as a site: it is made without a warning, and its pages load nothing from another host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    # --strict: broken links and anchors, pages that no navigation leads to, a reference to what is not there.
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def test_every_page_is_there_and_the_references_have_what_they_are_for(site):
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / name).exists() or (site / name).with_name("index.html").exists(), name
    python = (site / "reference" / "python.html").read_text()
    for name in ("Store.attach", "Store.put_state_dict", "View.wait_async", "View.location"):
        assert f'id="tensord.{name}"' in python, name
    assert "Attaches" in python  # docstrings, not the types alone
    assert "Exactly one copy, out" in (site / "cpp" / "classtensord_1_1View.html").read_text()


def test_no_page_loads_anything_from_another_host(site):
    loads = re.compile(
        r'<(?:script|img|iframe)[^>]*\bsrc="(?:https?:)?//|<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*//'
    )
    for page in site.rglob("*.html"):
        found = loads.search(page.read_text())
        assert not found, f"{page.relative_to(site)}: {found[0]}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\W?https?:", style.read_text()), style.relative_to(site)
