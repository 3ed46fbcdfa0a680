"""What MkDocs adds to the pages: the C++ reference, made by Doxygen and put beneath the site as cpp/, and the notes
of decisions/, which need no list of their own."""

import shutil
import subprocess
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_CPP_REFERENCE = ROOT / "build" / "doxygen" / "html"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    for entry in config.nav or []:
        if "Decisions" in entry:
            notes = sorted(Path(config.docs_dir, "decisions").glob("*.md"))
            entry["Decisions"] += [f"decisions/{note.name}" for note in notes if note.name != "README.md"]
    return config


def on_pre_build(config: MkDocsConfig) -> None:
    if not shutil.which("doxygen"):
        raise PluginError("doxygen is missing, which makes the C++ reference: scripts/setup installs it")
    (ROOT / "build").mkdir(exist_ok=True)
    shutil.rmtree(_CPP_REFERENCE, ignore_errors=True)
    done = subprocess.run(["doxygen", "docs/site/Doxyfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PluginError(f"doxygen: {done.stderr}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in sorted(_CPP_REFERENCE.rglob("*")):
        if path.is_file():
            name = f"cpp/{path.relative_to(_CPP_REFERENCE)}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files
