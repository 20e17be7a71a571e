"""How many processes may prepare tomograms at once."""

import os
from pathlib import Path

import psutil

CONTEXT_BYTES = 600_000_000  # what a process takes of a GPU before it does anything
DEFAULT_BYTES = 3_500_000_000  # for all of them, unless the user says how many
GPU_SHARE = 4  # of `need`: what the search holds on the GPU at its peak


def cores():
    """Return the cores that this rank may use: its share of the machine's."""
    return max(1, len(os.sched_getaffinity(0)) // _ranks_here())


def worker_count(workers, tomograms, need, device="cpu"):
    """Return how many processes to prepare with; 0 for none but this one.

    Parameters
    ----------
    workers : int or None
        As the user wants it; None for as many as cores, free memory and
        `DEFAULT_BYTES` allow.
    tomograms : int
        To prepare.
    need : int
        Memory of one process [bytes].
    device : str or torch.device
        Where candidates are searched.
    """
    if workers is None:
        each = max(need, 1) * _ranks_here()
        memory = min(memory_available() // 2, DEFAULT_BYTES)
        workers = min(cores(), memory // each)
        if str(device).startswith("cuda"):
            import torch

            free, _ = torch.cuda.mem_get_info(device)
            each = (GPU_SHARE * need + CONTEXT_BYTES) * _ranks_here()
            workers = min(workers, free // each)
    return min(workers, tomograms)


def memory_available(control_group=Path("/sys/fs/cgroup")):
    """Return the memory that may still be taken: the machine's, or a job's [bytes]."""
    available = psutil.virtual_memory().available
    try:
        limit = int((control_group / "memory.max").read_text())
        used = int((control_group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return available
    return min(available, limit - used)


def _ranks_here():
    """Return how many ranks share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
