import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))


def pytest_addoption(parser):
    parser.addoption("--prefix", required=True, type=Path, help="where tensord is installed")


@pytest.fixture(scope="session")
def prefix(request):
    return request.config.getoption("--prefix")
