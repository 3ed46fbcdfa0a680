from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--build", required=True, type=Path, help="a build with TENSORD_BUILD_BENCHMARKS")
