"""Fill of a tomogram or an image: what was put where nothing was measured.

Fill (padding, the wedges that a rotation leaves, erased parts) is constant *in space*,
at whatever level. How often a value occurs says nothing: in 8-bit data every value
does. Fill may also be random numbers (AreTomo, dithering): neighbors are then
independent, which they never are in a reconstruction. Or the last measured voxels are
repeated outwards: nothing then varies along one direction.
"""

import numpy as np
from scipy import ndimage

from lib.candidates.masked import CUBE, grown, of_size, sample_of

TAIL = 2.0  # percent on either side that are beyond the usual levels
FLAT = 0.02  # of the usual range within a block: what has less is constant
LEAST_FILL = 1e-3  # of the volume: a smaller flat region is a saturated bead, or chance
LEAST_LEFT = 0.05  # of the volume: what leaves less is a picture without noise
MATTERS = 0.05  # std by which fill moves the mean or the std, else it stays
TILE = 4  # blocks along each axis, over which random fill is averaged
EXTREME = 0.5  # percent of the tiles on either side that may be gold
APART = 3.0  # times the spread of both levels, between random fill and the rest
INDEPENDENT = 0.03  # correlation of neighboring blocks; tomograms have 0.29 to 0.54
UNEVEN = 2.0  # times the variance of tiles that independent blocks give
FEW = 8  # tiles whose variance says little
WINDOW = 8  # blocks along each axis, over which that correlation is measured
LOOSE = 0.1  # of such a window, below which it may be random fill
STREAK = 0.02  # of the variation across a streak: along it, there is less
STREAK_REACH = 2  # blocks that the gradients and their averages extend
BORDER = 12  # blocks that a smeared border of fill is followed at most
BORDER_SPAN, BORDER_LEVEL = 0.7, 0.5  # a border has less range, or another level


def find_fill(mean, span):
    """Find fill of any kind.

    Parameters
    ----------
    mean, span : ndarray of float32
        Of each block, see `lib.candidates.masked.block_statistics`.

    Returns
    -------
    fill : ndarray of bool, or None
        The blocks, with their border; None without any.
    share : float
        Of the volume that is fill.
    """
    # Values near the limits of float32 overflow in products, and decide nothing then.
    with np.errstate(over="ignore", invalid="ignore"):
        fill = _find_constant(mean, span)
        if fill is None:
            fill = _find_random(mean)
        if fill is None and len(mean) > 1:
            fill = _find_unrelated(mean)
        if fill is None and len(mean) > 1:
            fill = _find_streaks(mean)
    if fill is None:
        return None, 0.0
    return _with_border(fill, mean, span), float(fill.mean())


def _find_constant(mean, span):
    """Return the blocks of large flat regions, or None."""
    flat = span <= FLAT * np.percentile(sample_of(span), 90)
    least = LEAST_FILL * flat.size
    if flat.sum() < least:
        return None
    core = ~grown(~flat, 1)  # a smooth picture has small flats, and flat slopes
    regions, _ = ndimage.label(grown(core, 1) & flat, CUBE)
    large = np.bincount(regions.ravel()) >= least
    large[0] = False
    fill = large[regions]
    if not fill.any() or fill.mean() > 1 - LEAST_LEFT:
        return None
    rest = mean[~fill]
    moved = abs(mean.mean() - rest.mean()), abs(mean.std() - rest.std())
    return fill if max(moved) > MATTERS * rest.std() else None


