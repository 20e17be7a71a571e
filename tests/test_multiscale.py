"""Multi-scale search: how levels are merged, then whole searches."""

import numpy as np
import pytest
from scipy.special import erfc

from lib.candidates.dog import find_candidates
from lib.candidates.multiscale import (
    BETWEEN_LEVELS,
    STRONGER,
    Level,
    find_candidates_multiscale,
    merge_levels,
)


def level(radius, position, score, rim=0.0):
    return Level(radius, np.array([position]), np.array([score]), np.array([rim]))


@pytest.mark.parametrize(
    ("distance", "coarse", "fine", "rim", "kept"),
    [
        (BETWEEN_LEVELS - 0.1, 3.0, 1.0, 0, 1),  # the weaker gives way
        (BETWEEN_LEVELS - 0.1, 1.0, 3.0, 0, 2),  # the stronger stays
        (STRONGER - 0.1, 1.0, 3.0, 0, 1),  # but not at the same position
        (BETWEEN_LEVELS + 0.1, 3.0, 1.0, 0, 2),
        (8 / 4, 2.0, 9.0, 9.0, 1),  # the rim of a sure shell has none
    ],
)
@pytest.mark.parametrize("unit", [2.5, 5.0])
def test_a_finer_candidate_gives_way(distance, coarse, fine, rim, kept, unit):
    levels = [
        level(4.0, (20 + distance * unit, 20, 20), fine),
        level(8.0, (20, 20, 20), coarse, rim * unit / 4),
    ]
    positions, scores = merge_levels(levels, unit)
    assert len(positions) == kept
    assert [20, 20, 20] in positions.tolist()
    assert (np.diff(scores) <= 0).all()


SIGMAS = (1.5, 2.5, 4, 6, 9)
SEARCH = {"box": 24, "boundary": 14, "diameter": 14, "std_multiplier": -0.3}
SHAPE = (64, 110, 110)  # (Z, Y, X)


def tomogram(shells=(), balls=(), rods=(), seed=0):
    """Dark shells of radius 10, balls of radius 5 and rods along x, 24 long and 6 wide,
    in noise, as 8-bit data.
    """
    z, y, x = np.indices(SHAPE)
    density = np.zeros(SHAPE)
    for centers, distance, half_length in (
        (shells, lambda r: np.abs(r - 9) - 1.5, 0),
        (balls, lambda r: r - 5, 0),
        (rods, lambda r: r - 3, 9),
    ):
        for cx, cy, cz in centers:
            along = np.maximum(np.abs(x - cx) - half_length, 0)
            r = np.sqrt(along**2 + (y - cy) ** 2 + (z - cz) ** 2)
            density += np.clip(0.5 - distance(r), 0, 1)
    noise = np.random.default_rng(seed).normal(0, 10, SHAPE)
    return np.clip(150 - 70 * density + noise, 0, 255).astype(np.uint8)


def nearest(found, center):
    return np.sqrt(((found.coords - np.array(center)) ** 2).sum(axis=1))


SHELLS = [(30, 30, 32), (75, 35, 30)]
BALLS = [(35, 75, 30), (75, 80, 34)]


@pytest.fixture(scope="module")
def found():
    return find_candidates(tomogram(SHELLS, BALLS), SIGMAS, **SEARCH)


def test_hollow_and_solid_particles_have_a_candidate_at_their_center(found):
    for center in [*SHELLS, *BALLS]:
        assert nearest(found, center).min() <= 3


def test_the_rim_of_a_hollow_particle_has_none(found):
    documented = find_candidates(tomogram(SHELLS, BALLS), (2.5, 4), **SEARCH)
    for center in SHELLS:
        assert (nearest(found, center) <= 12).sum() == 1
        assert (nearest(documented, center) <= 12).sum() > 3


@pytest.mark.parametrize("seed", range(4))
def test_a_rod_has_a_candidate_at_its_middle_wherever_the_noise_peaks(seed):
    found = find_candidates(tomogram(rods=[(55, 55, 32)], seed=seed), SIGMAS, **SEARCH)
    on_rod = nearest(found, (55, 55, 32))[found.scores > 2]
    assert on_rod.min() <= 3
    assert len(on_rod) <= 2


