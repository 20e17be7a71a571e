"""As many processes as the machine, or this job's part of it, can bear."""

import os

import psutil
import pytest

from lib.patches import workers
from lib.patches.workers import cores, memory_available, worker_count


@pytest.fixture
def machine(monkeypatch):
    """A machine of 8 cores and 32 GB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(workers, "memory_available", lambda: 32 * 10**9)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


def test_cores_and_memory_bound_the_processes(machine):
    assert worker_count(None, tomograms=100, need=10**8) == 8
    assert worker_count(None, tomograms=3, need=10**8) == 3
    assert worker_count(None, tomograms=100, need=10**11) == 0


def test_together_they_stay_under_4_gb_unless_the_user_says_otherwise(machine):
    assert worker_count(None, tomograms=100, need=10**9) == 3
    assert worker_count(8, tomograms=100, need=10**9) == 8


def test_half_of_the_free_memory_is_left(machine, monkeypatch):
    monkeypatch.setattr(workers, "memory_available", lambda: 4 * 10**9)
    assert worker_count(None, tomograms=100, need=10**9) == 2


def test_what_the_user_wants_is_done(machine):
    assert worker_count(20, tomograms=100, need=10**11) == 20
    assert worker_count(0, tomograms=100, need=1) == 0


def test_ranks_share_the_machine(machine, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert cores() == 2
    assert worker_count(None, tomograms=100, need=10**8) == 2
    assert worker_count(None, tomograms=100, need=8 * 10**8) == 1


def test_memory_of_the_gpu_bounds_them_too(machine, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * 10**9, 0))
    assert worker_count(None, tomograms=100, need=10**9, device="cuda:0") == 2


def test_a_jobs_memory_is_not_the_machines(tmp_path):
    machine = psutil.virtual_memory().available
    assert memory_available(tmp_path) == pytest.approx(machine, rel=0.2)
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_available(tmp_path) == pytest.approx(machine, rel=0.2)
    (tmp_path / "memory.max").write_text("5000000\n")
    assert memory_available(tmp_path) == 2_000_000
