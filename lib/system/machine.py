"""The cores and the memory that this process may use.

A container, a batch system or a user limit may allow only a part of the machine. These
limits are control groups (cgroups) of the Linux kernel, version 1 or 2; the limits of
the group of the process and of all its parents apply. Without control groups, as on
macOS, the numbers of the machine are used.
"""

import math
import os
from pathlib import Path, PurePosixPath

import psutil

ROOT = Path("/")
SLURM_UNIT = 2**20  # bytes; Slurm counts memory in MiB


def whole_number(text):
    """Return the number in the text of a variable; None if it is not a number."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() else None


def ranks_here():
    """Return the number of ranks of torchrun on this machine."""
    return whole_number(os.environ.get("LOCAL_WORLD_SIZE", "")) or 1


def usable_cores(root=ROOT):
    """Return the number of cores that this process may use.

    The minimum of its processor affinity, the cores of its Slurm job on this node, and
    the processor time of its control groups, rounded up. SLURM_CPUS_PER_TASK is not
    used: torchrun starts all ranks in the batch script, which has the cores of all
    tasks.

    Parameters
    ----------
    root : Path
        Folder of ``proc`` and ``sys``.
    """
    counts = [cores_to_run_on(), _slurm("SLURM_CPUS_ON_NODE")]
    counts += [_core_quota(group) for group in _control_groups("cpu", root)]
    return min((count for count in counts if count), default=1)


def usable_threads():
    """Return the number of threads: that of OMP_NUM_THREADS, or `usable_cores`.

    OMP_NUM_THREADS may list a number for each nesting level; the first one is used.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else usable_cores()


def processor_vendor(root=ROOT):
    """Return who made the processor, such as ``AuthenticAMD``; empty if unknown.

    Parameters
    ----------
    root : Path
        Folder of ``proc``.
    """
    lines = _read(root / "proc" / "cpuinfo").splitlines()
    named = (line.partition(":")[2] for line in lines if line.startswith("vendor_id"))
    return next(named, "").strip()


def available_memory(root=ROOT):
    """Return the memory that this process and its children can still use [bytes].

    The minimum of the free memory of the machine and of each control group, and of
    the memory of the Slurm job on this node.

    Parameters
    ----------
    root : Path
        Folder of ``proc`` and ``sys``.
    """
    rooms = [psutil.virtual_memory().available, _slurm_memory()]
    rooms += [_free_memory(group) for group in _control_groups("memory", root)]
    return max(0, min(room for room in rooms if room is not None))


def cores_to_run_on():
    """Return the number of cores that the system lets this process run on."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count()
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _slurm(name):
    """Return the number in a variable of Slurm; None if not set or 0 (no limit)."""
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
        cores = _slurm("SLURM_CPUS_ON_NODE") or cores_to_run_on()
        return for_core * cores * SLURM_UNIT
    return None


def _control_groups(controller, root):
    """Yield the folders of the control group of this process and of its parents.

    In a container the path of the group may be that of the host, of which only a part
    is mounted. Folders that do not exist set no limit.

    Parameters
    ----------
    controller : {"cpu", "memory"}
        Version 1 has a tree for each controller; version 2 has one for all.
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
    """Return the limit of a group in cores, or None without a limit."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota = _read(group / "cpu.cfs_quota_us")
        period = _read(group / "cpu.cfs_period_us")
    if quota.isdecimal() and period.isdecimal() and int(period):
        return math.ceil(int(quota) / int(period))
    return None  # "max", or -1


def _free_memory(group):
    """Return the free memory of a group [bytes], or None without a limit.

    Cached files that are not in use count as free: the kernel drops them when memory
    is needed.
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
    """Return the text of a file of the kernel, empty if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
