"""What is no specimen in a tomogram or an image: fill, gold and hot voxels.

They are looked for in blocks of two voxels along each axis: the mean of a block has
less noise than a voxel has, and an eighth of the memory suffices.

Fill (padding, the wedges that a rotation leaves, erased parts) is constant *in space*,
at whatever level. How often a value occurs says nothing: in 8-bit data every value
does. Fill may also be random numbers (AreTomo, dithering): neighbors are then
independent, which they never are in a reconstruction, and the level is another one.
Random numbers at the level of the specimen stay; they move nothing. Gold lies far
outside of the distribution, which quantiles describe: it is several times as dark as
the darkest percents of the tomogram, and protein is not.
"""

import numpy as np
from scipy import ndimage

from lib.candidates.masked import BLOCK, Masked, block_statistics, neutral_levels
from lib.system.machine import usable_threads

FLAT = 0.02  # of the usual range within a block: what has less is constant
LEAST_FILL = 1e-3  # of the volume: a smaller flat region is a saturated bead, or chance
LEAST_LEFT = 0.05  # of the volume: what leaves less is a picture without noise
MATTERS = 0.05  # std by which fill moves the mean or the std, else it stays
TILE = 4  # blocks along each axis, over which random fill is averaged
EXTREME = 0.5  # percent of the tiles on either side that may be gold
APART = 3.0  # times the spread of both levels, between random fill and the rest
INDEPENDENT = 0.03  # correlation of neighboring blocks; of a tomogram 0.1 and more
BORDER = 4  # blocks that a smeared border of fill is followed at most
BORDER_SPAN, BORDER_LEVEL = 0.7, 0.5  # a border has less range, or another level
TAIL = 2.0  # percent on either side; their distance from the median is the unit of ...
FAR = 9.0  # ... gold,
SATURATED = 4.2  # ... gold where that is clipped,
HALO = 1.5  # ... fringes and streaks, where they are joined to gold
ALIKE = 0.75  # of the depth at which gold is clipped, all gold of a volume has
HALO_REACH = 12  # blocks from the gold
HOT = 3.0  # times the widest ranges within a block: a hot or dead voxel
BEAD = 2  # blocks that gold has at least
SLENDER = 4.0  # times as long as it is narrow in its section is no bead, but a ray
CLEAR = 1  # blocks around what is masked that hold no candidates
SHADOW = 1  # blocks around the projection of gold, for what the alignment leaves
CUBE = np.ones((3, 3, 3), bool)
THICK = np.ones((2, 2, 2), bool)
SAMPLE = 200_000  # blocks that quantiles are taken of


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
    fill, share = _find_fill(mean, span), 0.0
    if fill is None and len(volume) > 1:
        fill = _find_random_fill(mean)
    if fill is not None:
        share = float(fill.mean())
        fill = _with_border(fill, mean, span)
    outlying, cores, beads = _find_gold(mean, span, extremes, fill, keep_gold)
    blocks, clear = outlying, outlying
    if outlying.any():
        blocks = _grown(outlying, 1)
        # Particles are found across what is thin, such as the ray of a hot pixel.
        clear = _grown(ndimage.binary_opening(outlying, THICK), 1 + CLEAR)
    if fill is not None:
        blocks, clear = blocks | fill, clear | _grown(fill, CLEAR)
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


def _find_fill(mean, span):
    """Return the blocks of large flat regions, or None."""
    flat = span <= FLAT * np.percentile(_sample(span), 90)
    least = LEAST_FILL * flat.size
    if flat.sum() < least:
        return None
    core = ~_grown(~flat, 1)  # a smooth picture has small flats, and flat slopes
    regions, _ = ndimage.label(_grown(core, 1) & flat, CUBE)
    large = np.bincount(regions.ravel()) >= least
    large[0] = False
    fill = large[regions]
    if not fill.any() or fill.mean() > 1 - LEAST_LEFT:
        return None
    rest = mean[~fill]
    moved = abs(mean.mean() - rest.mean()), abs(mean.std() - rest.std())
    return fill if max(moved) > MATTERS * rest.std() else None


