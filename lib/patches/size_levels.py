"""Candidates of mixed sizes: blobs and hollow shells, a level for each size.

The documented pyramid (in-slice maxima, one threshold, the strongest first) finds
large particles by their grain and hollow ones by their rim, several times each and
never at the centre. Here maxima are of 3x3x3 voxels, each level has its own
threshold and radius, and the coarse go first. Hollow particles have levels of their
own: the positive part of the finest level shows where the dark matter is, and the
second difference of its Gaussians, 2 G(s[i+1]) - G(s[i]) - G(s[i+2]), is greatest at
the centre of a shell of radius 2.6 s[i]. Beside something solid it has maxima too, but
there all matter lies to one side.

The finest blobs are bits of larger things as often as things: along a rod, at the arms
of a cross, on a rim their maxima lie where the noise puts them. They settle first: each
climbs to where most dark matter is, a few voxels away at most, and those that meet are
one. Two that one ridge of matter joins may be the ends of one thing: its middle becomes
a candidate too. Measured in benchmarks/RESULTS.md.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from lib.patches.filtering import gaussian_volume, gaussian_volume_torch, threads
from lib.patches.suppression import suppress

BY_SIZE = 4  # sigmas from which on the levels are kept apart
BETWEEN_LEVELS = 5.5  # candidates of two levels keep this distance [voxels] ...
STRONGER = 4.0  # ... and this one when the finer is the stronger
BLOB_RADIUS = 1.6  # of what a level answers to, in its smaller sigma
SHELL_RADIUS = 2.6
SHELL_APART = 1.5  # of two shells, likewise
SHELL_STD = 1.6  # shells stand out by this many std more than blobs
SURE = 2.0  # a shell this many std above the mean ...
SHELL_CLAIM = 2.3  # ... claims all within this many sigmas: its rim
CENTRED = 0.35  # a shell has the matter around it no further aside [sigmas]
SLAB = 16  # sections in which a thread looks for maxima at once
SETTLE = 4.0  # how far a blob of the finest level may move [voxels]
ENDS_APART = (8.0, 15.0)  # two ends of one thing [voxels]
RIDGE = 0.8  # of the matter at its lower end is left all along a ridge


@dataclass(frozen=True)
class Level:
    """Maxima of one level that passed its threshold, strongest first.

    Attributes
    ----------
    radius : float
        Of the particles it answers to [voxels].
    positions : ndarray of int, shape (M, 3)
        (x, y, z) [voxels].
    scores : ndarray, shape (M,)
        Std above the mean of the level's maxima.
    claims : ndarray, shape (M,)
        Finer levels have no candidate this near [voxels].
    """

    radius: float
    positions: np.ndarray
    scores: np.ndarray
    claims: np.ndarray


def find_by_size(
    volume, sigmas, inner, *, diameter, std_multiplier, bright=False, device="cpu"
):
    """Find dark blobs and shells of several sizes.

    Parameters
    ----------
    volume : ndarray of uint8, shape (Z, Y, X)
    sigmas : sequence of float
        Ascending, `BY_SIZE` or more. The finest only shows where dark matter is;
        blobs of radius 1.6 and shells of radius 2.6 times the others are found.
    inner : tuple of slice
        Part of the volume (z, y, x) that may hold candidates.
    diameter : float
        Candidates of one level keep at least half of it [voxels].
    std_multiplier : float
        Threshold of each level: mean + this many std of its maxima.
    bright : bool
    device : str or torch.device

    Returns
    -------
    positions : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels], by descending score.
    scores : ndarray of float32, shape (N,)
        Std above the mean of the level's maxima.
    """
    on_gpu = str(device) != "cpu"
    smooth, maxima = _on_gpu(device) if on_gpu else _on_cpu(volume)

    def search(response):
        kind, sigma, next_sigma, level, matter = response
        index, strength = maxima(level, inner)
        if len(index) < 2:
            return None
        scores = (strength - strength.mean()) / max(strength.std(), 1e-9)
        threshold = std_multiplier + (SHELL_STD if kind == "shell" else 0)
        index, scores = index[scores >= threshold], scores[scores >= threshold]
        if matter is not None:
            matter = matter.cpu().numpy() if on_gpu else matter
        if kind == "shell":
            centred = _eccentricity(index, matter, next_sigma) <= CENTRED
            index, scores = index[centred], scores[centred]
        elif matter is not None:
            index = _settle(index, matter, inner)
        order = np.lexsort((index, -scores))  # by strength; ties by place
        index, scores = index[order], scores[order]
        apart = max(diameter / 2, sigma * (SHELL_APART if kind == "shell" else 1))
        kept = suppress(index, volume.shape, apart)
        index, scores = index[kept], scores[kept]
        if kind == "blob" and matter is not None:
            index, scores = _add_middles(index, scores, matter)
        return _level(kind, sigma, index, scores, volume.shape)

    # A loop would keep each response while the next is made.
    levels = map(search, _responses(volume, sigmas, -1 if bright else 1, smooth))
    return _merge([level for level in levels if level is not None])


def _level(kind, sigma, index, scores, shape):
    positions = np.stack(np.unravel_index(index, shape)[::-1], axis=1)
    claims = np.full(len(index), BETWEEN_LEVELS)
    if kind == "shell":
        claims[scores >= SURE] = max(BETWEEN_LEVELS, SHELL_CLAIM * sigma)
    radius = sigma * (SHELL_RADIUS if kind == "shell" else BLOB_RADIUS)
    return Level(radius, positions, scores, claims)


def _eccentricity(index, matter, sigma):
    """Return how far aside the matter around a place lies [sigmas].

    Its centroid under a Gaussian window is sigma^2 grad log G(sigma) away.
    """
    z, y, x = np.unravel_index(index, matter.shape)
    gradient = [
        matter[z + dz, y + dy, x + dx] - matter[z - dz, y - dy, x - dx]
        for dz, dy, dx in np.eye(3, dtype=int)
    ]
    return (
        sigma * np.linalg.norm(gradient, axis=0) / 2 / np.maximum(matter[z, y, x], 1e-9)
    )


def _settle(index, matter, inner):
    """Climb from voxel to voxel to the most matter within `SETTLE` of the start."""
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


def _add_middles(index, scores, matter):
    """Add the middles of pairs that a ridge of matter joins."""
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
        & (nearest > STRONGER)
    )
    middles = np.ravel_multi_index(tuple(along(0.5)[joined].T), matter.shape)
    strength = scores[pairs[joined]].min(axis=1)
    order = np.lexsort((middles, -strength))
    middles, strength = middles[order], strength[order]
    kept = suppress(middles, matter.shape, BETWEEN_LEVELS)
    return (
        np.concatenate([index, middles[kept]]),
        np.concatenate([scores, strength[kept]]),
    )


def _merge(levels):
    """Join the levels, coarse first; what a coarser candidate claims is left out."""
    positions = np.empty((0, 3), int)
    scores, claims = np.empty(0), np.empty(0)
    for level in sorted(levels, key=lambda level: -level.radius):
        free = ~_claimed(level, positions, scores, claims)
        positions = np.concatenate([positions, level.positions[free]])
        scores = np.concatenate([scores, level.scores[free]])
        claims = np.concatenate([claims, level.claims[free]])
    order = np.argsort(-scores, kind="stable")
    return positions[order].astype(np.int32), scores[order].astype(np.float32)


def _claimed(level, positions, scores, claims):
    """Return which of a level's maxima coarser candidates claim."""
    claimed = np.zeros(len(level.positions), bool)
    if not (len(positions) and len(level.positions)):
        return claimed
    near = cKDTree(level.positions).sparse_distance_matrix(
        cKDTree(positions), claims.max(), output_type="ndarray"
    )
    finer, coarser, distance = near["i"], near["j"], near["v"]
    holds = (
        (claims[coarser] > BETWEEN_LEVELS)
        | (level.scores[finer] <= scores[coarser])
        | (distance <= STRONGER)
    )
    claimed[finer[holds & (distance <= claims[coarser])]] = True
    return claimed


