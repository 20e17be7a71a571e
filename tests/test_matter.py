"""Shells are centered, blobs climb, ends have a middle: fields with known answers."""

import numpy as np
import pytest

from lib.candidates.density import SETTLE, add_middles, eccentricity, settle
from lib.candidates.multiscale import BETWEEN_LEVELS, STRONGER, Level, merge

SHAPE = (32, 32, 40)  # (Z, Y, X)
INNER = (slice(4, 28), slice(4, 28), slice(4, 36))


def gaussians(*centers, sigma):
    """Sum of Gaussians of height 1 at (z, y, x)."""
    grid = np.indices(SHAPE).reshape(3, -1).T
    return sum(
        np.exp(-np.square(grid - center).sum(axis=1) / (2 * sigma**2))
        for center in centers
    ).reshape(SHAPE)


def flat(*places):
    return np.ravel_multi_index(np.array(places).T, SHAPE)


def test_eccentricity_is_the_distance_to_the_centroid_in_sigmas():
    matter = gaussians((16, 16, 20), sigma=6.0)
    found = eccentricity(flat((16, 16, 20), (16, 16, 23), (12, 13, 20)), matter, 6.0)
    np.testing.assert_allclose(found, [0, 3 / 6, 5 / 6], atol=0.02)


def test_a_place_amid_a_ring_is_centered_and_one_beside_a_bar_is_not():
    turns = np.deg2rad(np.arange(0, 360, 30))
    ring = gaussians(
        *[(16, 16 + 7 * np.sin(t), 20 + 7 * np.cos(t)) for t in turns], sigma=4.0
    )
    bar = gaussians(*[(16, 16, x) for x in range(12, 29, 4)], sigma=4.0)
    amid, beside = flat((16, 16, 20)), flat((16, 8, 20))
    assert eccentricity(amid, ring, 4.0) < 0.1
    assert eccentricity(beside, bar, 4.0) > 1


def test_places_climb_to_the_top_and_meet_there():
    matter = gaussians((16, 16, 20), sigma=5.0)
    ends = settle(flat((16, 16, 17), (14, 18, 20), (16, 16, 20)), matter, INNER)
    assert set(ends) == set(flat((16, 16, 20)))


def test_no_place_moves_further_than_it_may_or_out_of_the_inner_part():
    matter = gaussians((16, 16, 39), sigma=8.0)
    starts = np.array([(16, 16, 20), (16, 16, 33)])
    ends = np.stack(np.unravel_index(settle(flat(*starts), matter, INNER), SHAPE), 1)
    assert ends[0].tolist() == [16, 16, 20 + SETTLE]
    assert ends[1].tolist() == [16, 16, 35]


@pytest.mark.parametrize(
    ("apart", "middles"),
    [(10, 1), (14, 0)],
    ids=["a ridge joins them", "a valley parts them"],
)
def test_only_what_a_ridge_joins_has_a_middle(apart, middles):
    matter = gaussians((16, 16, 12), (16, 16, 12 + apart), sigma=5.0)
    ends = flat((16, 16, 12), (16, 16, 12 + apart))
    scores = np.array([3.0, 2.0])
    index, strength = add_middles(ends, scores, matter, apart=5.5, free=4.0)
    assert index[:2].tolist() == ends.tolist()
    assert index[2:].tolist() == flat((16, 16, 12 + apart // 2)).tolist() * middles
    assert strength[2:].tolist() == [2.0] * middles


def test_without_pairs_there_are_no_middles():
    for index in (flat((16, 16, 12)), np.array([], int)):
        found, _ = add_middles(
            index, np.ones(len(index)), np.ones(SHAPE), apart=5.5, free=4.0
        )
        assert found.tolist() == index.tolist()


def level(radius, place, score, claim=BETWEEN_LEVELS):
    return Level(radius, np.array([place]), np.array([score]), np.array([claim]))


@pytest.mark.parametrize(
    ("distance", "coarse", "fine", "claim", "kept"),
    [
        (5, 3.0, 1.0, BETWEEN_LEVELS, 1),  # the weaker gives way
        (5, 1.0, 3.0, BETWEEN_LEVELS, 2),  # the stronger stays
        (STRONGER, 1.0, 3.0, BETWEEN_LEVELS, 1),  # but not on the very place
        (6, 3.0, 1.0, BETWEEN_LEVELS, 2),
        (8, 2.0, 9.0, 9.0, 1),  # a sure shell claims its rim
    ],
)
def test_a_finer_candidate_gives_way(distance, coarse, fine, claim, kept):
    levels = [
        level(4.0, (20 + distance, 20, 20), fine),
        level(8.0, (20, 20, 20), coarse, claim),
    ]
    positions, scores = merge(levels)
    assert len(positions) == kept
    assert [20, 20, 20] in positions.tolist()
    assert (np.diff(scores) <= 0).all()
