"""Does what README.md says, as a stranger would: its Python block, its CMake and C++ blocks against an
installed tensord, and its service commands, all on a socket of this test's own. And looks whether the
files that docs/architecture.md names are there.

    check.py --build-dir BUILD [--cmake CMAKE]

BUILD is a configured and built tree; the Python that runs this must have `tensord` and torch.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]

CMAKE_FRAME = """\
cmake_minimum_required(VERSION 3.25)
project(readme CXX)
{block}
"""

# A CUDA build of PyTorch stops find_package(Torch) where the CUDA toolkit is missing, as on most
# machines that merely `pip install torch`. The README's lines are then tried with its CPU side.
FIND_TORCH_WITHOUT_CUDA = f"""\
list(APPEND CMAKE_MODULE_PATH "{ROOT}/cmake")
find_package(LibTorch REQUIRED)
set(TORCH_LIBRARIES LibTorch::LibTorch)
set(Torch_FOUND TRUE)
"""

# Runs after both blocks: each must have seen what the other did.
AFTERWARDS = """
import numpy as np
import tensord

store = tensord.connect()
counter = store.attach("demo/counter").numpy()
assert counter.tolist() == [2, 1, 1, 1], counter
mean, images = store.attach("demo/mean").numpy(), store.attach("demo/images").numpy()
np.testing.assert_allclose(mean, images.mean(0), rtol=1e-5)
"""


def block(readme, language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise SystemExit(f"README.md has {len(found)} blocks of {language}, not one: this test must learn about it")
    return found[0]


def check_files_named_in(document):
    """Words like `daemon/space` name a source file, with or without its ending."""
    words = re.findall(r"`([a-z_]+/[a-z_./]+)`", document.read_text())
    roots = (ROOT, ROOT / "lib" / "src", ROOT / "lib" / "include")
    missing = [
        word
        for word in words
        if not any((root / f"{word}{ending}").exists() for root in roots for ending in ("", ".hpp", ".cpp"))
    ]
    if missing:
        raise SystemExit(f"{document.relative_to(ROOT)} names what is not there: {', '.join(missing)}")
    print(f"{document.relative_to(ROOT)}: all of {len(words)} named files are there", flush=True)


def run(*command, **options):
    print("+", *map(str, command), flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def build_job(readme, args, scratch):
    """README's C++ program, built with README's CMake lines against an installation; the program's path."""
    prefix, source, build = scratch / "prefix", scratch / "job", scratch / "job-build"
    for component in ("tensord", "tensord-dev"):
        command = (args.cmake, "--install", args.build_dir, "--prefix", prefix, "--component", component)
        run(*command, stdout=subprocess.DEVNULL)
    source.mkdir()
    (source / "CMakeLists.txt").write_text(CMAKE_FRAME.format(block=block(readme, "cmake")))
    (source / "job.cpp").write_text(block(readme, "cpp"))
    options = [f"-DCMAKE_PREFIX_PATH={prefix};{torch.utils.cmake_prefix_path}", "-DCMAKE_BUILD_TYPE=Release"]
    if torch.version.cuda and not shutil.which("nvcc"):
        (source / "FindTorch.cmake").write_text(FIND_TORCH_WITHOUT_CUDA)
        options += [f"-DCMAKE_MODULE_PATH={source}", f"-DPython_EXECUTABLE={sys.executable}"]
    run(args.cmake, "-S", source, "-B", build, *options)
    run(args.cmake, "--build", build)
    return prefix, build / "job"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=Path, required=True)
    parser.add_argument("--cmake", default="cmake")
    args = parser.parse_args()
    readme = (ROOT / "README.md").read_text()
    check_files_named_in(ROOT / "docs" / "architecture.md")

    with tempfile.TemporaryDirectory(prefix="tensord-readme-") as scratch:
        scratch = Path(scratch)
        prefix, job = build_job(readme, args, scratch)
        environment = dict(
            os.environ,
            TENSORD_SOCKET=str(scratch / "socket"),
            TENSORD_DAEMON=str(prefix / "bin" / "tensord"),
            PATH=f"{prefix / 'bin'}:{os.environ['PATH']}",
        )
        try:
            # In this order, as a reader would: the first connect() starts the daemon.
            run(sys.executable, "-c", block(readme, "python"), env=environment)
            run(job, env=environment)
            run(sys.executable, "-c", AFTERWARDS, env=environment)
            run("tensorctl", "status", env=environment)
        finally:
            run("tensorctl", "stop", env=environment)
        run("tensorctl", "start", env=environment)
        run("tensorctl", "stop", env=environment)


if __name__ == "__main__":
    main()
