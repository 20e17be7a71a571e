"""Cores and memory that a process may use, of a machine that others limit."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.patches.resources import worker_count
from lib.system import machine
from lib.system.machine import available_memory, usable_cores, usable_threads
from tests.data_sets import small_options

PROJECT = Path(__file__).resolve().parents[1]
GB = 10**9
UNLIMITED = 2**63 - 4096  # as version 1 writes it
OUTER, INNER = "slurm/job_7", "slurm/job_7/step_0/task_0"
V2 = f"0::/{INNER}\n"
V1 = f"9:cpu,cpuacct:/{INNER}\n4:memory:/{INNER}\n1:name=systemd:/\n0::/init.scope\n"


@pytest.fixture(autouse=True)
def node(monkeypatch):
    """A node of 64 cores and 512 GB, without a batch system."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: set(range(64)), raising=False
    )
    free = SimpleNamespace(available=512 * GB)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: free)
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMP_", "LOCAL_WORLD_SIZE")):
            monkeypatch.delenv(name)


@pytest.fixture
def write_groups(tmp_path):
    """Return a function that writes control groups, and returns where they lie."""

    def write(own, **groups):
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "self" / "cgroup").write_text(own)
        for path, files in groups.items():
            folder = tmp_path / "sys" / "fs" / "cgroup" / path
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (folder / name).write_text(f"{content}\n")
        return tmp_path

    return write


def version_2(limit, used, inactive=0):
    stat = f"anon 5\nfile 7\ninactive_file {inactive}\nactive_file 3"
    return {"memory.max": limit, "memory.current": used, "memory.stat": stat}


def version_1(limit, used, inactive=0):
    stat = f"inactive_file 1\ntotal_inactive_file {inactive}"
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.stat": stat,
    }


# --- memory --------------------------------------------------------------------


def test_without_limits_the_machines_memory_is_free(write_groups):
    assert available_memory(write_groups(V2)) == 512 * GB


@pytest.mark.parametrize(
    ("own", "tree", "of"), [(V2, "", version_2), (V1, "memory/", version_1)]
)
@pytest.mark.parametrize("tightest", [OUTER, INNER, "slurm"])
def test_tightest_group_from_the_process_to_the_root_counts(
    write_groups, own, tree, of, tightest
):
    groups = {tree + path: of(100 * GB, GB) for path in ("slurm", OUTER, INNER)}
    groups[tree + tightest] = of(10 * GB, 4 * GB)
    groups[f"{tree}somebody_else"] = of(GB, GB)
    assert available_memory(write_groups(own, **groups)) == 6 * GB


@pytest.mark.parametrize(
    ("own", "tree", "group"),
    [
        (V2, "", version_2("max", 400 * GB)),
        (V1, "memory/", version_1(UNLIMITED, 400 * GB)),
        (V2, "", {"memory.max": "not a number", "memory.current": ""}),
    ],
)
def test_group_without_a_limit_bounds_nothing(write_groups, own, tree, group):
    assert available_memory(write_groups(own, **{tree + OUTER: group})) == 512 * GB


@pytest.mark.parametrize(
    ("own", "tree", "of"), [(V2, "", version_2), (V1, "memory/", version_1)]
)
def test_files_that_are_only_kept_in_case_are_free_memory(write_groups, own, tree, of):
    root = write_groups(own, **{tree + OUTER: of(10 * GB, 9 * GB, inactive=7 * GB)})
    assert available_memory(root) == 8 * GB


def test_limit_that_only_slows_down_is_kept_too(write_groups):
    group = {**version_2(100 * GB, GB), "memory.high": 3 * GB}
    assert available_memory(write_groups(V2, **{OUTER: group})) == 2 * GB


def test_group_that_is_over_its_limit_has_nothing(write_groups):
    assert available_memory(write_groups(V2, **{OUTER: version_2(GB, 2 * GB)})) == 0


