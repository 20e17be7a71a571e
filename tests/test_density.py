"""Density around candidates: its parts on fields with known answers."""

import numpy as np
import pytest

from lib.candidates.surroundings import add_midpoints, centroid_offset, climb_to_maximum

FIELD = (32, 32, 40)  # (Z, Y, X)
INNER = (slice(4, 28), slice(4, 28), slice(4, 36))
DISTANCES = {"lengths": (8.0, 15.0), "clearance": 4.0, "apart": 5.5}  # [voxels]


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
    starts = flat((16, 16, 17), (14, 18, 20), (16, 16, 20))
    ends = climb_to_maximum(starts, density, INNER, reach=4)
    assert set(ends) == set(flat((16, 16, 20)))


def test_no_position_moves_further_than_it_may_or_out_of_the_inner_part():
    density = gaussians((16, 16, 39), sigma=8.0)
    starts = flat((16, 16, 20), (16, 16, 33))
    ends = climb_to_maximum(starts, density, INNER, reach=4)
    ends = np.stack(np.unravel_index(ends, FIELD), axis=1)
    assert ends[0].tolist() == [16, 16, 20 + 4]
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
    index, strength = add_midpoints(ends, scores, density, **DISTANCES)
    assert index[:2].tolist() == ends.tolist()
    assert index[2:].tolist() == flat((16, 16, 12 + apart // 2)).tolist() * midpoints
    assert strength[2:].tolist() == [2.0] * midpoints


def test_without_pairs_there_are_no_midpoints():
    for index in (flat((16, 16, 12)), np.array([], int)):
        found, _ = add_midpoints(
            index, np.ones(len(index)), np.ones(FIELD), **DISTANCES
        )
        assert found.tolist() == index.tolist()
