"""Multi-scale search: its parts on fields with known answers, then whole searches."""

import numpy as np
import pytest

from lib.candidates.dog import find_candidates
from lib.candidates.multiscale import (
    BETWEEN_LEVELS,
    CLIMB,
    STRONGER,
    Level,
    add_midpoints,
    centroid_offset,
    climb_to_maximum,
    merge_levels,
)

FIELD = (32, 32, 40)  # (Z, Y, X)
INNER = (slice(4, 28), slice(4, 28), slice(4, 36))


def gaussians(*centers, sigma):
    """Sum of Gaussians of height 1 at (z, y, x)."""
    grid = np.indices(FIELD).reshape(3, -1).T
    return sum(
        np.exp(-np.square(grid - center).sum(axis=1) / (2 * sigma**2))
        for center in centers
    ).reshape(FIELD)


def flat(*positions):
    return np.ravel_multi_index(np.array(positions).T, FIELD)


def test_the_offset_of_the_centroid_is_in_sigmas():
    density = gaussians((16, 16, 20), sigma=6.0)
    found = centroid_offset(
        flat((16, 16, 20), (16, 16, 23), (12, 13, 20)), density, 6.0
    )
    np.testing.assert_allclose(found, [0, 3 / 6, 5 / 6], atol=0.02)


def test_a_position_amid_a_ring_is_centered_and_one_beside_a_bar_is_not():
    turns = np.deg2rad(np.arange(0, 360, 30))
    ring = gaussians(
        *[(16, 16 + 7 * np.sin(t), 20 + 7 * np.cos(t)) for t in turns], sigma=4.0
    )
    bar = gaussians(*[(16, 16, x) for x in range(12, 29, 4)], sigma=4.0)
    amid, beside = flat((16, 16, 20)), flat((16, 8, 20))
    assert centroid_offset(amid, ring, 4.0) < 0.1
    assert centroid_offset(beside, bar, 4.0) > 1


def test_positions_climb_to_the_top_and_meet_there():
    density = gaussians((16, 16, 20), sigma=5.0)
    ends = climb_to_maximum(
        flat((16, 16, 17), (14, 18, 20), (16, 16, 20)), density, INNER
    )
    assert set(ends) == set(flat((16, 16, 20)))


def test_no_position_moves_further_than_it_may_or_out_of_the_inner_part():
    density = gaussians((16, 16, 39), sigma=8.0)
    starts = np.array([(16, 16, 20), (16, 16, 33)])
    ends = np.stack(
        np.unravel_index(climb_to_maximum(flat(*starts), density, INNER), FIELD), 1
    )
    assert ends[0].tolist() == [16, 16, 20 + CLIMB]
    assert ends[1].tolist() == [16, 16, 35]


@pytest.mark.parametrize(
    ("apart", "midpoints"),
    [(10, 1), (14, 0)],
    ids=["on one ridge", "a valley between"],
)
def test_only_what_lies_on_a_ridge_has_a_midpoint(apart, midpoints):
    density = gaussians((16, 16, 12), (16, 16, 12 + apart), sigma=5.0)
    ends = flat((16, 16, 12), (16, 16, 12 + apart))
    scores = np.array([3.0, 2.0])
    index, strength = add_midpoints(ends, scores, density, apart=5.5, free=4.0)
    assert index[:2].tolist() == ends.tolist()
    assert index[2:].tolist() == flat((16, 16, 12 + apart // 2)).tolist() * midpoints
    assert strength[2:].tolist() == [2.0] * midpoints


def test_without_pairs_there_are_no_midpoints():
    for index in (flat((16, 16, 12)), np.array([], int)):
        found, _ = add_midpoints(
            index, np.ones(len(index)), np.ones(FIELD), apart=5.5, free=4.0
        )
        assert found.tolist() == index.tolist()


def level(radius, position, score, claim=BETWEEN_LEVELS):
    return Level(radius, np.array([position]), np.array([score]), np.array([claim]))


@pytest.mark.parametrize(
    ("distance", "coarse", "fine", "claim", "kept"),
    [
        (5, 3.0, 1.0, BETWEEN_LEVELS, 1),  # the weaker gives way
        (5, 1.0, 3.0, BETWEEN_LEVELS, 2),  # the stronger stays
        (STRONGER, 1.0, 3.0, BETWEEN_LEVELS, 1),  # but not at the same position
        (6, 3.0, 1.0, BETWEEN_LEVELS, 2),
        (8, 2.0, 9.0, 9.0, 1),  # a sure shell claims its rim
    ],
)
def test_a_finer_candidate_gives_way(distance, coarse, fine, claim, kept):
    levels = [
        level(4.0, (20 + distance, 20, 20), fine),
        level(8.0, (20, 20, 20), coarse, claim),
    ]
    positions, scores = merge_levels(levels)
    assert len(positions) == kept
    assert [20, 20, 20] in positions.tolist()
    assert (np.diff(scores) <= 0).all()


SIGMAS = (1.5, 2.5, 4, 6, 9)
SEARCH = {"box": 24, "boundary": 14, "std_multiplier": -0.3}
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
