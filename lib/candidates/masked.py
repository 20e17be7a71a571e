"""Blocks that a volume is looked at in, and the masked ones: what they hold instead."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

BLOCK = 2  # voxels along each axis that is longer than one
CUBE = np.ones((3, 3, 3), bool)
SAMPLE = 200_000  # blocks that quantiles are taken of
COARSE = 4  # blocks along each axis over which neutral levels are computed first
NEARBY = 2.0  # std of the Gaussian that weights the surroundings [coarse blocks]
PRIOR = 1e-3  # weight of the mean of all, for what has no surroundings


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


@dataclass(frozen=True)
class Masked:
    """Voxels that are left out of the statistics and replaced.

    Attributes
    ----------
    blocks : ndarray of bool
        Masked blocks of `BLOCK` voxels along each axis that is longer than one.
    clear : ndarray of bool
        Blocks that hold no candidates: fill, gold and those around.
    levels : ndarray of float32
        Mean of the unmasked surroundings, coarsely sampled.
    shape : tuple of int
        (Z, Y, X) of the volume [voxels].
    fill : float
        Share of the volume that is constant.
    gold : int
        Number of beads.
    cores : ndarray, shape (N, 3)
        Places in the gold, (x, y, z) [voxels].
    """

    blocks: np.ndarray
    clear: np.ndarray
    levels: np.ndarray
    shape: tuple
    fill: float
    gold: int
    cores: np.ndarray

    def section(self, z):
        """Return which voxels of a section are masked, (Y, X)."""
        along_z, along_y, along_x = self._blocks_of(range(n) for n in self.shape)
        return self.blocks[along_z[z]][np.ix_(along_y, along_x)]

    def holds(self, positions):
        """Return which positions (N, 3), (x, y, z) [voxels], may be no candidates."""
        return self.clear[tuple(self._blocks_of(np.asarray(positions).T[::-1]))]

    def holds_flat(self, index):
        """Return what `holds` does, for flat positions in the volume."""
        return self.clear[tuple(self._blocks_of(np.unravel_index(index, self.shape)))]

    def replace(self, volume):
        """Replace what is masked by the mean of its surroundings, in place.

        Parameters
        ----------
        volume : ndarray of float32, shape (Z, Y, X)
        """
        weights = [
            _linear(size, count)
            for size, count in zip(self.shape, self.levels.shape, strict=True)
        ]
        for z, section in enumerate(volume):
            masked = self.section(z)
            if masked.any():
                plane = np.tensordot(weights[0][z], self.levels, 1)
                smooth = weights[1] @ plane @ weights[2].T
                section[masked] = smooth[masked]

    def _blocks_of(self, places):
        """Return the numbers of the blocks along each axis; an odd end joins."""
        return [
            np.minimum(np.asarray(place) // min(BLOCK, size), count - 1)
            for place, size, count in zip(
                places, self.shape, self.blocks.shape, strict=True
            )
        ]


def neutral_levels(mean, masked):
    """Return the mean of the unmasked surroundings of each place.

    A convolution that is normalized by the weight of what is unmasked, Knutsson &
    Westin 1993.

    Parameters
    ----------
    mean : ndarray of float32
        Of each block.
    masked : ndarray of bool, of the same shape

    Returns
    -------
    ndarray of float32
        For each `COARSE` blocks along each axis.
    """
    weight = (~masked).astype(np.float32)
    total = mean * weight
    for axis, size in enumerate(mean.shape):
        starts = np.arange(0, size, COARSE)
        total = np.add.reduceat(total, starts, axis)
        weight = np.add.reduceat(weight, starts, axis)
    overall = total.sum(dtype=np.float64) / weight.sum(dtype=np.float64)
    total = ndimage.gaussian_filter(total, NEARBY, mode="constant")
    weight = ndimage.gaussian_filter(weight, NEARBY, mode="constant")
    prior = PRIOR * COARSE**mean.ndim
    return ((total + prior * overall) / (weight + prior)).astype(np.float32)


def _linear(size, count):
    """Return weights (size, count) that interpolate coarse samples linearly."""
    step = COARSE * min(BLOCK, size)
    place = np.clip((np.arange(size) + 0.5) / step - 0.5, 0, count - 1)
    left = np.minimum(place.astype(int), max(count - 2, 0))
    weights = np.zeros((size, count), np.float32)
    rows = np.arange(size)
    weights[rows, left] = 1 - (place - left)
    weights[rows, np.minimum(left + 1, count - 1)] += place - left
    return weights
