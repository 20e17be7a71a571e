"""What a preparation will cost in memory and on disk, before it begins."""

import shutil

import numpy as np

from lib.candidates.dog import expected_count
from lib.candidates.multiscale import MULTISCALE_FROM
from lib.errors import ResourceError, user_files

# Copies of a tomogram as float32 at the peak of its preparation.
FLOAT_COPIES, FLOAT_COPIES_MULTISCALE = 3, 5


def announce(missing, options, cache, total, quiet=False):
    """Say what the preparation will cost; refuse when the disk is too small.

    Returns
    -------
    int
        Memory that one process needs [bytes].
    """
    expected, memory = 0, 0
    copies = (
        FLOAT_COPIES_MULTISCALE
        if len(options.sigmas) >= MULTISCALE_FROM
        else FLOAT_COPIES
    )
    for tomogram, _ in missing:
        shape = tomogram.shape
        tilts = tomogram.tilt_info.shape if options.needs_tilts else None
        expected += expected_count(
            shape,
            diameter=options.dog_diameter,
            boundary=options.dog_boundary,
            box=options.box,
        )
        floats = copies * np.prod(shape) + (np.prod(tilts) if tilts else 0)
        memory = max(memory, 4 * int(floats))
    disk = expected * options.bytes_per_candidate
    if not quiet:
        print(
            f"preparing {len(missing)} of {total} tomograms: about {expected:,} "
            f"candidates, {disk / 1e9:.2f} GB on disk in {cache}, "
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
            "candidates with --dog_std_multiplier or --dog_diameter"
        )
    return memory
