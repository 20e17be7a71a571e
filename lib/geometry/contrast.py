"""Whether protein is dark or bright in a tomogram, judged by its voxels alone.

Protein is denser than the ice around it and fills less than half of it, so that the
histogram of the band-passed voxels has its longer tail on the side of the protein:
the sign of the third moment tells. How often it is wrong, and how often it does not
tell, is measured in docs/geometry_check.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

BAND = (2.0, 5.0)  # sigmas of the difference of Gaussians [voxels]
MARGIN = 5  # voxels at the faces, where the filters see past the volume
BLOCK = 16  # edge of the blocks whose scatter gives the error [voxels]
LARGEST = (96, 192, 192)  # of the middle that is looked at, shortest first [voxels]
FEWEST = 8  # blocks
EMPTY = 0.01  # of the median std of blocks: below, a block is fill
TAILS = 6.0  # voxels beyond count as this far [robust std]
GOLD = 10.0  # blocks with voxels beyond are left out in the second look [robust std]
SURE = 4.5  # third moment over its error; 3.3 is the most that was seen to be wrong
AGAINST = 2.0  # at which the other look contradicts


@dataclass(frozen=True)
class Contrast:
    """The contrast of a tomogram, judged by its voxels.

    Attributes
    ----------
    significance : float
        Third moment over its standard error; negative where protein is dark. 0 where
        there is too little to look at, or two looks contradict each other.
    """

    significance: float

    @property
    def protein(self):
        """``dark``, ``bright``, or None where the voxels do not show it."""
        if abs(self.significance) < SURE:
            return None
        return "dark" if self.significance < 0 else "bright"


def measure_contrast(volume):
    """Measure whether protein is dark or bright.

    Two looks, because gold beads and bright particles both leave voxels far out: one
    at all blocks, one without those that hold such voxels. Beads are dark where
    protein is, but the bright fringes around them take up more room.

    Parameters
    ----------
    volume : ndarray of float32, shape (A, B, C)
        Voxels of some 10 to 60 Angstrom; the order of the axes does not matter.

    Returns
    -------
    Contrast
    """
    volume = _middle(volume)
    if min(volume.shape) < BLOCK + 2 * MARGIN or not np.isfinite(volume).all():
        return Contrast(0.0)
    band = gaussian_filter(volume, BAND[0]) - gaussian_filter(volume, BAND[1])
    blocks = _blocks(band[(slice(MARGIN, -MARGIN),) * 3])
    with np.errstate(over="ignore"):  # of a voxel near the limit of float32
        spread = blocks.std(axis=1)
    if not spread.any():
        return Contrast(0.0)
    blocks = blocks[spread > EMPTY * np.median(spread[spread > 0])]
    blocks = blocks - np.median(blocks)
    blocks /= max(1.4826 * float(np.median(np.abs(blocks))), 1e-30)
    far_out = (np.abs(blocks) > GOLD).any(axis=1)
    np.clip(blocks, -TAILS, TAILS, out=blocks)
    looks = _significance(blocks), _significance(blocks[~far_out])
    sure = max(looks, key=abs)
    contradicted = any(look * sure < 0 and abs(look) > AGAINST for look in looks)
    return Contrast(0.0 if contradicted else sure)


def _middle(volume):
    """Cut out the middle; axes are limited from the shortest to the longest."""
    cut = [slice(None)] * 3
    ascending = np.argsort(volume.shape, kind="stable")
    for axis, most in zip(ascending, LARGEST, strict=True):
        start = max(0, volume.shape[axis] - most) // 2
        cut[axis] = slice(start, start + most)
    return volume[tuple(cut)]


def _blocks(volume):
    """Return cubes of `BLOCK` voxels, one per row; a remainder is left out."""
    a, b, c = (size // BLOCK for size in volume.shape)
    whole = volume[: a * BLOCK, : b * BLOCK, : c * BLOCK]
    cubes = whole.reshape(a, BLOCK, b, BLOCK, c, BLOCK).transpose(0, 2, 4, 1, 3, 5)
    return cubes.reshape(a * b * c, BLOCK**3)


def _significance(blocks):
    """Return the mean third moment of the blocks over its standard error."""
    if len(blocks) < FEWEST:
        return 0.0
    moments = (blocks * blocks * blocks).mean(axis=1, dtype=np.float64)
    error = moments.std(ddof=1) / np.sqrt(len(moments))
    return float(moments.mean() / error) if error > 0 else 0.0
