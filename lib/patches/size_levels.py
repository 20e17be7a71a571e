"""Candidates of mixed sizes: blobs and hollow shells, a level for each size.

The documented pyramid (in-slice maxima, one threshold, the strongest first) finds
large particles by their grain and hollow ones by their rim, several times each and
never at the centre. Here maxima are of 3x3x3 voxels, each level has its own
threshold and radius, and the coarse go first. Hollow particles have levels of their
own: the positive part of the finest level shows where the dark matter is, and the
second difference of its Gaussians, 2 G(s[i+1]) - G(s[i]) - G(s[i+2]), is greatest at
the centre of a shell of radius 2.6 s[i]. Measured in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from lib.patches.filtering import gaussian_volume, gaussian_volume_torch
from lib.patches.suppression import suppress

BY_SIZE = 4  # sigmas from which on the levels are kept apart
BETWEEN_LEVELS = 6.0  # candidates of two levels keep this distance [voxels]
BLOB_RADIUS = 1.6  # of what a level answers to, in its smaller sigma
SHELL_RADIUS = 2.6
SHELL_APART = 1.5  # of two shells, likewise
SHELL_STD = 1.8  # shells stand out by this many std more than blobs
SURE = 2.0  # a shell this many std above the mean ...
SHELL_CLAIM = 2.3  # ... claims all within this many sigmas: its rim


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
    smooth, maxima = _on_cpu(volume) if str(device) == "cpu" else _on_gpu(device)
    levels = []
    for kind, sigma, level in _responses(volume, sigmas, -1 if bright else 1, smooth):
        index, response = maxima(level, inner)
        if len(index) < 2:
            continue
        scores = (response - response.mean()) / max(response.std(), 1e-9)
        threshold = std_multiplier + (SHELL_STD if kind == "shell" else 0)
        index, scores = index[scores >= threshold], scores[scores >= threshold]
        order = np.lexsort((index, -scores))  # by strength; ties by place
        index, scores = index[order], scores[order]
        apart = max(diameter / 2, sigma * (SHELL_APART if kind == "shell" else 1))
        kept = suppress(index, volume.shape, apart)
        levels.append(_level(kind, sigma, index[kept], scores[kept], volume.shape))
    return _merge(levels)


def _level(kind, sigma, index, scores, shape):
    positions = np.stack(np.unravel_index(index, shape)[::-1], axis=1)
    claims = np.full(len(index), BETWEEN_LEVELS)
    if kind == "shell":
        claims[scores >= SURE] = max(BETWEEN_LEVELS, SHELL_CLAIM * sigma)
    radius = sigma * (SHELL_RADIUS if kind == "shell" else BLOB_RADIUS)
    return Level(radius, positions, scores, claims)


def _merge(levels):
    """Join the levels, coarse first; what a coarser candidate claims is left out."""
    positions = np.empty((0, 3), int)
    scores, claims = np.empty(0), np.empty(0)
    for level in sorted(levels, key=lambda level: -level.radius):
        free = np.ones(len(level.positions), bool)
        for claim in np.unique(claims):
            nearest, _ = cKDTree(positions[claims == claim]).query(level.positions)
            free &= nearest > claim
        positions = np.concatenate([positions, level.positions[free]])
        scores = np.concatenate([scores, level.scores[free]])
        claims = np.concatenate([claims, level.claims[free]])
    order = np.argsort(-scores, kind="stable")
    return positions[order].astype(np.int32), scores[order].astype(np.float32)


def _responses(volume, sigmas, sign, smooth):
    """Yield (kind, smallest sigma, level); few volumes are held at a time."""
    narrow = smooth(volume, sigmas[0])
    dark = None
    for sigma, next_sigma in zip(sigmas, sigmas[1:], strict=False):
        wide = smooth(volume, next_sigma)
        level = (wide - narrow) * sign
        if dark is None:
            dark = level.clip(min=0)
        else:
            yield "blob", sigma, level
        narrow = wide
    del narrow, wide, level
    inside, middle = smooth(dark, sigmas[1]), smooth(dark, sigmas[2])
    for sigma, outer_sigma in zip(sigmas[1:], sigmas[3:], strict=False):
        outside = smooth(dark, outer_sigma)
        yield "shell", sigma, 2 * middle - inside - outside
        inside, middle = middle, outside


def _on_cpu(volume):
    def maxima(level, inner):
        peak = (maximum_filter(level, 3) == level) & (level > 0)
        z, y, x = np.nonzero(peak[inner])
        z, y, x = (a + part.start for a, part in zip((z, y, x), inner, strict=True))
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
