"""Candidates of mixed sizes: blobs and hollow shells, one level of scale space each.

The plain search (in-slice maxima, one threshold, the strongest first) finds large
particles by their grain and hollow ones by their rim, several times each and never at
the center. Here maxima are of 3x3x3 voxels, each level has its own threshold and
radius, and coarse levels have precedence. Hollow particles have levels of their own:
the positive part of the finest level, smoothed, is the density, and the second
difference of its Gaussians, 2 G(s[i+1]) - G(s[i]) - G(s[i+2]), is greatest at the
center of a shell of radius 2.6 s[i]. It has maxima beside solid particles too, but
there the density lies to one side.

The finest blobs are parts of larger particles as often as particles: along a rod, at
the arms of a cross, on a rim noise decides where their maxima lie. Each climbs to the
nearest maximum of the density, a few voxels away at most, and those that meet are one.
Two on one ridge of the density may be the ends of one particle: its midpoint becomes a
candidate too. Measured in benchmarks/RESULTS.md.

All distances follow the sigmas: a tomogram of twice the sampling, searched with twice
the sigmas and the diameter, has the same candidates.

Positions within a level are flat indices into the volume.
"""

from dataclasses import dataclass
from itertools import starmap

import numpy as np
from scipy.spatial import cKDTree

from lib.candidates.scale_space import (
    multiscale_levels,
    non_maximum_suppression,
    on_cpu,
    on_gpu,
)
from lib.candidates.surroundings import add_midpoints, centroid_offset, climb_to_maximum

MULTISCALE_FROM = 4  # number of sigmas that selects this search
# Distances in the larger sigma of the finest level of blobs, which is the third of all:
BETWEEN_LEVELS = 1.375  # least one of candidates of two levels ...
STRONGER = 1.0  # ... and when the finer is the stronger
CLIMB = 1.0  # how far a blob of the finest level may climb
END_DISTANCE = (2.0, 3.75)  # least and greatest one of the two ends of a particle
BLOB_RADIUS = 1.6  # of the particles that a level detects, in its smaller sigma
SHELL_RADIUS = 2.6
SHELL_DISTANCE = 1.5  # of two shells, likewise
SHELL_STD = 1.6  # the threshold of shells is this many std higher
SURE = 2.0  # a shell this many std above the mean ...
SHELL_RIM = 2.3  # ... excludes all others within this many sigmas
CENTERED = 0.35  # greatest offset of the centroid of the density of a shell [sigmas]


@dataclass(frozen=True)
class Level:
    """Maxima of one level that passed its threshold, strongest first.

    Attributes
    ----------
    radius : float
        Of the particles that it detects [voxels].
    positions : ndarray of int, shape (M, 3)
        (x, y, z) [voxels].
    scores : ndarray, shape (M,)
        Std above the mean of the level's maxima.
    rims : ndarray, shape (M,)
        Finer levels have no candidate this near; 0 for all but sure shells [voxels].
    """

    radius: float
    positions: np.ndarray
    scores: np.ndarray
    rims: np.ndarray


def find_candidates_multiscale(
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
        Ascending, `MULTISCALE_FROM` or more. The finest only gives the density; blobs
        of radius 1.6 and shells of radius 2.6 times the others are found.
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
    unit = sigmas[2]

    def search(kind, sigma, next_sigma, level, density):
        index, strength = maxima(level, inner)
        if masked is not None:
            free = ~masked.holds_flat(index)
            index, strength = index[free], strength[free]
        if len(index) < 2:
            return None
        scores = (strength - strength.mean()) / max(strength.std(), 1e-9)
        threshold = std_multiplier + (SHELL_STD if kind == "shell" else 0)
        index, scores = index[scores >= threshold], scores[scores >= threshold]
        if density is not None and str(device) != "cpu":
            density = density.cpu().numpy()
        if kind == "shell":
            centered = centroid_offset(index, density, next_sigma) <= CENTERED
            index, scores = index[centered], scores[centered]
        elif density is not None:
            index = climb_to_maximum(index, density, inner, reach=CLIMB * unit)
        order = np.lexsort((index, -scores))  # by strength; ties by position
        index, scores = index[order], scores[order]
        apart = max(diameter / 2, sigma * (SHELL_DISTANCE if kind == "shell" else 1))
        kept = non_maximum_suppression(index, volume.shape, apart)
        index, scores = index[kept], scores[kept]
        if kind == "blob" and density is not None:
            index, scores = add_midpoints(
                index,
                scores,
                density,
                lengths=tuple(distance * unit for distance in END_DISTANCE),
                clearance=STRONGER * unit,
                apart=BETWEEN_LEVELS * unit,
            )
        return _level(kind, sigma, index, scores, volume.shape)

    sign = -1 if bright else 1
    # starmap holds one level at a time; a loop would keep it while the next is made.
    found = starmap(search, multiscale_levels(volume, sigmas, sign, smooth))
    positions, scores = merge_levels([level for level in found if level], unit)
    if masked is not None:  # climbing and midpoints may have led there
        free = ~masked.holds(positions)
        positions, scores = positions[free], scores[free]
    return positions, scores


def _level(kind, sigma, index, scores, shape):
    positions = np.stack(np.unravel_index(index, shape)[::-1], axis=1)
    is_shell = kind == "shell"
    rims = SHELL_RIM * sigma * (is_shell & (scores >= SURE))
    radius = sigma * (SHELL_RADIUS if is_shell else BLOB_RADIUS)
    return Level(radius, positions, scores, rims)


def merge_levels(levels, unit):
    """Merge the levels, coarse first; what is too near to a coarser one is left out.

    Parameters
    ----------
    levels : sequence of Level
    unit : float
        The third of the sigmas [voxels].

    Returns
    -------
    positions, scores
        As of `find_candidates_multiscale`.
    """
    positions = np.empty((0, 3), int)
    scores, rims = np.empty(0), np.empty(0)
    for level in sorted(levels, key=lambda level: -level.radius):
        free = ~_is_excluded(level, positions, scores, rims, unit)
        positions = np.concatenate([positions, level.positions[free]])
        scores = np.concatenate([scores, level.scores[free]])
        rims = np.concatenate([rims, level.rims[free]])
    order = np.argsort(-scores, kind="stable")
    return positions[order].astype(np.int32), scores[order].astype(np.float32)


def _is_excluded(level, positions, scores, rims, unit):
    """Return which of a level's maxima coarser candidates exclude."""
    excluded = np.zeros(len(level.positions), bool)
    if not (len(positions) and len(level.positions)):
        return excluded
    near = cKDTree(level.positions).sparse_distance_matrix(
        cKDTree(positions),
        max(BETWEEN_LEVELS * unit, rims.max()),
        output_type="ndarray",
    )
    finer, coarser, distance = near["i"], near["j"], near["v"]
    weaker = level.scores[finer] <= scores[coarser]
    least = np.where(weaker, BETWEEN_LEVELS, STRONGER) * unit
    excluded[finer[distance <= np.maximum(least, rims[coarser])]] = True
    return excluded
