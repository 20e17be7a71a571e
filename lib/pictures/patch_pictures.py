"""Patches as gray pictures: the folder ``imgs/`` of the interactive session."""

import multiprocessing
import os
import struct
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.artifacts import atomic_folder, fingerprint_path, write_fingerprint
from lib.system.machine import has_process_pools, usable_cores

SIGMA = 1.0  # of the Gaussian, for the eye alone [pixels]
CLIPPED = 0.005
CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY
CHUNK = 500
# Starting a process costs as much as writing this many pictures.
LEAST_FOR_PROCESSES = 2000
MOST_PROCESSES = 8  # the file system keeps no more busy
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def gray_levels(patches):
    """Smooth every patch a little, and stretch it to the full range of gray.

    A slice of a tomogram is mostly noise to the eye; smoothed by one pixel it shows
    the particle.

    Parameters
    ----------
    patches : ndarray of float, shape (N, 1, H, W)

    Returns
    -------
    ndarray of uint8, shape (N, H, W)
        The darkest and brightest half percent are clipped. A patch without
        contrast is mid-gray; so is, about, a voxel that is no number.
    """
    n, _, height, width = patches.shape
    gray = np.empty((n, height * width), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        part = _without_gaps(patches[start : start + CHUNK, 0].astype(np.float32))
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


def encode_png(gray):
    """Return a gray picture as PNG, fast: stored, not compressed.

    Noise compresses by nothing, and a file fills whole blocks of the disk anyway.

    Parameters
    ----------
    gray : ndarray of uint8, shape (H, W)

    Returns
    -------
    bytes
        PNG (ISO 15948), 8 bits a pixel, no filter.
    """
    height, width = gray.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # first byte: no filter
    lines[:, 1:] = gray
    body = zlib.compress(lines.tobytes(), 0)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + PNG_END


def _chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


@contextmanager
def writing_patch_pictures(folder, gray, *, fingerprint, workers=None):
    """Write ``<row>.png`` of every row while the block runs.

    Making tens of thousands of files is mostly waiting for the file system, so other
    processes do it meanwhile. The folder appears whole when the block ends, and not
    at all when it fails.

    Parameters
    ----------
    folder : path-like
        Replaced, with all that an earlier run left in it.
    gray : ndarray of uint8, shape (N, H, W)
        See `gray_levels`.
    fingerprint : str
        Of the table the rows belong to; noted in the folder.
    workers : int, optional
        Processes; 0 writes in this one. The default is all cores but one, where
        there are enough rows.
    """
    with atomic_folder(folder) as partial, _writers(len(gray), workers) as pool:
        jobs = [
            pool.submit(_write_rows, partial, start, gray[start : start + CHUNK])
            for start in range(0, len(gray), CHUNK)
        ]
        yield
        for job in jobs:
            job.result()
        record = partial / fingerprint_path(folder).name
        write_fingerprint(record, fingerprint=fingerprint, rows=len(gray))


@contextmanager
def _writers(n, workers):
    """Yield an executor; what it has not begun is dropped when the block fails."""
    if workers is None:
        enough = n // LEAST_FOR_PROCESSES
        workers = min(usable_cores() - 1, MOST_PROCESSES, enough)
    workers = min(workers, -(-n // CHUNK))
    if workers < 1 or not has_process_pools():
        pool = ThreadPoolExecutor(1)
    else:
        # spawned, because a fork copies the threads of numerical libraries half
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _write_rows(folder, start, gray):
    for row, picture in enumerate(gray, start):
        # bare system calls: half the time of a file object, for files this small
        handle = os.open(folder / f"{row}.png", CREATE, 0o666)
        try:
            os.write(handle, encode_png(picture))
        finally:
            os.close(handle)
