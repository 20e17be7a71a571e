"""The views of a candidate: patches of the tilt images and of the tomogram."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lib.candidates.masked import Masked
from lib.geometry.projection import project_to_tilts
from lib.modes import MODES

# View 2 of a positive pair is cut at one of these (x, y, z) steps from the candidate.
NEIGHBORS = ((0, 0, 1), (0, 0, -1), (-1, 0, -1), (0, 1, -1))
TILTS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class PatchOffset:
    """Where a patch of a candidate is cut, and through which tilts it is seen.

    Attributes
    ----------
    step : tuple of int
        (x, y, z) from the candidate [voxels].
    tilts : {"all", "even", "odd"}
        Counted by angle.
    """

    step: tuple
    tilts: str = "all"


@dataclass(frozen=True)
class PositivePairs:
    """The places of a candidate: the one that is embedded, and those of the pairs.

    Attributes
    ----------
    places : tuple of PatchOffset
        The first is embedded.
    first : int
        Number of the place of view 1.
    second : range
        Of those of view 2.
    """

    places: tuple
    first: int
    second: range


HERE = (0, 0, 0)
SAME_TILTS = PositivePairs(
    (PatchOffset(HERE), *(PatchOffset(step) for step in NEIGHBORS)),
    first=0,
    second=range(1, 5),
)
# No noise is common to the two tilt views of a pair, so that a network cannot tell
# candidates apart by it.
ODD_EVEN_TILTS = PositivePairs(
    (
        PatchOffset(HERE),
        PatchOffset(HERE, "even"),
        *(PatchOffset(step, "odd") for step in NEIGHBORS),
    ),
    first=1,
    second=range(2, 6),
)


@dataclass(frozen=True)
class TomogramData:
    """What is needed to see the candidates of one tomogram.

    Attributes
    ----------
    volume : ndarray of uint8, shape (Z, Y, X)
        With ``--compress``, Z is half the depth of the file.
    tilts : ndarray of uint8, shape (T, Y, X), or None
        Aligned tilt images, in the mode that uses them.
    angles : ndarray of float, shape (T,), or None
        [degrees].
    z_sign : {1, -1}
        See `lib.geometry.projection.project_to_tilts`.
    depth : int, optional
        Slices of the tomogram file [voxels]; by default those of the volume.
    masked : lib.candidates.masked.Masked, optional
        What of the volume is no specimen.
    """

    volume: np.ndarray
    tilts: np.ndarray | None = None
    angles: np.ndarray | None = None
    z_sign: int = 1
    depth: int | None = None
    masked: Masked | None = None

    def through(self, tilts):
        """Return the scene with a part of its tilts; see `PatchOffset`."""
        if self.tilts is None or tilts == "all":
            return self
        part = np.argsort(self.angles, kind="stable")[TILTS[tilts]]
        return replace(self, tilts=self.tilts[part], angles=self.angles[part])

    def project(self, positions):
        """Return where positions (N, 3) fall in each tilt image, (T, N, 2) [px]."""
        shape = (self.depth or len(self.volume), *self.volume.shape[1:])
        positions = np.array(positions, dtype=float)
        if shape[0] != len(self.volume):
            positions[:, 2] = 2 * positions[:, 2] + 0.5  # middle of the merged pair
        return project_to_tilts(positions, self.angles, shape, self.z_sign)


def tilt_view(scene, positions, box, context):
    """See candidates as the sum of their crops in the tilt images.

    A tilt whose crop would leave the image is skipped for that candidate.

    Parameters
    ----------
    scene : TomogramData
    positions : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    box : int
        Edge of the patch [px].
    context : int
        Further pixels on each side, repeated from the border where there are none.

    Returns
    -------
    patches : ndarray of float32, shape (N, box + 2 context, box + 2 context)
    seen : ndarray of bool, shape (N,)
        Whether any tilt holds the whole patch.
    """
    centers = scene.project(positions)
    edge = box + 2 * context
    total = np.zeros((len(positions), edge, edge), np.float32)
    seen = np.zeros(len(positions), bool)
    for image, center in zip(scene.tilts, centers, strict=True):
        x, y = np.floor(center + 0.5).astype(int).T
        whole = _fits(image.shape, x, y, box)
        total[whole] += _crops(image, x[whole], y[whole], box, context)
        seen |= whole
    return total, seen


def slab_view(scene, positions, box, context):
    """See candidates in the tomogram slice through them; as `tilt_view`."""
    return _slab(scene, positions, box, context, thickness=1)


def thick_slab_view(scene, positions, box, context):
    """See candidates in the sum of three slices; as `tilt_view`."""
    return _slab(scene, positions, box, context, thickness=3)


VIEWS = {"tilt": tilt_view, "slab": slab_view, "thick_slab": thick_slab_view}


def cut_views(scene, positions, *, box, context, mode, pairing=SAME_TILTS):
    """Cut every view of candidates at every place.

    Parameters
    ----------
    scene : TomogramData
    positions : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    box, context : int
        See `tilt_view`; the box is even.
    mode : str
        Key of `lib.modes.MODES`.
    pairing : PositivePairs

    Returns
    -------
    patches : ndarray of uint8, shape (N, P, V, S, S)
        P places; V views; S = box + 2 context. Each patch spans 0 to 255 within its
        box.
    seen : ndarray of bool, shape (N,)
        False for candidates of which any patch falls off its image.
    """
    views = [VIEWS[name] for name in MODES[mode].views]
    places = pairing.places
    edge = box + 2 * context
    patches = np.zeros((len(positions), len(places), len(views), edge, edge), np.uint8)
    seen = np.ones(len(positions), bool)
    for p, place in enumerate(places):
        part, there = scene.through(place.tilts), positions + np.array(place.step)
        for v, view in enumerate(views):
            raw, whole = view(part, there, box, context)
            patches[:, p, v] = _to_bytes(raw, context)
            seen &= whole
    return patches, seen


def _slab(scene, positions, box, context, thickness):
    edge = box + 2 * context
    total = np.zeros((len(positions), edge, edge), np.float32)
    x, y, z = np.asarray(positions).T
    seen = _fits(scene.volume.shape[1:], x, y, box)
    half = thickness // 2
    seen &= (z >= half) & (z < len(scene.volume) - half)
    for section in np.unique(z[seen]):
        here = np.flatnonzero(seen & (z == section))
        image = scene.volume[section - half : section + half + 1].sum(0, np.uint16)
        total[here] = _crops(image, x[here], y[here], box, context)
    return total, seen


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
