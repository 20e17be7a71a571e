"""The density around candidates: its centroid, its nearest maximum, and its ridges.

Positions are flat indices into the volume.
"""

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.scale_space import non_maximum_suppression

RIDGE = 0.8  # least density along a ridge, relative to its lower end


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
