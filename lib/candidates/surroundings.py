"""What lies around candidates: the mean density, and the distance to a mask."""

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.scale_space import non_maximum_suppression

RIDGE = 0.8  # least density along a ridge, relative to its lower end
AXES = range(3)


def centroid_offset(index, density, sigma):
    """Return the distance of each position to the centroid of the density around it.

    The centroid under a Gaussian window is sigma^2 grad log G(sigma) away.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    density : ndarray, shape (Z, Y, X)
    sigma : float
        Of the Gaussian by which `density` is smooth, which is the window [voxels].

    Returns
    -------
    ndarray, shape (M,)
        [sigmas]
    """
    z, y, x = np.unravel_index(index, density.shape)
    gradient = [
        density[z + dz, y + dy, x + dx] - density[z - dz, y - dy, x - dx]
        for dz, dy, dx in np.eye(3, dtype=int)
    ]
    norm = np.linalg.norm(gradient, axis=0)
    return sigma * norm / 2 / np.maximum(density[z, y, x], 1e-9)


def climb_to_maximum(index, density, inner, *, reach):
    """Climb from voxel to voxel to the greatest density within reach of the start.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    density : ndarray, shape (Z, Y, X)
    inner : tuple of slice
        Part of the volume (z, y, x) that is not left.
    reach : float
        [voxels].

    Returns
    -------
    ndarray of int, shape (M,)
        Where each arrives; several may meet.
    """
    steps = np.indices((3, 3, 3)).reshape(3, -1) - 1
    low = np.array([part.start for part in inner])[:, None, None]
    high = np.array([part.stop - 1 for part in inner])[:, None, None]
    start = np.stack(np.unravel_index(index, density.shape)).astype(np.int32)
    position = start.copy()
    moving = np.arange(len(index))
    while len(moving):
        around = np.clip(
            position[:, moving, None] + steps[:, None].astype(np.int32), low, high
        )
        far = np.square(around - start[:, moving, None]).sum(axis=0) > reach**2
        best = np.where(far, -np.inf, density[tuple(around)]).argmax(axis=1)
        there = around[:, np.arange(len(moving)), best]
        climbs = density[tuple(there)] > density[tuple(position[:, moving])]
        moving, there = moving[climbs], there[:, climbs]
        position[:, moving] = there
    return np.ravel_multi_index(tuple(position), density.shape)


def add_midpoints(index, scores, density, *, lengths, clearance, apart):
    """Add the midpoints of pairs that lie on one ridge of the density.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    scores : ndarray, shape (M,)
    density : ndarray, shape (Z, Y, X)
    lengths : (float, float)
        Least and greatest distance of a pair [voxels].
    clearance : float
        A midpoint has no position of `index` this near [voxels].
    apart : float
        Least distance of two midpoints [voxels].

    Returns
    -------
    index : ndarray of int, shape (M + N,)
    scores : ndarray, shape (M + N,)
        A midpoint has that of its weaker end.
    """
    points = np.stack(np.unravel_index(index, density.shape), axis=1)
    tree = cKDTree(points)
    shortest, longest = lengths
    pairs = tree.query_pairs(longest, output_type="ndarray")
    starts, ends = points[pairs[:, 0]], points[pairs[:, 1]]

    def along(share):
        return np.rint(starts + (ends - starts) * share).astype(int)

    lowest = np.min([density[tuple(along(i / 8).T)] for i in range(2, 7)], axis=0)
    lower_end = np.minimum(density[tuple(starts.T)], density[tuple(ends.T)])
    nearest, _ = tree.query(along(0.5))
    on_ridge = (
        (np.linalg.norm(ends - starts, axis=1) >= shortest)
        & (lowest >= RIDGE * lower_end)
        & (nearest > clearance)
    )
    midpoints = np.ravel_multi_index(tuple(along(0.5)[on_ridge].T), density.shape)
    strength = scores[pairs[on_ridge]].min(axis=1)
    order = np.lexsort((midpoints, -strength))
    midpoints, strength = midpoints[order], strength[order]
    kept = non_maximum_suppression(midpoints, density.shape, apart)
    return (
        np.concatenate([index, midpoints[kept]]),
        np.concatenate([scores, strength[kept]]),
    )


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
