import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, maximum_filter

from lib.candidates.dog import find_candidates, margins, widest_diameter
from lib.candidates.scale_space import (
    gaussian_volume,
    gaussian_volume_torch,
    non_maximum_suppression,
)
from lib.errors import InputError

SMALL = {"box": 8, "boundary": 6, "diameter": 14, "std_multiplier": 0.5}


def dark_balls(centers, shape=(40, 48, 48), radius=4):
    """Gray volume with dark balls at (x, y, z)."""
    z, y, x = np.indices(shape)
    volume = np.full(shape, 180, np.uint8)
    for cx, cy, cz in centers:
        volume[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= radius**2] = 60
    return volume


def plain_search(volume, sigmas, *, box, boundary, diameter, std_multiplier=0.5):
    """The definition of algorithm.md, one voxel at a time."""
    blurred = [gaussian_filter(volume.astype(np.float32), s) for s in sigmas]
    best = np.zeros(volume.shape, np.float32)
    for narrow, wide in zip(blurred, blurred[1:], strict=False):
        level = wide - narrow
        peak = np.stack([maximum_filter(s, 3) == s for s in level])
        best = np.maximum(best, np.where(peak & (level > 0), level, 0))
    mz, my, mx = margins(volume.shape, boundary=boundary, box=box)
    found = [
        (-best[z, y, x], z, y, x)
        for z in range(mz, volume.shape[0] - mz)
        for y in range(my, volume.shape[1] - my)
        for x in range(mx, volume.shape[2] - mx)
        if best[z, y, x] > 0
    ]
    strength = -np.array([entry[0] for entry in found])
    threshold = strength.mean() + std_multiplier * strength.std()
    kept = []
    for entry in sorted(e for e in found if -e[0] >= threshold):
        here = np.array(entry[1:])
        if all(((here - k) ** 2).sum() > (diameter / 2) ** 2 for k in kept):
            kept.append(here)
    return np.array(kept)[:, ::-1]


def test_dark_balls_are_found_at_their_centers():
    centers = [(15, 15, 15), (30, 20, 20), (20, 33, 27)]
    found = find_candidates(dark_balls(centers), (2, 4), **SMALL)
    assert {tuple(c) for c in found.coords[:3].tolist()} == set(centers)


def test_a_ball_of_the_widest_diameter_answers_most():
    z, y, x = np.mgrid[-16:17, -16:17, -16:17]
    distance = np.sqrt(z**2 + y**2 + x**2)
    radii = np.arange(3, 12, 0.5)
    answers = [
        (gaussian_filter(ball, 3) - gaussian_filter(ball, 5))[16, 16, 16]
        for ball in ((distance <= radius).astype(float) for radius in radii)
    ]
    assert 2 * radii[np.argmax(answers)] == pytest.approx(
        widest_diameter((3, 5)), abs=1
    )


def test_bright_balls_need_the_other_contrast():
    volume = 255 - dark_balls([(24, 24, 20)])
    bright = find_candidates(volume, (2, 4), bright=True, **SMALL)
    assert tuple(bright.coords[0]) == (24, 24, 20)
    dark = find_candidates(volume, (2, 4), **SMALL)
    assert (24, 24, 20) not in {tuple(c) for c in dark.coords.tolist()}


def test_constant_volume_has_no_candidates():
    volume = np.full((40, 48, 48), 100, np.uint8)
    assert len(find_candidates(volume, (2, 4), **SMALL).coords) == 0


@pytest.mark.parametrize("sigmas", [(1, 2), (1, 2, 4)])
def test_fast_search_equals_the_definition(sigmas):
    volume = np.random.default_rng(0).integers(0, 256, (26, 40, 44), dtype=np.uint8)
    volume = gaussian_filter(volume, 1)
    options = {**SMALL, "diameter": 6}
    fast = find_candidates(volume, sigmas, **options)
    np.testing.assert_array_equal(fast.coords, plain_search(volume, sigmas, **options))


def test_torch_search_equals_the_numpy_search():
    volume = np.random.default_rng(1).integers(0, 256, (30, 64, 60), dtype=np.uint8)
    numpy_ = find_candidates(volume, (1.5, 3), **SMALL)
    torch_ = find_candidates(volume, (1.5, 3), device="cpu:0", **SMALL)
    same = {tuple(c) for c in numpy_.coords} & {tuple(c) for c in torch_.coords}
    assert len(same) >= 0.999 * len(numpy_.coords)


def test_torch_gaussian_equals_scipys():
    torch = pytest.importorskip("torch")
    volume = np.random.default_rng(2).normal(size=(9, 30, 21)).astype(np.float32)
    expected = gaussian_filter(volume, 2.5)
    np.testing.assert_allclose(gaussian_volume(volume, 2.5), expected, atol=1e-6)
    filtered = gaussian_volume_torch(torch.from_numpy(volume), 2.5).numpy()
    np.testing.assert_allclose(filtered, expected, atol=1e-6)


@pytest.mark.parametrize("sigmas", [(1, 2), (1, 1.5, 2, 3)])
def test_threads_do_not_change_the_candidates(sigmas):
    volume = np.random.default_rng(4).integers(0, 256, (30, 60, 60), dtype=np.uint8)
    one = find_candidates(volume, sigmas, threads=1, **SMALL)
    many = find_candidates(volume, sigmas, threads=5, **SMALL)
    np.testing.assert_array_equal(one.coords, many.coords)
    np.testing.assert_array_equal(one.scores, many.scores)


def test_candidates_keep_their_distance_and_the_strongest_stays():
    volume = np.random.default_rng(3).integers(0, 256, (30, 60, 60), dtype=np.uint8)
    found = find_candidates(volume, (1, 2), **{**SMALL, "diameter": 10})
    offsets = found.coords[:, None] - found.coords[None]
    distance = np.sqrt((offsets**2).sum(-1))
    assert distance[~np.eye(len(distance), dtype=bool)].min() > 5
    assert (np.diff(found.scores) <= 0).all()


def test_suppression_reaches_across_the_border_of_the_index():
    shape = (4, 10, 10)
    row_end = np.ravel_multi_index((1, 1, 9), shape)
    next_row = np.ravel_multi_index((1, 2, 0), shape)  # neighbor in memory only
    assert non_maximum_suppression(np.array([row_end, next_row]), shape, 3) == [0, 1]


def test_margins_leave_room_for_the_patch_and_double_in_wide_tomograms():
    assert margins((256, 400, 400), boundary=30, box=36) == (10, 30, 30)
    assert margins((256, 720, 720), boundary=30, box=36) == (10, 60, 60)
    assert margins((256, 720, 400), boundary=30, box=36) == (10, 30, 30)
    assert margins((256, 400, 400), boundary=5, box=36) == (10, 19, 19)


def test_thin_tomogram_still_has_candidates_only_inside():
    volume = dark_balls([(24, 24, 8)], shape=(16, 48, 48), radius=3)
    found = find_candidates(volume, (1.5, 3), **SMALL)
    assert tuple(found.coords[0]) == (24, 24, 8)
    assert found.coords[:, 2].min() >= 4
    assert found.coords[:, 2].max() < 12


def test_tomogram_without_room_is_rejected_with_its_size():
    with pytest.raises(InputError, match="48 x 48 x 40.*--bbox 36.*--dog_boundary 30"):
        find_candidates(dark_balls([]), (2, 4), **{**SMALL, "box": 36, "boundary": 30})
