"""What is no specimen in a tomogram or an image: fill, gold and hot voxels.

Fill is looked for first, see `lib.candidates.fill`; quantiles of what remains are the
measure of the rest. Gold lies far outside of the distribution: it is several times as
dark as the darkest percents of the tomogram, and protein is not.
"""

import numpy as np
from scipy import ndimage

from lib.candidates.fill import TAIL, find_fill
from lib.candidates.masked import (
    BLOCK,
    CUBE,
    Masked,
    block_statistics,
    grown,
    neutral_levels,
    of_size,
    sample_of,
)
from lib.system.machine import usable_threads

# In units of the distance between the median and `TAIL` on either side:
FAR = 9.0  # gold, ...
SATURATED = 4.2  # ... gold where that is clipped,
HALO = 1.5  # ... fringes and streaks, where they are joined to gold
ALIKE = 0.75  # of the depth at which gold is clipped, all gold of a volume has
HALO_REACH = 12  # blocks from the gold
HOT = 3.0  # times the widest ranges within a block: a hot or dead voxel
BEAD = 2  # blocks that gold has at least
SLENDER = 4.0  # times as long as it is narrow in its section is no bead, but a ray
CLEAR = 1  # blocks around what is masked that hold no candidates
SHADOW = 1  # blocks around the projection of gold, for what the alignment leaves
THICK = np.ones((2, 2, 2), bool)


def find_masked(volume, *, keep_gold=False, shadows=None, threads=None):
    """Find fill, gold and hot voxels.

    Parameters
    ----------
    volume : ndarray of float32, shape (Z, Y, X)
        As it was read; an image has one section.
    keep_gold : bool
        Leave gold, its fringes and its streaks in.
    shadows : ndarray, shape (N, 2), optional
        Where gold falls in an image, (x, y) [px].
    threads : int, optional
        By default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    Masked or None
        None for a volume in which nothing is masked.
    """
    if min(volume.shape[1:]) < 2 * BLOCK:
        return None
    mean, span, extremes = block_statistics(volume, threads or usable_threads())
    fill, share = find_fill(mean, span)
    outlying, cores, beads = _find_gold(mean, span, extremes, fill, keep_gold)
    blocks, clear = outlying, outlying
    if outlying.any():
        blocks = grown(outlying, 1)
        # Particles are found across what is thin, such as the ray of a hot pixel.
        clear = grown(ndimage.binary_opening(outlying, THICK), 1 + CLEAR)
    if fill is not None:
        blocks, clear = blocks | fill, clear | grown(fill, CLEAR)
    if shadows is not None and len(shadows):
        blocks |= _in_image(shadows, mean.shape)
    if not blocks.any() or blocks.all():
        return None
    return Masked(
        blocks=blocks,
        clear=clear,
        levels=neutral_levels(mean, blocks),
        shape=volume.shape,
        fill=share,
        gold=beads,
        cores=BLOCK * np.argwhere(cores)[:, ::-1] + (BLOCK - 1) / 2,
    )


def _find_gold(mean, span, extremes, fill, keep_gold):
    """Return the blocks of gold and hot voxels, the gold itself, and how many beads."""
    rest = np.True_ if fill is None else ~fill
    inside = None if fill is None else rest
    low, middle, high = np.percentile(sample_of(mean, inside), (TAIL, 50, 100 - TAIL))
    if not low < middle < high:  # a picture without noise
        nothing = np.zeros_like(mean, bool)
        return nothing, nothing, 0
    fringe = (mean < middle - HALO * (middle - low)) & rest
    fringe |= (mean > middle + HALO * (high - middle)) & rest
    hot = (span > HOT * np.percentile(sample_of(span, inside), 100 - TAIL)) & rest
    if hot.any():
        hot &= ~grown(fringe & ~hot, 1)  # not the edges of gold
    masked, cores = np.zeros_like(hot), np.zeros_like(hot)
    if not keep_gold:
        weight = 0.0
        for tail, extreme in zip((low, high), extremes, strict=True):
            depth = (mean - middle) / (tail - middle)
            gold = _deep(depth, (extreme - middle) / (tail - middle), rest)
            masked |= gold
            if depth[gold].sum() > weight:  # the other side has fringes only
                weight, cores = depth[gold].sum(), gold
        if masked.any():
            reach = fringe | masked
            masked = ndimage.binary_dilation(masked, CUBE, HALO_REACH, mask=reach)
    return masked | hot, cores, _count(cores)


def _deep(depth, extreme, rest):
    """Return the gold on one side of the distribution.

    Depths are in the unit of that side; `extreme` is that of the outermost voxel.
    """
    far = FAR
    if extreme > SATURATED:
        # One peak is the deepest of any volume; clipped ones are equally deep.
        _, peaks = ndimage.label((depth > (1 - 1e-5) * extreme) & rest, CUBE)
        far = min(FAR, ALIKE * extreme) if peaks > 1 else FAR
    return of_size((depth > far) & rest, BEAD)


def _count(gold):
    """Return the number of compact regions."""
    regions, _ = ndimage.label(gold, CUBE)
    count = 0
    for part in ndimage.find_objects(regions):
        edges = [axis.stop - axis.start for axis in part]
        count += max(edges) <= SLENDER * min(edges[1:])
    return count


def _in_image(points, shape):
    """Return the blocks (1, Y, X) near points (x, y) of an image [px]."""
    blocks = np.zeros(shape, bool)
    x, y = (np.asarray(points).T / BLOCK).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < shape[2]) & (y < shape[1])
    blocks[0, y[inside], x[inside]] = True
    return grown(blocks, SHADOW)
