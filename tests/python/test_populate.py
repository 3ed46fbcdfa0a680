"""attach(populate=True), judged by the page faults that are left."""

import resource

import numpy as np
import pytest
from running_daemon import RunningDaemon

import tensord


@pytest.fixture
def small_pages(tmp_path):
    """A daemon on small pages, where there are many to fault in."""
    daemon = RunningDaemon(tmp_path, "--max-bytes", "256MiB", "--huge-pages", "never")
    yield daemon
    daemon.stop()


def faults_of_touching(array):
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    array[:: 4096 // array.itemsize].max()
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


@pytest.mark.parametrize(("live", "mode"), [(False, "r"), (True, "r"), (True, "r+")])
def test_populate_leaves_no_page_faults_for_the_first_touch(small_pages, live, mode):
    elements = np.ones(8 << 20, np.float32)  # 32 MiB: at least 512 page faults, with 16 small pages each
    with tensord.connect(small_pages.socket, start=False) as writer:
        writer.put("x", elements, live=live)
        writer.put("y", elements, live=live)
        with tensord.connect(small_pages.socket, start=False) as reader:
            view = reader.attach("x", mode, populate=True)
            assert view.mode == mode
            assert faults_of_touching(view.numpy()) < 50
            assert faults_of_touching(reader.attach("y", mode).numpy()) > 400


def test_populate_is_named_and_off_unless_asked_for(store):
    store.put("x", [1, 2, 3])
    assert store.attach("x", populate=False).numpy().tolist() == [1, 2, 3]
    with pytest.raises(TypeError):
        store.attach("x", "r", True)
