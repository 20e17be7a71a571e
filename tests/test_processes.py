"""A limit of processes and threads: told in one line, worked with where it can be."""

import threading

import numpy as np
import pytest

from lib.errors import ResourceError, run_script, warn_once
from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.system.preflight import check_environment
from lib.system.processes import (
    has_process_pools,
    startable_processes,
    startable_threads,
    threads_needed,
)
from tests.data_sets import small_options

pytestmark = pytest.mark.skipif(not has_process_pools(), reason="no shared memory")


@pytest.fixture
def allow(monkeypatch):
    """Return a function that allows so many threads at once, besides those at work."""
    warn_once.cache_clear()
    start, at_work = threading.Thread.start, threading.active_count()

    def allow_threads(count):
        def limited(thread):
            if threading.active_count() >= at_work + count:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)

    return allow_threads


def test_room_is_what_can_be_started_at_once(allow):
    allow(7)
    assert startable_threads(20) == 7
    assert startable_threads(5) == 5


def test_pool_that_fits_is_started_without_a_word(capsys):
    assert startable_processes(2) == 2
    assert startable_processes(0) == 0
    assert not capsys.readouterr().err


def test_pool_that_does_not_fit_is_said_in_one_line(allow, capsys):
    allow(4)
    assert startable_processes(3) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for words in ("room for 4", "ulimit -u", "by one process, not 3"):
        assert words in said


def test_tomograms_are_prepared_in_one_process_where_no_other_starts(
    data_set, tmp_path, allow, capsys
):
    options = small_options()
    listed = read_image_list(
        data_set, project=tmp_path, needs_tilts=False, order=options.order
    )
    alone = prepare_store(listed, options, cache=tmp_path / "alone", workers=0)
    allow(threads_needed() + 1)
    store = prepare_store(listed, options, cache=tmp_path / "cache", workers=2)
    assert "by one process, not 2" in capsys.readouterr().err
    rows = np.arange(len(alone))
    assert len(store) == len(alone) > 0
    np.testing.assert_array_equal(
        store.gather(rows, 0 * rows), alone.gather(rows, 0 * rows)
    )


def test_no_room_at_all_is_told_before_the_work(allow, tmp_path):
    allow(1)
    with pytest.raises(ResourceError, match="processes: room for 1 .*ulimit -u"):
        check_environment({tmp_path: "--exp_dir"})


def test_thread_that_cannot_start_is_no_bug(allow, capsys):
    allow(0)
    with pytest.raises(SystemExit) as stopped:
        run_script(threading.Thread(target=print).start)
    assert stopped.value.code == 2
    assert "no further process or thread" in capsys.readouterr().err
