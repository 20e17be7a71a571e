"""A volume in blocks of two voxels along each axis, and regions of such blocks.

The mean of a block has less noise than a voxel has, and an eighth of the memory
suffices.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

BLOCK = 2  # voxels along each axis that is longer than one
CUBE = np.ones((3, 3, 3), bool)
SAMPLE = 200_000  # blocks that quantiles are taken of


def block_statistics(volume, threads):
    """Describe a volume by its blocks.

    Parameters
    ----------
    volume : ndarray of float32, shape (Z, Y, X)
    threads : int

    Returns
    -------
    mean : ndarray of float32
        Of each block.
    span : ndarray of float32
        The widest range of a block within a section.
    extremes : tuple of float
        The least and the greatest voxel.
    """
    shape = tuple(size // min(BLOCK, size) for size in volume.shape)
    mean, span = np.empty(shape, np.float32), np.empty(shape, np.float32)
    depth = min(BLOCK, len(volume))
    rows, columns = (BLOCK * n for n in shape[1:])

    def of_sections(z):
        sections = volume[depth * z : depth * (z + 1), :rows, :columns]
        quarters = [sections[:, y::BLOCK, x::BLOCK] for y in (0, 1) for x in (0, 1)]
        mean[z] = sum(quarters).mean(axis=0) / len(quarters)
        least, most = np.minimum.reduce(quarters), np.maximum.reduce(quarters)
        span[z] = (most - least).max(axis=0)
        return least.min(), most.max()

    with ThreadPoolExecutor(threads) as pool:
        least, most = zip(*pool.map(of_sections, range(shape[0])), strict=True)
    return mean, span, (min(least), max(most))


def of_size(blocks, least):
    """Keep connected regions of at least so many blocks."""
    if not blocks.any():
        return blocks
    regions, _ = ndimage.label(blocks, CUBE)
    kept = np.bincount(regions.ravel()) >= least
    kept[0] = False
    return kept[regions]


def grown(blocks, steps):
    """Add the neighbors of blocks, the diagonal ones too."""
    wider = blocks.copy()
    for axis in range(wider.ndim):
        line = np.moveaxis(wider, axis, 0)
        for _ in range(steps):
            before = np.moveaxis(wider.copy(), axis, 0)
            line[1:] |= before[:-1]
            line[:-1] |= before[1:]
    return wider


def sample_of(values, where=None):
    """Return values of evenly spread blocks, at most `SAMPLE` or little more."""
    step = max(1, values.size // SAMPLE) | 1  # odd, to fall in no step with the rows
    chosen = values.ravel()[::step]
    return chosen if where is None else chosen[where.ravel()[::step]]
