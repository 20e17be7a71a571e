"""Distances of positions to the border of a mask, and who lies on which side of it."""

import numpy as np
from scipy.spatial import cKDTree

AXES = range(3)


def signed_distance(mask, positions):
    """Return the distance of positions to a mask, negative inside.

    Outside, to the nearest voxel of the mask; inside, to the nearest that is not of
    it. Only voxels with a neighbor on the other side can be the nearest, so that a
    few positions cost no distance transform of the volume.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Neither empty nor full.
    positions : ndarray, shape (N, 3)
        (x, y, z) [voxels].

    Returns
    -------
    ndarray of float32, shape (N,)
        [voxels].
    """
    positions = np.asarray(positions, float)
    nearest = np.floor(positions[:, ::-1] + 0.5).astype(int)
    nearest = np.clip(nearest, 0, np.array(mask.shape) - 1)
    inside = mask[tuple(nearest.T)]
    distance = np.zeros(len(positions), np.float32)
    for here, sign, within in ((~inside, 1, True), (inside, -1, False)):
        if here.any():
            tree = cKDTree(_border(mask, within))
            distance[here] = sign * tree.query(positions[here])[0]
    return distance


def _border(mask, within):
    """Return (x, y, z) of the voxels that are `within` beside ones that are not."""
    border = np.zeros(mask.shape, bool)
    for axis in AXES:
        moved = np.moveaxis(mask, axis, 0), np.moveaxis(border, axis, 0)
        differ = moved[0][1:] != moved[0][:-1]
        moved[1][1:] |= differ
        moved[1][:-1] |= differ
    border &= mask if within else ~mask
    return np.argwhere(border)[:, ::-1]


def on_side(distance, *, side="both", within=None):
    """Return which candidates lie where they are wanted.

    Parameters
    ----------
    distance : ndarray, shape (N,)
        As from `signed_distance`.
    side : {"both", "inside", "outside"}
        Of the mask.
    within : float, optional
        Farthest from its border [voxels].

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    wanted = {"both": True, "inside": distance < 0, "outside": distance > 0}
    kept = np.broadcast_to(wanted[side], len(distance))
    return kept if within is None else kept & (np.abs(distance) <= within)
