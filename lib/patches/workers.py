"""How many processes may prepare tomograms at once."""

from concurrent.futures import BrokenExecutor
from contextlib import contextmanager

from lib.errors import ResourceError
from lib.system.machine import (
    available_memory,
    has_process_pools,
    ranks_here,
    usable_cores,
)

CONTEXT_BYTES = 600_000_000  # what a process takes of a GPU before it does anything
GPU_SHARE = 4  # of `need`: what the search holds on the GPU at its peak
# The rest is for what `need` leaves out, which is libraries and the buffers of the
# files, and for others on the machine.
MEMORY_SHARE = 0.5


def cores():
    """Return the cores that this rank may use: its share of the machine's."""
    return max(1, usable_cores() // ranks_here())


def worker_count(workers, tomograms, need, device="cpu"):
    """Return how many processes to prepare with; 0 for none but this one.

    Parameters
    ----------
    workers : int or None
        As the user wants it; None for as many as cores and half of the free memory
        allow.
    tomograms : int
        To prepare.
    need : int
        Memory of one process [bytes].
    device : str or torch.device
        Where candidates are searched.
    """
    if workers is None:
        each = max(need, 1) * ranks_here()
        workers = min(cores(), int(MEMORY_SHARE * available_memory()) // each)
        if str(device).startswith("cuda"):
            import torch

            free, _ = torch.cuda.mem_get_info(device)
            each = (GPU_SHARE * need + CONTEXT_BYTES) * ranks_here()
            workers = min(workers, free // each)
    workers = min(workers, tomograms)
    return workers if has_process_pools() else min(workers, 1)


@contextmanager
def within_memory(workers):
    """Say what to do where the block runs out of memory, or a process of it is killed.

    Parameters
    ----------
    workers : int
        Processes at work.
    """
    try:
        yield
    except (MemoryError, BrokenExecutor) as error:
        fewer = f"fewer than {workers} processes with --num_workers, or " * (
            workers > 1
        )
        raise ResourceError(
            "the memory did not suffice to prepare the tomograms (the system ended a "
            f"process, or gave it no more); take {fewer}smaller tomograms, or ask for "
            "more memory"
        ) from error
