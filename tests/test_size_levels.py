import numpy as np
import pytest

from lib.candidates.dog import find_candidates

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
