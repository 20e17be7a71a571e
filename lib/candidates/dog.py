"""Candidate positions: blobs of a difference-of-Gaussians (DoG) pyramid.

Huang et al. 2024, methods: in-slice maxima of each level, maximum over the
levels, a threshold, and greedy non-maximum suppression in three dimensions.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from lib.candidates.multiscale import (
    BLOB_RADIUS,
    MULTISCALE_FROM,
    SHELL_RADIUS,
    find_candidates_multiscale,
)
from lib.candidates.scale_space import (
    gaussian_volume,
    gaussian_volume_torch,
    non_maximum_suppression,
)
from lib.errors import InputError
from lib.system.machine import usable_threads

MARGIN_Z = 10
WIDE_TOMOGRAM = 512  # beyond this in x and y the margin doubles
CANDIDATES_PER_CUBE = 0.6  # of edge dog_diameter: crowded real tomograms have 0.55


@dataclass(frozen=True)
class Candidates:
    """Positions in the order of their strength.

    Attributes
    ----------
    coords : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels].
    scores : ndarray of float32, shape (N,)
        DoG response, descending.
    """

    coords: np.ndarray
    scores: np.ndarray


def margins(shape, *, boundary, box):
    """Return the margins (z, y, x) that hold no candidates [voxels].

    Parameters
    ----------
    shape : tuple of int
        (Z, Y, X) of the tomogram.
    boundary : int
        Margin in y and x; doubled when both exceed 512.
    box : int
        Edge of a patch: a candidate and its neighbors need a full patch.
    """
    size_z, size_y, size_x = shape
    wide = min(size_y, size_x) > WIDE_TOMOGRAM
    lateral = max(boundary * (2 if wide else 1), box // 2 + 1)
    # A thin tomogram keeps its middle half: the usual margin would leave nothing.
    return max(2, min(MARGIN_Z, size_z // 4)), lateral, lateral


def expected_count(shape, *, diameter, boundary, box):
    """Return about how many candidates a crowded tomogram will give."""
    inside = [
        max(0, size - 2 * margin)
        for size, margin in zip(
            shape, margins(shape, boundary=boundary, box=box), strict=True
        )
    ]
    return int(np.prod(inside) / diameter**3 * CANDIDATES_PER_CUBE)


def widest_diameter(sigmas):
    """Return the diameter of the largest particle that a pyramid detects [voxels].

    At the center of a ball of radius r, G(s) - G(t) is greatest where the two
    Gaussians have equal mass in the next shell of the ball: at
    r^2 = 6 ln(t / s) / (1 / s^2 - 1 / t^2).

    Parameters
    ----------
    sigmas : sequence of float
        As of `find_candidates`.
    """
    if len(sigmas) >= MULTISCALE_FROM:
        return 2 * max(BLOB_RADIUS * sigmas[-2], SHELL_RADIUS * sigmas[-3])
    narrow, wide = sigmas[-2:]
    return 2 * math.sqrt(6 * math.log(wide / narrow) / (narrow**-2 - wide**-2))


def find_candidates(
    volume,
    sigmas,
    *,
    box,
    diameter,
    boundary,
    std_multiplier,
    bright=False,
    masked=None,
    device="cpu",
    threads=None,
):
    """Find blobs that are darker than their surroundings.

    Parameters
    ----------
    volume : ndarray of uint8, shape (Z, Y, X)
        Preprocessed tomogram.
    sigmas : sequence of float
        Ascending; level i of the pyramid is G(sigmas[i+1]) - G(sigmas[i]), which
        is positive where the tomogram is dark. Four or more select the search of
        `lib.candidates.multiscale`, with a level for each size.
    box : int
        Edge of the patches to be cut [voxels].
    diameter : float
        Candidates within half of it of a stronger one are dropped [voxels].
    boundary : int
        See `margins`.
    std_multiplier : float
        The threshold is mean + this many std of the positive maxima.
    bright : bool
        Look for bright blobs instead.
    masked : lib.candidates.masked.Masked, optional
        Holds no candidates, and its maxima do not count for the threshold.
    device : str
        ``"cpu"``, or a torch device for filters and maxima.
    threads : int, optional
        On a CPU; by default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    Candidates

    Raises
    ------
    InputError
        When the margins leave nothing of the tomogram.
    """
    inner = _inner(volume.shape, boundary=boundary, box=box)
    if len(sigmas) >= MULTISCALE_FROM:
        positions, scores = find_candidates_multiscale(
            volume,
            sigmas,
            inner,
            diameter=diameter,
            std_multiplier=std_multiplier,
            bright=bright,
            masked=masked,
            device=device,
            threads=threads,
        )
        return Candidates(positions, scores)
    if str(device) == "cpu":
        threads = threads or usable_threads()
        found = list(_maxima_cpu(volume, sigmas, inner, bright, threads))
    else:
        found = list(_maxima_torch(volume, sigmas, inner, bright, device))
    index, score = _strongest_level(found)
    if masked is not None:
        free = ~masked.holds_flat(index)
        index, score = index[free], score[free]
    if len(index):
        threshold = score.mean() + std_multiplier * score.std()
        index, score = index[score >= threshold], score[score >= threshold]
    order = np.lexsort((index, -score))  # by strength; ties by position
    index, score = index[order], score[order]
    kept = non_maximum_suppression(index, volume.shape, diameter / 2)
    z, y, x = np.unravel_index(index[kept], volume.shape)
    return Candidates(np.stack([x, y, z], axis=1).astype(np.int32), score[kept])


def _inner(shape, *, boundary, box):
    inner = tuple(
        slice(margin, size - margin)
        for size, margin in zip(
            shape, margins(shape, boundary=boundary, box=box), strict=True
        )
    )
    if any(part.stop <= part.start for part in inner):
        z, y, x = shape
        raise InputError(
            f"a tomogram of {x} x {y} x {z} voxels (x, y, z) has no room for patches "
            f"of --bbox {box} within --dog_boundary {boundary}; make one smaller"
        )
    return inner


def _maxima_cpu(volume, sigmas, inner, bright, threads):
    """Yield flat positions and values of the in-slice maxima of each level."""
    narrow = gaussian_volume(volume, sigmas[0], threads=threads)
    buffer = np.empty_like(narrow)
    for sigma in sigmas[1:]:
        wide = gaussian_volume(volume, sigma, out=buffer, threads=threads)
        level = np.subtract(wide, narrow, out=narrow)
        if bright:
            np.negative(level, out=level)

        def in_section(z, level=level):
            section = level[z]
            peak = maximum_filter(section, size=3) == section
            peak &= section > 0
            y, x = np.nonzero(peak[inner[1:]])
            y, x = y + inner[1].start, x + inner[2].start
            flat = np.ravel_multi_index((np.full_like(y, z), y, x), volume.shape)
            return flat, section[y, x]

        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(in_section, range(inner[0].start, inner[0].stop))
        narrow, buffer = wide, level


def _maxima_torch(volume, sigmas, inner, bright, device):
    """Yield what `_maxima_cpu` does, computed on a GPU."""
    import torch

    data = torch.from_numpy(volume).to(device).float()
    narrow = gaussian_volume_torch(data, sigmas[0])
    for sigma in sigmas[1:]:
        wide = gaussian_volume_torch(data, sigma)
        level = narrow - wide if bright else wide - narrow
        pooled = torch.nn.functional.max_pool2d(level[:, None], 3, 1, 1)[:, 0]
        peak = ((pooled == level) & (level > 0))[inner].nonzero().T
        z, y, x = (axis + part.start for axis, part in zip(peak, inner, strict=True))
        flat = (z * volume.shape[1] + y) * volume.shape[2] + x
        yield flat.cpu().numpy(), level[z, y, x].cpu().numpy()
        narrow = wide


def _strongest_level(found):
    """Merge the maxima of all levels; a position keeps its strongest."""
    index = np.concatenate([flat for flat, _ in found])
    score = np.concatenate([values for _, values in found])
    order = np.lexsort((-score, index))
    index, score = index[order], score[order]
    first = np.ones(len(index), bool)
    first[1:] = index[1:] != index[:-1]
    return index[first], score[first]