@pytest.mark.parametrize(
    "own", ["4:memory:/docker/0123\n", "4:memory:/../../elsewhere\n"]
)
def test_container_that_sees_only_its_own_part(write_groups, own):
    outside = {"../elsewhere": version_1(GB, GB)}
    root = write_groups(own, **{"memory/": version_1(8 * GB, GB)}, **outside)
    assert available_memory(root) == 7 * GB


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "16384"}, 16384 * 2**20),
        ({"SLURM_MEM_PER_NODE": "0"}, 512 * GB),  # --mem=0 asks for all
        ({"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "8"}, 8 * 2048 * 2**20),
        ({"SLURM_MEM_PER_CPU": "1024"}, 64 * 1024 * 2**20),
        ({"SLURM_MEM_PER_NODE": "9999999"}, 512 * GB),
        ({"SLURM_MEM_PER_NODE": ""}, 512 * GB),
    ],
)
def test_slurm_job_has_a_part_of_the_node(
    write_groups, monkeypatch, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert available_memory(write_groups(V2)) == expected


# --- cores ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("400000 100000", 4), ("150000 100000", 2), ("10000 100000", 1), ("max 1", 64)],
)
@pytest.mark.parametrize("where", [OUTER, INNER])
def test_quota_of_processor_time_bounds_the_cores(write_groups, quota, cores, where):
    root = write_groups(V2, **{where: {"cpu.max": quota}})
    assert usable_cores(root) == cores


@pytest.mark.parametrize(("quota", "cores"), [(250000, 3), (-1, 64)])
@pytest.mark.parametrize("tree", ["cpu,cpuacct", "cpu"])
def test_quota_of_version_1(write_groups, tree, quota, cores):
    group = {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": 100000}
    root = write_groups(V1, **{f"{tree}/{OUTER}": group})
    assert usable_cores(root) == cores


def test_slurm_job_has_a_part_of_the_cores(write_groups, monkeypatch):
    root = write_groups(V2)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "12")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert usable_cores(root) == 12
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "128")
    assert usable_cores(root) == 64


def test_newer_python_is_asked_first(write_groups, monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 5, raising=False)
    assert usable_cores(write_groups("")) == 5


def test_machine_that_does_not_say_has_one_core(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("said", "threads"), [("3", 3), ("4,2", 4), ("0", 64), ("", 64), ("many", 64)]
)
def test_user_says_how_many_threads(monkeypatch, said, threads):
    monkeypatch.setattr(machine, "usable_cores", lambda: 64)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert usable_threads() == threads


# --- what follows from them ----------------------------------------------------


def test_large_node_is_used(write_groups, monkeypatch):
    root = write_groups(V2, **{OUTER: version_2("max", 3 * GB)})
    monkeypatch.setattr(
        "lib.patches.resources.usable_cores", lambda: usable_cores(root)
    )
    monkeypatch.setattr(
        "lib.patches.resources.available_memory", lambda: available_memory(root)
    )
    need = 3 * 4 * 1000 * 1000 * 500  # as lib.patches.resources reckons it
    assert worker_count(None, tomograms=200, need=need) > 30
    # A job of 32 GB on the same node has room for few.
    write = root / "sys" / "fs" / "cgroup" / OUTER / "memory.max"
    write.write_text(f"{32 * GB}\n")
    assert 1 <= worker_count(None, tomograms=200, need=need) <= 4


def test_preparation_runs_without_what_only_linux_has(data_set, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    rows = read_image_list(
        data_set, project=data_set.parent, needs_tilts=False, order="zxy"
    )
    assert len(prepare_store(rows, small_options(), cache=tmp_path))


def test_every_module_can_be_imported_without_what_only_linux_has():
    modules = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for path in sorted((PROJECT / "lib").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = (
        "import importlib, os, sys\n"
        "for name in ('sched_getaffinity', 'posix_fallocate', 'memfd_create'):\n"
        "    os.__dict__.pop(name, None)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *modules],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
