"""Where the dark matter lies around the maxima of a level.

`matter` is the positive part of the finest level of a pyramid, smoothed: float32 of
shape (Z, Y, X). Places are flat positions in it.
"""

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.suppression import suppress

SETTLE = 4.0  # how far a blob of the finest level may move [voxels]
ENDS_APART = (8.0, 15.0)  # two ends of one thing [voxels]
RIDGE = 0.8  # of the matter at its lower end is left all along a ridge


def eccentricity(index, matter, sigma):
    """Return how far aside the matter around each place lies.

    Its centroid under a Gaussian window is sigma^2 grad log G(sigma) away.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    matter : ndarray, shape (Z, Y, X)
    sigma : float
        How smooth `matter` is, and the width of the window [voxels].

    Returns
    -------
    ndarray, shape (M,)
        [sigmas]
    """
    z, y, x = np.unravel_index(index, matter.shape)
    gradient = [
        matter[z + dz, y + dy, x + dx] - matter[z - dz, y - dy, x - dx]
        for dz, dy, dx in np.eye(3, dtype=int)
    ]
    return (
        sigma * np.linalg.norm(gradient, axis=0) / 2 / np.maximum(matter[z, y, x], 1e-9)
    )


def settle(index, matter, inner):
    """Climb from voxel to voxel to the most matter within `SETTLE` of the start.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    matter : ndarray, shape (Z, Y, X)
    inner : tuple of slice
        Part of the volume (z, y, x) that is not left.

    Returns
    -------
    ndarray of int, shape (M,)
        Where each arrives; several may meet.
    """
    steps = np.indices((3, 3, 3)).reshape(3, -1) - 1
    low = np.array([part.start for part in inner])[:, None, None]
    high = np.array([part.stop - 1 for part in inner])[:, None, None]
    start = np.stack(np.unravel_index(index, matter.shape)).astype(np.int32)
    place = start.copy()
    moving = np.arange(len(index))
    while len(moving):
        around = np.clip(
            place[:, moving, None] + steps[:, None].astype(np.int32), low, high
        )
        far = np.square(around - start[:, moving, None]).sum(axis=0) > SETTLE**2
        best = np.where(far, -np.inf, matter[tuple(around)]).argmax(axis=1)
        there = around[:, np.arange(len(moving)), best]
        climbs = matter[tuple(there)] > matter[tuple(place[:, moving])]
        moving, there = moving[climbs], there[:, climbs]
        place[:, moving] = there
    return np.ravel_multi_index(tuple(place), matter.shape)


def add_middles(index, scores, matter, *, apart, free):
    """Add the middles of pairs that a ridge of matter joins.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
    scores : ndarray, shape (M,)
    matter : ndarray, shape (Z, Y, X)
    apart : float
        Middles keep this distance of each other [voxels].
    free : float
        A middle with a place this near is none [voxels].

    Returns
    -------
    index : ndarray of int, shape (M + N,)
    scores : ndarray, shape (M + N,)
        A middle has that of its weaker end.
    """
    places = np.stack(np.unravel_index(index, matter.shape), axis=1)
    tree = cKDTree(places)
    shortest, longest = ENDS_APART
    pairs = tree.query_pairs(longest, output_type="ndarray")
    starts, ends = places[pairs[:, 0]], places[pairs[:, 1]]

    def along(share):
        return np.rint(starts + (ends - starts) * share).astype(int)

    lowest = np.min([matter[tuple(along(i / 8).T)] for i in range(2, 7)], axis=0)
    lower_end = np.minimum(matter[tuple(starts.T)], matter[tuple(ends.T)])
    nearest, _ = tree.query(along(0.5))
    joined = (
        (np.linalg.norm(ends - starts, axis=1) >= shortest)
        & (lowest >= RIDGE * lower_end)
        & (nearest > free)
    )
    middles = np.ravel_multi_index(tuple(along(0.5)[joined].T), matter.shape)
    strength = scores[pairs[joined]].min(axis=1)
    order = np.lexsort((middles, -strength))
    middles, strength = middles[order], strength[order]
    kept = suppress(middles, matter.shape, apart)
    return (
        np.concatenate([index, middles[kept]]),
        np.concatenate([scores, strength[kept]]),
    )
