"""What a preparation costs in memory and on disk, and how processes share it."""

import math
import shutil
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

import numpy as np
from tqdm import tqdm

from lib.artifacts import Watch
from lib.candidates.chosen import SEARCHED
from lib.candidates.dog import expected_count
from lib.candidates.multiscale import MULTISCALE_FROM
from lib.errors import NO_FURTHER, ResourceError, user_files
from lib.system.machine import (
    available_memory,
    ranks_here,
    usable_cores,
)
from lib.system.processes import startable_processes

# Copies of a tomogram as float32 at the peak of its preparation.
FLOAT_COPIES, FLOAT_COPIES_MULTISCALE = 3, 5
LIBRARY_BYTES = 300_000_000  # what a process takes before it reads a tomogram
CONTEXT_BYTES = 600_000_000  # what a process takes of a GPU before it does anything
GPU_SHARE = 4  # of `need`: what the search holds on the GPU at its peak
# The rest is for what `need` leaves out, which is the buffers of the files, and for
# others on the machine.
MEMORY_SHARE = 0.5


def announce(
    tomograms, options, cache, *, offsets, total, chosen=SEARCHED, quiet=False
):
    """Say what the preparation will cost; raise when the disk is too small.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
        To prepare.
    options : lib.patches.options.PatchOptions
    cache : Path
    offsets : tuple of lib.patches.views.PatchOffset
        At which patches are cut; empty when candidates are only searched.
    total : int
        Tomograms of the list.
    chosen : lib.candidates.chosen.Chosen
        What the user decides of the candidates.
    quiet : bool
        Say nothing.

    Returns
    -------
    int
        Memory that one process needs [bytes].

    Raises
    ------
    ResourceError
        When the disk is too small for the patches.
    """
    expected, memory = 0, 0
    multiscale = len(options.sigmas) >= MULTISCALE_FROM and not chosen.is_given
    copies = FLOAT_COPIES_MULTISCALE if multiscale else FLOAT_COPIES
    for tomogram in tomograms:
        if chosen.is_given:
            expected += chosen.count(tomogram.name)
        else:
            expected += expected_count(
                tomogram.shape,
                diameter=options.dog_diameter,
                boundary=options.dog_boundary,
                box=options.box,
            )
        tilts = tomogram.tilt_info.shape if offsets and options.needs_tilts else (0,)
        halves = 2 / 4 if offsets and options.halves else 0  # of 8 bits
        floats = (copies + halves) * np.prod(tomogram.shape) + np.prod(tilts)
        memory = max(memory, LIBRARY_BYTES + 4 * int(floats))
    disk = expected * len(offsets) * math.prod(options.patch_shape[1:])
    if not quiet:
        on_disk = f"{disk / 1e9:.2f} GB on disk in {cache}, " if offsets else ""
        print(
            f"{'preparing' if offsets else 'searching'} {len(tomograms)} of {total} "
            f"tomograms: about {expected:,} candidates, {on_disk}"
            f"{memory / 1e9:.1f} GB of memory for each at work",
            flush=True,
        )
    with user_files(cache):
        existing = next(p for p in (cache, *cache.absolute().parents) if p.exists())
        free = shutil.disk_usage(existing).free
    if disk > free:
        raise ResourceError(
            f"{cache} has {free / 1e9:.2f} GB free, the patches need about "
            f"{disk / 1e9:.2f} GB; name a larger disk with --cache_dir, or fewer "
            "candidates with --dog_std_multiplier or --dog_diameter; "
            "'simsiam_main.py cache' lists and frees what earlier runs left there"
        )
    return memory


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
    return startable_processes(workers) if workers > 1 else workers


@contextmanager
def within_memory(workers):
    """Say what to do where the block gets no memory, no process, or one is killed.

    Parameters
    ----------
    workers : int
        Processes at work.
    """
    try:
        yield
    # What fork says at a limit of processes, and the pipe to one that could not start.
    except (BlockingIOError, BrokenPipeError) as error:
        raise ResourceError(
            f"{NO_FURTHER}; or prepare in this process alone: --num_workers 0"
        ) from error
    except (MemoryError, BrokenExecutor) as error:
        fewer = f"fewer than {workers} processes with --num_workers, or " * (
            workers > 1
        )
        raise ResourceError(
            "the memory did not suffice to prepare the tomograms (the system ended a "
            f"process, or gave it no more); take {fewer}smaller tomograms, or ask for "
            "more memory"
        ) from error


FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two looks at others' claims


def share_out(missing, prepare, *, cache, workers):
    """Prepare tomograms; those that other jobs are at are left to them.

    Returns when all are prepared, by whomever. What another job gives up, because it
    failed or was killed, is taken over.

    Parameters
    ----------
    missing : list of tuple
        Tomogram and folder of its entry.
    prepare : callable
        Takes both; returns whether it is prepared, False when another is at it. Can
        be sent to another process.
    cache : Path
        Where the claims are.
    workers : int
        Processes; none but this one for 0 or 1.
    """
    watch = Watch(cache)
    bar = tqdm(total=len(missing), desc="tomograms", unit="tomogram", disable=None)
    ready, left, pause, told = missing, [], FIRST_WAIT, False
    with bar, _processes(workers) as start:
        while ready or left:
            results = [(task, start(prepare, *task)) for task in ready]
            for task, result in results:
                if result():
                    bar.update()
                    pause = FIRST_WAIT
                else:
                    left.append(task)
            if left:
                if pause == LONGEST_WAIT and not told:
                    print(f"waiting for {len(left)} tomograms that others prepare")
                    told = True
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_WAIT)
            free = set(watch.free(folder for _, folder in left))
            ready = [task for task in left if task[1] in free]
            left = [task for task in left if task[1] not in free]


@contextmanager
def _processes(workers):
    """Yield what starts a call, and returns what waits for its result."""
    if workers <= 1:
        yield partial
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield lambda *call: pool.submit(*call).result
        except BaseException:  # Ctrl-C too: what is not begun stays undone
            pool.shutdown(wait=False, cancel_futures=True)
            raise
