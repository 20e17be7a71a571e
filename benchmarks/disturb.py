"""Faults that real tomograms have, put into labeled sets to measure what they cost."""

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.simulate import GOLD_RADIUS, VOXEL_SIZE
from lib.errors import InputError, OptionError
from lib.inputs.tomogram import Tomogram

NORMAL = np.array([1.0, 0.3, 0.2])  # (x, y, z) of the plane behind which all is fill
SHARE = 0.4  # of the volume that is fill
FADING = 20  # voxels over which tapered fill sets in
TOLD = (
    "fill:LEVEL (in std of the tomogram), fill:zero, taper:LEVEL, noise:LEVEL (of 0.5 "
    "std), drawn (from the voxels), smear (of the outermost voxels), gold and hot"
)


def disturb(path, fault, order):
    """Return a tomogram with a fault, and how far places are from what is at fault.

    Parameters
    ----------
    path : pathlib.Path
        Tomogram of a labeled set. Gold and hot pixels change the tilt images, so that
        they are simulated: in the folders of the set's name with ``_gold`` and
        ``_hot``, by `benchmarks/simulate.py` with ``--gold`` or ``--hot`` and the seed
        of the set.
    fault : str
        See `TOLD`.
    order : str
        Of the file, see `lib.axis_orders`.

    Returns
    -------
    volume : ndarray of float32, shape (Z, Y, X)
    distance : callable
        Takes positions (N, 3), (x, y, z), returns distances from the surface of the
        fill or the gold, negative within [voxels].
    """
    kind, _, level = fault.partition(":")
    if kind in ("fill", "taper", "noise", "drawn", "smear"):
        volume = Tomogram.from_files(path, order).read_voxels()
        return _fill(volume, kind, level)
    if kind not in ("gold", "hot"):
        raise OptionError(f"--disturb {fault}: expected {TOLD}")
    other = path.parent.with_name(f"{path.parent.name}_{kind}") / path.name
    if not other.is_file():
        raise InputError(
            f"{other} does not exist; simulate it with benchmarks/simulate.py --{kind} "
            f"and the seed of {path.parent}"
        )
    volume = Tomogram.from_files(other, order).read_voxels()
    if kind == "hot":
        return volume, lambda positions: np.full(len(positions), np.inf)
    beads = cKDTree(np.loadtxt(other.with_suffix(".beads.txt"), ndmin=2))
    radius = GOLD_RADIUS / VOXEL_SIZE
    return volume, lambda positions: beads.query(positions)[0] - radius


def _fill(volume, kind, level):
    """Fill what lies behind a slanted plane."""
    rng = np.random.default_rng(0)
    mean, std = volume.mean(), volume.std()
    try:
        value = 0 if level == "zero" else mean + float(level or 0) * std
    except ValueError:
        raise OptionError(f"--disturb {kind}:{level}: expected {TOLD}") from None
    normal = NORMAL / np.linalg.norm(NORMAL)
    z, y, x = (np.arange(size, dtype=np.float32) for size in volume.shape)
    along = normal[0] * x + normal[1] * y[:, None] + normal[2] * z[:, None, None]
    edge = np.quantile(along[::4, ::4, ::4], SHARE)
    hidden = along < edge
    if kind == "taper":
        weight = np.clip((edge - along) / FADING, 0, 1)
        volume += weight * (value - volume)
    elif kind == "smear":
        # Along x, as where an image was turned and shifted.
        first = np.argmin(hidden, axis=2)[..., None]
        volume[:] = np.where(hidden, np.take_along_axis(volume, first, 2), volume)
    elif kind == "drawn":
        volume[hidden] = rng.choice(volume[~hidden], np.count_nonzero(hidden))
    elif kind == "noise":
        volume[hidden] = rng.normal(value, 0.5 * std, np.count_nonzero(hidden))
    else:
        volume[hidden] = value
    return volume, lambda positions: np.asarray(positions) @ normal - edge