def _responses(volume, sigmas, sign, smooth):
    """Yield (kind, its two smallest sigmas, level, matter); few volumes at a time.

    Matter is what shows whether a shell is centred, and what the finest blobs climb in,
    as smooth as between their own sigma and the next; None where it is not needed.
    """
    narrow, wide = smooth(volume, sigmas[0]), smooth(volume, sigmas[1])
    dark = _difference(wide, narrow, sign).clip(min=0)
    matter = smooth(dark, (sigmas[1] * sigmas[2]) ** 0.5)
    for sigma, next_sigma in zip(sigmas[1:], sigmas[2:], strict=False):
        narrow, wide = wide, None
        wide = smooth(volume, next_sigma)
        yield "blob", sigma, next_sigma, _difference(wide, narrow, sign), matter
        matter = None
    del narrow, wide
    inside, middle = smooth(dark, sigmas[1]), smooth(dark, sigmas[2])
    for sigma, next_sigma, outer_sigma in zip(
        sigmas[1:], sigmas[2:], sigmas[3:], strict=False
    ):
        outside = smooth(dark, outer_sigma)
        inside += outside
        yield "shell", sigma, next_sigma, _difference(2 * middle, inside, 1), middle
        inside, middle = middle, outside


def _difference(wide, narrow, sign):
    level = wide - narrow
    level *= sign
    return level


def _on_cpu(volume):
    def maxima(level, inner):
        def in_slab(start):
            stop = min(start + SLAB, inner[0].stop)
            slab = level[start - 1 : stop + 1]
            peak = (maximum_filter(slab, 3) == slab) & (slab > 0)
            z, y, x = np.nonzero(peak[1:-1, inner[1], inner[2]])
            return z + start, y + inner[1].start, x + inner[2].start

        with ThreadPoolExecutor(threads()) as pool:
            found = pool.map(in_slab, range(inner[0].start, inner[0].stop, SLAB))
            z, y, x = map(np.concatenate, zip(*found, strict=True))
        return np.ravel_multi_index((z, y, x), volume.shape), level[z, y, x]

    return gaussian_volume, maxima


def _on_gpu(device):
    import torch

    def smooth(volume, sigma):
        if isinstance(volume, np.ndarray):
            volume = torch.from_numpy(volume).to(device).float()
        return gaussian_volume_torch(volume, sigma)

    def maxima(level, inner):
        pooled = torch.nn.functional.max_pool3d(level[None, None], 3, 1, 1)[0, 0]
        z, y, x = ((pooled == level) & (level > 0))[inner].nonzero().T
        z, y, x = (a + part.start for a, part in zip((z, y, x), inner, strict=True))
        flat = (z * level.shape[1] + y) * level.shape[2] + x
        return flat.cpu().numpy(), level[z, y, x].cpu().numpy()

    return smooth, maxima
