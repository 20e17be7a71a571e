"""As many processes as the machine, or this job's part of it, can bear."""

from concurrent.futures.process import BrokenProcessPool

import pytest

from lib.errors import ResourceError
from lib.patches import resources
from lib.patches.resources import cores, within_memory, worker_count


@pytest.fixture
def machine(monkeypatch):
    """A machine of 8 cores and 32 GB."""
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.setattr(resources, "available_memory", lambda: 32 * 10**9)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


def test_cores_and_memory_bound_the_processes(machine):
    assert worker_count(None, tomograms=100, need=10**8) == 8
    assert worker_count(None, tomograms=3, need=10**8) == 3
    assert worker_count(None, tomograms=100, need=10**11) == 0


def test_half_of_the_free_memory_is_left(machine, monkeypatch):
    assert worker_count(None, tomograms=100, need=4 * 10**9) == 4
    monkeypatch.setattr(resources, "available_memory", lambda: 4 * 10**9)
    assert worker_count(None, tomograms=100, need=10**9) == 2


def test_what_the_user_wants_is_done(machine):
    assert worker_count(20, tomograms=100, need=10**11) == 20
    assert worker_count(0, tomograms=100, need=1) == 0


def test_ranks_share_the_machine(machine, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert cores() == 2
    assert worker_count(None, tomograms=100, need=10**8) == 2
    assert worker_count(None, tomograms=100, need=4 * 10**9) == 1


def test_memory_of_the_gpu_bounds_them_too(machine, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * 10**9, 0))
    assert worker_count(None, tomograms=100, need=10**9, device="cuda:0") == 2


@pytest.mark.parametrize("error", [MemoryError(), BrokenProcessPool("killed")])
def test_too_little_memory_is_said_with_what_to_do(error):
    with (
        pytest.raises(ResourceError, match="memory .* fewer than 3 .* --num_workers"),
        within_memory(3),
    ):
        raise error


def test_one_process_cannot_be_fewer():
    with pytest.raises(ResourceError) as rejected, within_memory(1):
        raise MemoryError
    assert "--num_workers" not in str(rejected.value)