def test_two_particles_side_by_side_keep_a_candidate_each():
    balls = [(47, 55, 32), (62, 55, 32)]
    found = find_candidates(tomogram(balls=balls), SIGMAS, **SEARCH)
    for ball in balls:
        assert nearest(found, ball).min() <= 2


def test_scores_descend_and_all_lie_inside_the_margins(found):
    assert (np.diff(found.scores) <= 0).all()
    assert found.coords.dtype == np.int32
    low, high = found.coords.min(axis=0), found.coords.max(axis=0)
    assert (low >= (14, 14, 10)).all()
    assert (high < (96, 96, 54)).all()


def test_bright_finds_in_the_negative_what_dark_finds(found):
    negative = 255 - tomogram(SHELLS, BALLS)
    bright = find_candidates(negative, SIGMAS, bright=True, **SEARCH)
    np.testing.assert_array_equal(bright.coords, found.coords)


def test_gpu_code_finds_the_same(found):
    import torch

    other = find_candidates(
        tomogram(SHELLS, BALLS), SIGMAS, device=torch.device("cpu", 0), **SEARCH
    )
    for center in [*SHELLS, *BALLS]:
        assert nearest(other, center).min() <= 3
    assert abs(len(other.coords) - len(found.coords)) <= 0.02 * len(found.coords)


def test_constant_volume_has_no_candidates():
    volume = np.full(SHAPE, 100, np.uint8)
    assert len(find_candidates(volume, SIGMAS, **SEARCH).coords) == 0


SIZE = np.array([48, 84, 84])  # (Z, Y, X) [voxels of the coarser sampling]


def sampled(step, seed):
    """Render one specimen with a voxel of `step`: shells, balls, rods and fine grain.

    It is a continuous function, smooth enough for the coarser sampling: voxel i of one
    and voxel 2 i of the other are the same point.
    """
    rng = np.random.default_rng(seed)
    axes = [np.arange(0, size, step) for size in SIZE]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    density = np.zeros([len(axis) for axis in axes])
    shapes = [
        (lambda r: np.abs(r - 6.5) - 1.2, 0),
        (lambda r: r - 4, 0),
        (lambda r: r - 6, 0),
        (lambda r: r - 3, 8),
    ]
    centers = [(cx, cy) for cy in (20, 41, 62) for cx in (20, 41, 62)]
    for number, (cx, cy) in enumerate(centers):
        shift = rng.uniform(-0.5, 0.5, 3)
        distance, half_length = shapes[number % len(shapes)]
        along = np.maximum(np.abs(x - cx - shift[0]) - half_length, 0)
        r = np.sqrt(along**2 + (y - cy - shift[1]) ** 2 + (z - 24 - shift[2]) ** 2)
        density += 0.5 * erfc(distance(r) / 1.5)
    grain = np.array([0.05, -0.05])
    for center in rng.uniform(0, SIZE, (4000, 3)):
        near = [
            slice(*np.searchsorted(a, (c - 6, c + 6)))
            for a, c in zip(axes, center, strict=True)
        ]
        line = [
            np.exp(-((axis[part] - c) ** 2) / (2 * 1.5**2))
            for axis, part, c in zip(axes, near, center, strict=True)
        ]
        density[tuple(near)] += rng.choice(grain) * np.einsum("i,j,k->ijk", *line)
    return np.clip(np.rint(150 - 70 * density), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_twice_the_sampling_and_the_sigmas_give_the_same_particles(seed):
    """One candidate of either sampling for each of the other, a coarse voxel away.

    Of isolated particles: of two that exclude each other by a hair, or that pass the
    threshold by one, rounding to voxels may take either.
    """
    found = []
    for step in (1, 0.5):
        first, last = round(10 / step), (SIZE - 11) / step
        inner = tuple(slice(first, round(stop) + 1) for stop in last)
        positions, _ = find_candidates_multiscale(
            sampled(step, seed),
            [sigma / step for sigma in (1.5, 2.5, 3.8, 5.8)],
            inner,
            diameter=14 / step,
            std_multiplier=-0.5,
        )
        found.append(positions * step)
    coarse, fine = found
    apart = np.linalg.norm(coarse[:, None] - fine[None], axis=2)
    assert len(coarse) == len(fine) >= 9
    assert sorted(apart.argmin(axis=1)) == list(range(len(fine)))
    assert apart.min(axis=1).max() <= 1
