"""What is measured of each candidate beside its patches."""

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.surroundings import on_side, signed_distance
from lib.inputs.mask import read_mask
from lib.patches.tomogram_data import TOMOGRAM_CLIP

NEARBY = 3  # particle diameters within which neighbors are counted
AT_ONCE = 4_000_000  # voxels that are gathered


def measure(data, coords, *, diameter, compress=False):
    """Return what the tomogram tells of each candidate.

    Parameters
    ----------
    data : lib.patches.tomogram_data.TomogramData
    coords : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    diameter : float
        Of a particle, as ``--dog_diameter`` [voxels].
    compress : bool
        Whether z counts pairs of slices.

    Returns
    -------
    dict of str to ndarray of float32, shape (N,)
        ``density``, the mean of the denoised tomogram in a ball of the diameter
        [standard deviations from its mean]; and ``neighbors``, the number of other
        candidates within `NEARBY` diameters.
    """
    return {
        "neighbors": _count_neighbors(_in_file(coords, compress), NEARBY * diameter),
        "density": _mean_density(data.volume, coords, diameter / 2, compress),
    }


def distance_to_mask(tomogram, coords, *, compress=False):
    """Return the signed distance of candidates to the mask of their tomogram.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
    coords, compress
        As of `measure`.

    Returns
    -------
    ndarray of float32, shape (N,), or None
        [voxels of the file], negative inside; None without a mask.
    """
    if tomogram.companions.mask_path is None:
        return None
    return signed_distance(read_mask(tomogram), _in_file(coords, compress))


def chosen_by_mask(distance, options):
    """Return which candidates the options ask for, (N,), from distances to a mask."""
    side = options.mask_side or "both"
    return on_side(distance, side=side, within=options.mask_distance)


def _in_file(coords, compress):
    """Return positions in voxels of the file, between the slices of a merged pair."""
    positions = np.asarray(coords, float)
    return positions * [1, 1, 2] + [0, 0, 0.5] if compress else positions


def _count_neighbors(positions, radius):
    if not len(positions):
        return np.zeros(0, np.float32)
    tree = cKDTree(positions)
    counts = tree.query_ball_point(positions, radius, return_length=True)
    return (np.asarray(counts) - 1).astype(np.float32)


def _mean_density(volume, coords, radius, compress):
    """Return the mean in a ball around each position; beyond an edge, its voxels."""
    reach = np.arange(-int(radius), int(radius) + 1)
    ball = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), -1).reshape(-1, 3)
    stretch = np.array([2 if compress else 1, 1, 1])
    ball = ball[((ball * stretch) ** 2).sum(1) <= radius**2]
    means = np.empty(len(coords), np.float32)
    step = max(1, AT_ONCE // len(ball))
    last = np.array(volume.shape) - 1
    for start in range(0, len(coords), step):
        centers = np.asarray(coords)[start : start + step, ::-1]
        places = np.clip(centers[:, None] + ball, 0, last)
        means[start : start + step] = volume[tuple(np.moveaxis(places, -1, 0))].mean(1)
    low, high = TOMOGRAM_CLIP
    return means * ((high - low) / 255) + low