def _find_random(mean):
    """Return the blocks of fill that is independent noise at another level, or None."""
    cells = _in_tiles(mean, TILE)
    if cells is None:
        return None
    tiles = cells.mean(axis=(1, 3, 5))
    middle = _valley(tiles)
    sides = tiles < middle, tiles >= middle
    if not all(side.any() for side in sides):  # hardly any variation is left
        return None
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
        core = of_size(core, LEAST_FILL * core.size)
        region &= grown(core, TILE // 2)
        if not core.any() or region.mean() > 1 - LEAST_LEFT:
            continue
        if _is_independent(mean, core):
            return region
    return None


def _find_unrelated(mean):
    """Return the blocks of fill that is independent noise at any level, or None."""
    if not _any_unrelated(mean):
        return None
    rest = mean - ndimage.uniform_filter(mean, WINDOW + 1)
    power = ndimage.uniform_filter(rest * rest, WINDOW + 1)
    region = power > 0
    for axis in range(rest.ndim):
        products = rest * np.roll(rest, 1, axis)
        region &= ndimage.uniform_filter(products, WINDOW + 1) < LOOSE * power
    core = ndimage.binary_opening(region, CUBE, TILE // 2)
    core = of_size(core, LEAST_FILL * core.size)
    if not core.any() or not _is_independent(mean, core):
        return None
    # A window may overlap the specimen a little and still be below.
    region = grown(core, WINDOW // 2 - 1)
    return region if region.mean() <= 1 - LEAST_LEFT else None


def _any_unrelated(mean):
    """Return whether any window holds independent noise: rarely, and soon known."""
    cells = _in_tiles(mean, WINDOW)
    if cells is None:
        return False
    inside = (1, 3, 5)
    cells = cells - cells.mean(axis=inside, keepdims=True)
    power = np.square(cells).sum(axis=inside)
    unrelated = power > 0
    for axis in inside:
        line = np.moveaxis(cells, axis, 0)
        products = np.moveaxis(line[1:] * line[:-1], 0, axis).sum(axis=inside)
        unrelated &= products < LOOSE * power
    return bool(unrelated.mean() > LEAST_FILL)


def _find_streaks(mean):
    """Return the blocks of voxels that are repeated along a direction, or None.

    The structure tensor then has one eigenvalue near 0, and two that are not: of an
    edge or a slope, two are small.
    """
    gradients = np.gradient(mean)
    tensor = {
        (i, j): ndimage.uniform_filter(gradients[i] * gradients[j], 3)
        for i in range(3)
        for j in range(i, 3)
    }
    (xx, xy, xz, yy, yz, zz) = tensor.values()
    trace = xx + yy + zz
    minors = xx * yy + xx * zz + yy * zz - xy**2 - xz**2 - yz**2
    determinant = (
        xx * (yy * zz - yz**2) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    )
    # Of a least eigenvalue near 0, this is its part of the next one.
    streaks = determinant * trace < STREAK * minors**2
    streaks &= minors > STREAK * trace**2
    core = ndimage.binary_opening(streaks, CUBE)
    core = of_size(core, LEAST_FILL * core.size)
    if not core.any():
        return None
    region = grown(core, STREAK_REACH)
    return region if region.mean() <= 1 - LEAST_LEFT else None


def _in_tiles(mean, edge):
    """Return tiles of blocks, (nz, edge, ny, edge, nx, edge), or None if there are few.

    At least two along an axis; one with a single block, as of images, stays.
    """
    edges = [min(edge, size) for size in mean.shape]
    counts = [size // length for size, length in zip(mean.shape, edges, strict=True)]
    if min(counts[-2:]) < 2 or (len(mean) > 1 and counts[0] < 2):
        return None
    used = zip(counts, edges, strict=True)
    whole = mean[tuple(slice(count * length) for count, length in used)]
    pairs = zip(counts, edges, strict=True)
    return whole.reshape([number for pair in pairs for number in pair])


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


def _is_independent(mean, inside):
    """Return whether blocks do not depend on each other, near and further apart."""
    rest = np.where(inside, mean - mean[inside].mean(dtype=np.float64), 0)
    for axis in range(rest.ndim):
        if rest.shape[axis] == 1:
            continue
        line, both = np.moveaxis(rest, axis, 0), np.moveaxis(inside, axis, 0)
        both = both[1:] & both[:-1]
        first, second = line[:-1][both], line[1:][both]
        power = np.sqrt((first @ first) * (second @ second))
        if not power > 0 or abs(first @ second) >= INDEPENDENT * power:
            return False
    whole = _in_tiles(inside, TILE).all(axis=(1, 3, 5))
    tiles = _in_tiles(rest, TILE)
    averages = tiles.mean(axis=(1, 3, 5))[whole]
    blocks = tiles[0, :, 0, :, 0].size
    scatter = rest[inside].var()
    return len(averages) < FEW or averages.var() * blocks < UNEVEN * scatter


def _with_border(fill, mean, span):
    """Add the border of fill: blocks that it shares, and as far as it is smeared."""
    rest = ~fill
    most = 1 - LEAST_LEFT / 2
    low, middle, high = np.percentile(sample_of(mean, rest), (TAIL, 50, 100 - TAIL))
    usual = np.median(sample_of(span, rest))
    for _ in range(BORDER):
        wider = grown(fill, 1)
        if wider.mean() > most:
            break
        fill = wider
        shell = grown(fill, 1) & ~fill
        if not shell.any():
            break
        level = np.median(mean[shell]) - middle
        unlike = np.median(span[shell]) < BORDER_SPAN * usual
        if not unlike and abs(level) < BORDER_LEVEL * min(middle - low, high - middle):
            break
    return fill
