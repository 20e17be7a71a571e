import numpy as np
import pytest

from lib.geometry.projection import project_to_tilts
from lib.modes import MODES
from lib.patches.tomogram_data import TomogramData
from lib.patches.views import (
    NEIGHBORS,
    ODD_EVEN_TILTS,
    SAME_TILTS,
    cut_views,
    fits_all,
)

ANGLES = np.array([-18.0, -9.0, 0.0, 9.0, 18.0])


def tomogram_with_a_bead(position, z_sign=1, shape=(24, 64, 64), depth=None):
    """A tomogram with one bright voxel, and the tilt images that would see it."""
    volume = np.zeros(shape, np.uint8)
    x, y, z = position
    volume[z, y, x] = 200
    tilts = np.zeros((len(ANGLES), *shape[1:]), np.uint8)
    data = TomogramData(volume, tilts, ANGLES, z_sign, depth)
    for image, (px, py) in zip(tilts, data.project([position])[:, 0], strict=True):
        image[int(np.floor(py + 0.5)), int(np.floor(px + 0.5))] = 200
    return data


@pytest.mark.parametrize("z_sign", [1, -1])
@pytest.mark.parametrize("mode", MODES)
def test_bead_is_central_in_every_view(mode, z_sign):
    position = (30, 36, 16)
    data = tomogram_with_a_bead(position, z_sign)
    here, args = np.array([position]), {"box": 8, "mode": mode}
    assert fits_all(data, here, offsets=SAME_TILTS.offsets, **args).all()
    patches = cut_views(data, here, context=2, **args)
    assert patches.shape == (1, 1 + len(NEIGHBORS), len(MODES[mode].views), 12, 12)
    for view in patches[0, 0]:
        assert np.unravel_index(view.argmax(), view.shape) == (6, 6)
        assert view.max() == 255
        assert np.count_nonzero(view) == 1


def test_wrong_z_sign_smears_the_bead_in_the_tilt_view():
    position = (30, 36, 20)
    data = tomogram_with_a_bead(position, z_sign=1)
    wrong = TomogramData(data.volume, data.tilts, data.angles, z_sign=-1)
    args = {"box": 12, "context": 0, "mode": "simsiam2d3d"}
    right_view = cut_views(data, np.array([position]), **args)[0, 0, 0]
    wrong_view = cut_views(wrong, np.array([position]), **args)[0, 0, 0]
    assert np.count_nonzero(right_view) == 1
    assert np.count_nonzero(wrong_view) > 2


def test_compressed_tomogram_projects_from_the_depth_of_its_file():
    shape, depth = (12, 64, 64), 24
    data = tomogram_with_a_bead((30, 36, 8), shape=shape, depth=depth)
    merged_pair = project_to_tilts([[30, 36, 16.5]], ANGLES, (depth, 64, 64), 1)
    np.testing.assert_allclose(data.project([[30, 36, 8]]), merged_pair)


def test_disjoint_tilts_share_no_image_and_the_embedded_view_has_all():
    """Each image marks a pixel of its own, so that a patch tells what it is made of."""
    order = np.array([3, 0, 4, 1, 2])  # angles need not rise in the file
    tilts = np.zeros((len(ANGLES), 64, 64), np.uint8)
    for number, rank in enumerate(order):
        tilts[number, 36, 25 + 2 * rank] = 200
    data = TomogramData(np.zeros((24, 64, 64), np.uint8), tilts, ANGLES[order])
    here = np.array([[30, 36, 12]])
    args = {"box": 16, "context": 0, "mode": "simsiam2d3d"}
    patches = cut_views(data, here, offsets=ODD_EVEN_TILTS.offsets, **args)

    def ranks_in(place):
        _, x = np.nonzero(patches[0, place, 0])
        return {int(column - 3) // 2 for column in x}

    assert ranks_in(0) == {0, 1, 2, 3, 4}
    assert ranks_in(ODD_EVEN_TILTS.first) == {0, 2, 4}
    steps = [ODD_EVEN_TILTS.offsets[place].step for place in ODD_EVEN_TILTS.second]
    assert tuple(steps) == NEIGHBORS
    for place in ODD_EVEN_TILTS.second:
        assert np.count_nonzero(patches[0, place, 0]) == 2  # of the odd ones


def test_disjoint_tilts_leave_the_slab_as_it_is():
    data = tomogram_with_a_bead((30, 36, 12))
    here = np.array([[30, 36, 12]])
    args = {"box": 8, "context": 0, "mode": "simsiam2d3d"}
    same = cut_views(data, here, **args)
    disjoint = cut_views(data, here, offsets=ODD_EVEN_TILTS.offsets, **args)
    np.testing.assert_array_equal(same[:, 0], disjoint[:, 0])
    np.testing.assert_array_equal(same[:, 1:, 1], disjoint[:, 2:, 1])


def test_neighbors_are_cut_where_they_lie():
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 256, (24, 64, 64), dtype=np.uint8)
    args = {"box": 8, "context": 3, "mode": "simsiam3d"}
    here = np.array([[30, 36, 12]])
    patches = cut_views(TomogramData(volume), here, **args)
    for place, step in enumerate(NEIGHBORS, start=1):
        moved = cut_views(TomogramData(volume), here + step, **args)
        np.testing.assert_array_equal(patches[:, place], moved[:, 0])


def test_three_slices_make_the_view_of_the_3d_mode_and_one_that_of_2d3d():
    volume = np.zeros((24, 64, 64), np.uint8)
    volume[11, 30, 30], volume[12, 31, 31], volume[13, 32, 32] = 90, 90, 90
    tilts = np.ones((len(ANGLES), 64, 64), np.uint8)
    data = TomogramData(volume, tilts, ANGLES)
    args = {"positions": np.array([[30, 30, 12]]), "box": 8, "context": 0}
    thick = cut_views(data, mode="simsiam3d", **args)[0, 0, 0]
    thin = cut_views(data, mode="simsiam2d3d", **args)[0, 0, 1]
    assert np.count_nonzero(thick) == 3
    assert np.count_nonzero(thin) == 1


@pytest.mark.parametrize("mode", MODES)
def test_candidate_at_the_border_does_not_fit(mode):
    data = tomogram_with_a_bead((30, 36, 12))
    positions = np.array([[30, 36, 12], [3, 36, 12]])
    whole = fits_all(data, positions, box=8, mode=mode, offsets=SAME_TILTS.offsets)
    assert whole.tolist() == [True, False]


def test_tilt_that_leaves_the_image_is_skipped_not_padded():
    position = (6, 36, 23)  # far above the center: moves off at high tilts
    data = tomogram_with_a_bead((30, 36, 12))
    patches = cut_views(
        data, np.array([position]), box=8, context=0, mode="simsiam2d3d"
    )
    inside = [4 <= x < 60 for x in data.project([position])[:, 0, 0]]
    assert 0 < sum(inside) < len(ANGLES)
    assert patches[0, 0, 0].max() == 0  # nothing of the bead, nothing made up


def test_flat_patch_becomes_zero_not_nan():
    data = TomogramData(np.full((24, 64, 64), 77, np.uint8))
    patches = cut_views(
        data, np.array([[30, 30, 12]]), box=8, context=2, mode="simsiam3d"
    )
    assert not patches.any()