def _find_random_fill(mean):
    """Return the blocks of fill that is independent noise at another level, or None."""
    counts = [size // TILE for size in mean.shape]
    if min(counts) < 2:
        return None
    whole = mean[tuple(slice(TILE * count) for count in counts)]
    cells = whole.reshape([n for count in counts for n in (count, TILE)])
    tiles = cells.mean(axis=(1, 3, 5))
    middle = _valley(tiles)
    sides = tiles < middle, tiles >= middle
    levels = [np.median(tiles[side]) for side in sides]
    spreads = [
        1.4826 * np.median(np.abs(tiles[side] - level))
        for side, level in zip(sides, levels, strict=True)
    ]
    if levels[1] - levels[0] <= APART * sum(spreads):
        return None
    edge = sum(levels) / 2
    smooth = ndimage.uniform_filter(mean, TILE - 1)  # the level of a block alone varies
    for lower in (True, False):
        region = (smooth < edge) == lower
        # Particles that touch the fill, or are of its level, are narrower.
        core = ndimage.binary_erosion(region, CUBE, TILE // 2, border_value=1)
        core = _of_size(core, LEAST_FILL * core.size)
        region &= _grown(core, TILE // 2)
        if not core.any() or region.mean() > 1 - LEAST_LEFT:
            continue
        if _correlation_of_neighbors(mean, core) < INDEPENDENT:
            return region
    return None


def _valley(tiles):
    """Return the level between two groups of values: the middle of their means."""
    low, high = np.percentile(tiles, (EXTREME, 100 - EXTREME))
    values = np.clip(tiles, low, high).ravel()
    middle = (low + high) / 2
    for _ in range(20):
        below = values < middle
        if below.all() or not below.any():
            break
        middle = (values[below].mean() + values[~below].mean()) / 2
    return middle


def _correlation_of_neighbors(mean, inside):
    """Return the correlation of adjacent blocks along the axis where it is largest."""
    most = 0.0
    rest = np.where(inside, mean - mean[inside].mean(dtype=np.float64), 0)
    for axis in range(rest.ndim):
        line, both = np.moveaxis(rest, axis, 0), np.moveaxis(inside, axis, 0)
        both = both[1:] & both[:-1]
        first, second = line[:-1][both], line[1:][both]
        power = np.sqrt((first @ first) * (second @ second))
        most = max(most, abs(first @ second) / power) if power > 0 else 1.0
    return float(most)


def _with_border(fill, mean, span):
    """Add the border of fill: blocks that it shares, and as far as it is smeared."""
    rest = ~fill
    most = 1 - LEAST_LEFT / 2
    low, middle, high = np.percentile(_sample(mean, rest), (TAIL, 50, 100 - TAIL))
    usual = np.median(_sample(span, rest))
    for _ in range(BORDER):
        wider = _grown(fill, 1)
        if wider.mean() > most:
            break
        fill = wider
        shell = _grown(fill, 1) & ~fill
        if not shell.any():
            break
        level = np.median(mean[shell]) - middle
        unlike = np.median(span[shell]) < BORDER_SPAN * usual
        if not unlike and abs(level) < BORDER_LEVEL * min(middle - low, high - middle):
            break
    return fill


def _find_gold(mean, span, extremes, fill, keep_gold):
    """Return the blocks of gold and hot voxels, the gold itself, and how many beads."""
    rest = np.True_ if fill is None else ~fill
    inside = None if fill is None else rest
    low, middle, high = np.percentile(_sample(mean, inside), (TAIL, 50, 100 - TAIL))
    if not low < middle < high:  # a picture without noise
        nothing = np.zeros_like(mean, bool)
        return nothing, nothing, 0
    fringe = (mean < middle - HALO * (middle - low)) & rest
    fringe |= (mean > middle + HALO * (high - middle)) & rest
    hot = (span > HOT * np.percentile(_sample(span, inside), 100 - TAIL)) & rest
    if hot.any():
        hot &= ~_grown(fringe & ~hot, 1)  # not the edges of gold
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
    return _of_size((depth > far) & rest, BEAD)


def _count(gold):
    """Return the number of compact regions."""
    regions, _ = ndimage.label(gold, CUBE)
    count = 0
    for part in ndimage.find_objects(regions):
        edges = [axis.stop - axis.start for axis in part]
        count += max(edges) <= SLENDER * min(edges[1:])
    return count


def _of_size(blocks, least):
    """Keep connected regions of at least so many blocks."""
    if not blocks.any():
        return blocks
    regions, _ = ndimage.label(blocks, CUBE)
    kept = np.bincount(regions.ravel()) >= least
    kept[0] = False
    return kept[regions]


def _in_image(points, shape):
    """Return the blocks (1, Y, X) near points (x, y) of an image [px]."""
    blocks = np.zeros(shape, bool)
    x, y = (np.asarray(points).T / BLOCK).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < shape[2]) & (y < shape[1])
    blocks[0, y[inside], x[inside]] = True
    return _grown(blocks, SHADOW)


def _grown(blocks, steps):
    """Add the neighbors of blocks, the diagonal ones too."""
    grown = blocks.copy()
    for axis in range(grown.ndim):
        line = np.moveaxis(grown, axis, 0)
        for _ in range(steps):
            before = np.moveaxis(grown.copy(), axis, 0)
            line[1:] |= before[:-1]
            line[:-1] |= before[1:]
    return grown


def _sample(values, where=None):
    """Return values of evenly spread blocks, at most `SAMPLE` or little more."""
    step = max(1, values.size // SAMPLE) | 1  # odd, to fall in no step with the rows
    chosen = values.ravel()[::step]
    return chosen if where is None else chosen[where.ravel()[::step]]
