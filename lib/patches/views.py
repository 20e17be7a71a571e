"""The views of a candidate: patches of the tilt images and of the tomogram."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lib.modes import MODES

# View 2 of a positive pair is cut at one of these (x, y, z) steps from the candidate.
NEIGHBORS = ((0, 0, 1), (0, 0, -1), (-1, 0, -1), (0, 1, -1))


@dataclass(frozen=True)
class PatchOffset:
    """Where a patch of a candidate is cut, and of which part of the data.

    Attributes
    ----------
    step : tuple of int
        (x, y, z) from the candidate [voxels].
    tilts : {"all", "even", "odd"}
        Of the images, counted by angle; or the half tomogram of even or odd ones.
    """

    step: tuple
    tilts: str = "all"


@dataclass(frozen=True)
class PositivePairs:
    """The offsets of a candidate: the one that is embedded, and those of the pairs.

    Attributes
    ----------
    offsets : tuple of PatchOffset
        The first is embedded.
    first : int
        Index of the offset of view 1.
    second : range
        Indices of those of view 2.
    """

    offsets: tuple
    first: int
    second: range


HERE = (0, 0, 0)
SAME_TILTS = PositivePairs(
    (PatchOffset(HERE), *(PatchOffset(step) for step in NEIGHBORS)),
    first=0,
    second=range(1, 5),
)
# No noise is common to the two views of a pair, in tilt images or in half tomograms, so
# that a network cannot tell candidates apart by it.
ODD_EVEN_TILTS = PositivePairs(
    (
        PatchOffset(HERE),
        PatchOffset(HERE, "even"),
        *(PatchOffset(step, "odd") for step in NEIGHBORS),
    ),
    first=1,
    second=range(2, 6),
)


def tilt_view(data, positions, box, context):
    """Sum the crops of candidates in the tilt images.

    A tilt whose crop would leave the image is skipped for that candidate.

    Parameters
    ----------
    data : lib.patches.tomogram_data.TomogramData
    positions : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    box : int
        Edge of the patch [px].
    context : int
        Further pixels on each side, repeated from the border where there are none.

    Returns
    -------
    ndarray of float32, shape (N, box + 2 context, box + 2 context)
    """
    edge = box + 2 * context
    total = np.zeros((len(positions), edge, edge), np.float32)
    for image, (x, y) in zip(data.tilts, _pixels(data, positions), strict=True):
        whole = _fits(image.shape, x, y, box)
        total[whole] += _crops(image, x[whole], y[whole], box, context)
    return total


def slab_view(data, positions, box, context, thickness=1):
    """Sum the crops of candidates in `thickness` slices; as `tilt_view`."""
    edge = box + 2 * context
    total = np.zeros((len(positions), edge, edge), np.float32)
    x, y, z = np.asarray(positions).T
    whole = fits_slab(data, positions, box, thickness)
    half = thickness // 2
    for section in np.unique(z[whole]):
        here = np.flatnonzero(whole & (z == section))
        image = data.volume[section - half : section + half + 1].sum(0, np.uint16)
        total[here] = _crops(image, x[here], y[here], box, context)
    return total


def fits_tilts(data, positions, box):
    """Return whether any tilt image holds the whole patch of a candidate, (N,)."""
    shape = data.tilts.shape[1:]
    fits = [_fits(shape, x, y, box) for x, y in _pixels(data, positions)]
    return np.any(fits, axis=0)


def fits_slab(data, positions, box, thickness=1):
    """Return whether the slices hold the whole patch of a candidate, (N,)."""
    x, y, z = np.asarray(positions).T
    half = thickness // 2
    deep = (z >= half) & (z < len(data.volume) - half)
    return deep & _fits(data.volume.shape[1:], x, y, box)


# By its name in `lib.modes`: what cuts a view, and what tells whether it is whole.
VIEWS = {
    "tilt": (tilt_view, fits_tilts),
    "slab": (slab_view, fits_slab),
    "thick_slab": (partial(slab_view, thickness=3), partial(fits_slab, thickness=3)),
}


def fits_all(data, positions, *, box, mode, offsets):
    """Return which candidates have a whole patch in every view at every offset.

    Parameters
    ----------
    data, positions, box, mode, offsets
        As of `cut_views`.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    whole = np.ones(len(positions), bool)
    for offset in offsets:
        part, there = data.through(offset.tilts), positions + np.array(offset.step)
        for name in MODES[mode].views:
            whole &= VIEWS[name][1](part, there, box)
    return whole


def cut_views(data, positions, *, box, context, mode, offsets=SAME_TILTS.offsets):
    """Cut every view of candidates at every offset.

    Parameters
    ----------
    data : lib.patches.tomogram_data.TomogramData
    positions : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    box, context : int
        See `tilt_view`; the box is even.
    mode : str
        Key of `lib.modes.MODES`.
    offsets : tuple of PatchOffset

    Returns
    -------
    ndarray of uint8, shape (N, P, V, S, S)
        P offsets; V views; S = box + 2 context. Each patch spans 0 to 255 within its
        box; 0 where it does not fit, see `fits_all`.
    """
    views = [VIEWS[name][0] for name in MODES[mode].views]
    edge = box + 2 * context
    patches = np.zeros((len(positions), len(offsets), len(views), edge, edge), np.uint8)
    for p, offset in enumerate(offsets):
        part, there = data.through(offset.tilts), positions + np.array(offset.step)
        for v, view in enumerate(views):
            patches[:, p, v] = _to_bytes(view(part, there, box, context), context)
    return patches


def _pixels(data, positions):
    """Return the nearest pixels (T, 2, N) of positions in the tilt images."""
    return np.floor(data.project(positions) + 0.5).astype(int).transpose(0, 2, 1)


def _fits(shape, x, y, box):
    left, top = x - box // 2, y - box // 2
    return (left >= 0) & (top >= 0) & (left + box <= shape[1]) & (top + box <= shape[0])


def _crops(image, x, y, box, context):
    """Return crops centered on (x, y); the center is pixel box // 2 of the box."""
    edge = box + 2 * context
    padded = np.pad(image, context, mode="edge")
    return sliding_window_view(padded, (edge, edge))[y - box // 2, x - box // 2]


def _to_bytes(raw, context):
    """Scale each patch (N, S, S) so that its box spans 0 to 255; context is clipped."""
    inner = slice(context, raw.shape[-1] - context)
    box = raw[:, inner, inner]
    low = box.min(axis=(1, 2), keepdims=True)
    span = box.max(axis=(1, 2), keepdims=True) - low
    scaled = (raw - low) * (255 / np.where(span > 0, span, 1))
    return np.round(np.clip(scaled, 0, 255)).astype(np.uint8)
