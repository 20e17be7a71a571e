import numpy as np
import pytest
from PIL import Image

from lib.pictures.overlay_slices import blend, choose_slices, draw_blend, thick_slice


def test_blend_weighs_gray_and_color_and_leaves_the_rest_alone():
    gray = np.full((2, 2, 3), 200, np.uint8)
    colors = np.zeros((2, 2, 3), np.uint8)
    colors[0, 0] = (100, 0, 0)
    mixed = blend(gray, colors, 0.6)
    np.testing.assert_array_equal(mixed[0, 0], [160, 120, 120])
    np.testing.assert_array_equal(mixed[1], gray[1])


@pytest.mark.parametrize("weight, expected", [(1, 200), (0, 100)])
def test_weight_of_one_is_gray_alone_and_of_none_color_alone(weight, expected):
    colors = np.full((1, 1, 3), 100, np.uint8)
    mixed = blend(np.full((1, 1, 3), 200, np.uint8), colors, weight)
    assert mixed[0, 0, 0] == expected


def test_slices_are_different_ones_amid_the_candidates():
    heights = np.repeat(np.arange(20, 41), 5)
    slices = choose_slices(heights, 100)
    assert slices == sorted(set(slices))
    assert len(slices) == 3
    assert 20 < slices[0] < slices[-1] < 40
    assert choose_slices(np.array([3]), 100) == [3]


def test_thick_slice_averages_its_neighbors_and_uses_all_grays():
    gray = np.random.default_rng(0).integers(90, 130, (9, 40, 40, 1), np.uint8)
    picture = thick_slice(np.repeat(gray, 3, axis=-1), 0)
    assert (picture.min(), picture.max()) == (0, 255)
    assert (picture == picture[..., :1]).all()


@pytest.mark.parametrize("voxel_size", [None, 20.0])
@pytest.mark.parametrize("shape", [(9, 30, 60), (3, 60, 30), (1, 30, 30)])
def test_picture_shows_the_colors_side_by_side(tmp_path, shape, voxel_size):
    gray = np.random.default_rng(0).integers(0, 256, (*shape, 1), np.uint8)
    colors = np.zeros((*shape, 3), np.uint8)
    colors[:, 5:15, 5:15] = (250, 0, 250)
    np.save(tmp_path / "rec.npy", np.repeat(gray, 3, axis=-1))
    np.save(tmp_path / "hm.npy", colors)
    draw_blend(
        tmp_path / "blend.png",
        tmp_path / "rec.npy",
        tmp_path / "hm.npy",
        heights=np.arange(9) % shape[0],
        weight=0.2,
        voxel_size=voxel_size,
        title="tomo1",
    )
    picture = np.asarray(Image.open(tmp_path / "blend.png").convert("RGB")).astype(int)
    painted = (picture[..., 0] > 180) & (picture[..., 1] < 120)
    columns = np.flatnonzero(painted[:-100].any(axis=0))
    panels = 1 + np.count_nonzero(np.diff(columns) > 20)
    assert panels == len(choose_slices(np.arange(9) % shape[0], shape[0]))
