"""Patches as gray PNGs: the folder ``imgs/`` of the interactive session."""

import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from lib.artifacts import (
    atomic_folder,
    fingerprint_path,
    packed_path,
    write_fingerprint,
)
from lib.system.machine import usable_cores
from lib.system.processes import startable_processes

SIGMA = 1.0  # of the Gaussian that makes particles visible [pixels]
CLIPPED = 0.005  # share of the darkest and of the brightest pixels
COMPRESS_LEVEL = 1  # noise compresses by a tenth, however long one tries
CHUNK = 500
# Starting a process costs as much as writing this many pictures.
LEAST_FOR_PROCESSES = 2000
MOST_PROCESSES = 8  # more do not make the file system faster


def gray_levels(patches):
    """Smooth every patch and stretch it to the full range of gray.

    Noise hides the particle in a slice of a tomogram; a Gaussian of one pixel shows it.

    Parameters
    ----------
    patches : ndarray of float, shape (N, 1, H, W)

    Returns
    -------
    ndarray of uint8, shape (N, H, W)
        The darkest and brightest half percent are clipped. A patch without contrast
        is mid-gray, and so is, approximately, a voxel that is not a number.
    """
    n, _, height, width = patches.shape
    gray = np.empty((n, height * width), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        part = patches[start : start + CHUNK][:, 0].astype(np.float32)
        part = _without_gaps(part)
        part = gaussian_filter(part, (0, SIGMA, SIGMA)).reshape(len(part), -1)
        darkest = round(CLIPPED * (part.shape[1] - 1))
        sorted_in = np.partition(part, (darkest, -1 - darkest), axis=1)
        low, high = sorted_in[:, [darkest]], sorted_in[:, [-1 - darkest]]
        contrast = high - low
        part = np.where(contrast > 0, (part - low) / contrast.clip(1e-30), 0.5)
        gray[start : start + CHUNK] = np.rint(255 * part.clip(0, 1))
    return gray.reshape(n, height, width)


def _without_gaps(patches):
    finite = np.isfinite(patches)
    if finite.all():
        return patches
    return np.where(finite, patches, np.median(patches[finite]) if finite.any() else 0)


@contextmanager
def writing_patch_pictures(folder, gray, *, fingerprint, workers=None, packed=False):
    """Write ``<row>.png`` of every row while the block runs, or all in one file.

    Tens of thousands of files take time, so other processes write them meanwhile. The
    folder appears when the block ends, and not at all if it fails.

    Parameters
    ----------
    folder : path-like
        Replaced, with everything that an earlier run left in it.
    gray : ndarray of uint8, shape (N, H, W)
        See `gray_levels`.
    fingerprint : str
        Of the table that the rows belong to; stored in the folder.
    workers : int, optional
        Processes; 0 writes in this one. The default is all cores but one, if there are
        enough rows.
    packed : bool
        Write one file: see `lib.artifacts.open_packed`.
    """
    files = 0 if packed else len(gray)
    with atomic_folder(folder) as partial, _writers(files, workers) as pool:
        jobs = [
            pool.submit(_write_rows, partial, start, gray[start : start + CHUNK])
            for start in range(0, files, CHUNK)
        ]
        if packed:
            np.save(packed_path(partial), gray)
        yield
        for job in jobs:
            job.result()
        record = partial / fingerprint_path(folder).name
        write_fingerprint(record, fingerprint=fingerprint, rows=len(gray))


@contextmanager
def _writers(n, workers):
    """Yield an executor; jobs that have not begun are dropped if the block fails."""
    if workers is None:
        enough = n // LEAST_FOR_PROCESSES
        workers = min(usable_cores() - 1, MOST_PROCESSES, enough)
    workers = startable_processes(min(workers, -(-n // CHUNK)))
    if workers < 1:
        pool = ThreadPoolExecutor(1)
    else:
        # spawned: a fork does not copy the threads of numerical libraries
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def png_bytes(gray):
    """Return a patch (H, W) as the bytes of the PNG that would hold it."""
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, "png", compress_level=COMPRESS_LEVEL)
    return stream.getvalue()


def _write_rows(folder, start, gray):
    for row, picture in enumerate(gray, start):
        path = folder / f"{row}.png"
        Image.fromarray(picture).save(path, compress_level=COMPRESS_LEVEL)
