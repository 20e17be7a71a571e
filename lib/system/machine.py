"""What of this machine a process may use: cores and memory.

The machine's own numbers are too large where a container, a batch system or a user
limit gives only a part of it. Those limits are control groups of the Linux kernel, in
two versions: every group from that of the process up to the root bounds it. Where there
are none, as on macOS, the machine's numbers hold.
"""

import functools
import math
import multiprocessing
import os
from pathlib import Path, PurePosixPath

import psutil

from lib.system.launched import whole_number

ROOT = Path("/")
SLURM_UNIT = 2**20  # bytes; Slurm counts memory in MiB


def ranks_here():
    """Return how many ranks of torchrun share this machine."""
    return whole_number(os.environ.get("LOCAL_WORLD_SIZE", "")) or 1


def usable_cores(root=ROOT):
    """Return how many cores this process may keep busy.

    The least of those it may run on, those its Slurm job has on this node, and the
    processor time of its control groups, rounded up. SLURM_CPUS_PER_TASK is not asked:
    in the batch script itself, where torchrun starts all ranks, a job has as many for
    each of its tasks.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie.
    """
    counts = [_cores_to_run_on(), _slurm("SLURM_CPUS_ON_NODE")]
    counts += [_core_quota(group) for group in _control_groups("cpu", root)]
    return min((count for count in counts if count), default=1)


def usable_threads():
    """Return how many threads a computation may use: as OMP_NUM_THREADS says, or all.

    Of several numbers, which OpenMP reads as one for each nesting level, the first
    counts.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else usable_cores()


@functools.cache
def has_process_pools():
    """Return whether this process may start a pool of others.

    They share locks, which Linux keeps in /dev/shm; some containers and jails have
    none that can be written to.
    """
    try:
        multiprocessing.get_context("fork").Lock()
    except (OSError, ImportError):
        return False
    return True


def available_memory(root=ROOT):
    """Return the memory that this process and its children may still take [bytes].

    The least of what is free in the machine and in each control group, and of what the
    Slurm job has on this node.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie.
    """
    rooms = [psutil.virtual_memory().available, _slurm_memory()]
    rooms += [_free_memory(group) for group in _control_groups("memory", root)]
    return max(0, min(room for room in rooms if room is not None))


def _cores_to_run_on():
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count()
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _slurm(name):
    """Return a number that Slurm set; None when it is not set, or 0 for no limit."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and int(text) else None


def _slurm_memory():
    """Return the memory of the Slurm job on this node [bytes], or None.

    Not every cluster has its control groups hold a job to it.
    """
    for_node, for_core = _slurm("SLURM_MEM_PER_NODE"), _slurm("SLURM_MEM_PER_CPU")
    if for_node:
        return for_node * SLURM_UNIT
    if for_core:
        cores = _slurm("SLURM_CPUS_ON_NODE") or _cores_to_run_on()
        return for_core * cores * SLURM_UNIT
    return None


def _control_groups(controller, root):
    """Yield the folders of this process's group and of all groups above it.

    Within a container the group's path may be that of the host, of which only the
    container's part is mounted, at the top: folders that are not there bound nothing.

    Parameters
    ----------
    controller : {"cpu", "memory"}
        Version 1 has a tree for each; version 2 has one for all.
    """
    top = root / "sys" / "fs" / "cgroup"
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            tree = top
        elif controller in controllers.split(","):
            # "cpu,cpuacct" is one tree, by that name; some systems link "cpu" to it
            tree = top / controllers
            tree = tree if tree.is_dir() else top / controller
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        if ".." in group.parts:  # outside of what the container sees
            group = PurePosixPath()
        for part in (group, *group.parents):
            yield tree / part


def _core_quota(group):
    """Return the cores whose time a group may take, or None without a limit."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota = _read(group / "cpu.cfs_quota_us")
        period = _read(group / "cpu.cfs_period_us")
    if quota.isdecimal() and period.isdecimal() and int(period):
        return math.ceil(int(quota) / int(period))
    return None  # "max", or -1


def _free_memory(group):
    """Return the memory a group may still take [bytes], or None without a limit.

    Files that were read once and are only kept in case do not count as used: the
    kernel gives their memory away before it refuses any.
    """
    limits = [_bytes(group / name) for name in ("memory.max", "memory.high")]
    used, kept = _bytes(group / "memory.current"), "inactive_file"
    if used is None:
        limits = [_bytes(group / "memory.limit_in_bytes")]
        used, kept = _bytes(group / "memory.usage_in_bytes"), "total_inactive_file"
    limits = [limit for limit in limits if limit is not None]
    if not limits or used is None:
        return None
    lines = (line.partition(" ") for line in _read(group / "memory.stat").splitlines())
    stat = {name: int(value) for name, _, value in lines if value.isdecimal()}
    return min(limits) - max(0, used - stat.get(kept, 0))


def _bytes(path):
    text = _read(path)
    return int(text) if text.isdecimal() else None


def _read(path):
    """Return the text of a small file of the kernel's, empty where it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
