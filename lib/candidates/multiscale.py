"""Candidates of mixed sizes: blobs and hollow shells, a level for each size.

The documented pyramid (in-slice maxima, one threshold, the strongest first) finds
large particles by their grain and hollow ones by their rim, several times each and
never at the center. Here maxima are of 3x3x3 voxels, each level has its own
threshold and radius, and the coarse go first. Hollow particles have levels of their
own: the positive part of the finest level shows where the dark matter is, and the
second difference of its Gaussians, 2 G(s[i+1]) - G(s[i]) - G(s[i+2]), is greatest at
the center of a shell of radius 2.6 s[i]. Beside something solid it has maxima too, but
there all matter lies to one side.

The finest blobs are bits of larger things as often as things: along a rod, at the arms
of a cross, on a rim their maxima lie where the noise puts them. They settle first: each
climbs to where most dark matter is, a few voxels away at most, and those that meet are
one. Two that one ridge of matter joins may be the ends of one thing: its middle becomes
a candidate too. Measured in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.density import add_middles, eccentricity, settle
from lib.candidates.scale_space import on_cpu, on_gpu, responses
from lib.candidates.suppression import suppress

BY_SIZE = 4  # sigmas from which on the levels are kept apart
BETWEEN_LEVELS = 5.5  # candidates of two levels keep this distance [voxels] ...
STRONGER = 4.0  # ... and this one when the finer is the stronger
BLOB_RADIUS = 1.6  # of what a level answers to, in its smaller sigma
SHELL_RADIUS = 2.6
SHELL_APART = 1.5  # of two shells, likewise
SHELL_STD = 1.6  # shells stand out by this many std more than blobs
SURE = 2.0  # a shell this many std above the mean ...
SHELL_CLAIM = 2.3  # ... claims all within this many sigmas: its rim
CENTERED = 0.35  # a shell has the matter around it no further aside [sigmas]


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
        Finer levels have no weaker candidate this near; where it is more than
        `BETWEEN_LEVELS`, none at all [voxels].
    """

    radius: float
    positions: np.ndarray
    scores: np.ndarray
    claims: np.ndarray


def find_by_size(
    volume,
    sigmas,
    inner,
    *,
    diameter,
    std_multiplier,
    bright=False,
    masked=None,
    device="cpu",
    threads=None,
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
    masked : lib.candidates.masked.Masked, optional
        As of `lib.candidates.dog.find_candidates`.
    device : str or torch.device
    threads : int, optional
        On a CPU; by default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    positions : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels], by descending score.
    scores : ndarray of float32, shape (N,)
        Std above the mean of the level's maxima.
    """
    smooth, maxima = on_cpu(threads) if str(device) == "cpu" else on_gpu(device)

    def search(response):
        kind, sigma, next_sigma, level, matter = response
        index, strength = maxima(level, inner)
        if masked is not None:
            free = ~masked.holds_flat(index)
            index, strength = index[free], strength[free]
        if len(index) < 2:
            return None
        scores = (strength - strength.mean()) / max(strength.std(), 1e-9)
        threshold = std_multiplier + (SHELL_STD if kind == "shell" else 0)
        index, scores = index[scores >= threshold], scores[scores >= threshold]
        if matter is not None and str(device) != "cpu":
            matter = matter.cpu().numpy()
        if kind == "shell":
            centered = eccentricity(index, matter, next_sigma) <= CENTERED
            index, scores = index[centered], scores[centered]
        elif matter is not None:
            index = settle(index, matter, inner)
        order = np.lexsort((index, -scores))  # by strength; ties by place
        index, scores = index[order], scores[order]
        apart = max(diameter / 2, sigma * (SHELL_APART if kind == "shell" else 1))
        kept = suppress(index, volume.shape, apart)
        index, scores = index[kept], scores[kept]
        if kind == "blob" and matter is not None:
            index, scores = add_middles(
                index, scores, matter, apart=BETWEEN_LEVELS, free=STRONGER
            )
        return _level(kind, sigma, index, scores, volume.shape)

    # A loop would keep each response while the next is made.
    levels = map(search, responses(volume, sigmas, -1 if bright else 1, smooth))
    positions, scores = merge([level for level in levels if level is not None])
    if masked is not None:  # settling and middles may have led there
        free = ~masked.holds(positions)
        positions, scores = positions[free], scores[free]
    return positions, scores


def _level(kind, sigma, index, scores, shape):
    positions = np.stack(np.unravel_index(index, shape)[::-1], axis=1)
    claims = np.full(len(index), BETWEEN_LEVELS)
    if kind == "shell":
        claims[scores >= SURE] = max(BETWEEN_LEVELS, SHELL_CLAIM * sigma)
    radius = sigma * (SHELL_RADIUS if kind == "shell" else BLOB_RADIUS)
    return Level(radius, positions, scores, claims)


def merge(levels):
    """Join the levels, coarse first; what a coarser candidate claims is left out.

    Parameters
    ----------
    levels : sequence of Level

    Returns
    -------
    positions, scores
        As of `find_by_size`.
    """
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
