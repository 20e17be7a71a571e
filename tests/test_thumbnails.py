import numpy as np
import pytest

from lib.pictures.thumbnails import ThumbnailLayer, choose_apart, push_apart


@pytest.mark.parametrize("edge, min_dist", [(0.05, 0.0), (0.02, 1.3e-3), (0.05, 2e-3)])
def test_chosen_rows_are_apart_and_no_other_fits(edge, min_dist):
    map_xy = np.random.default_rng(0).random((800, 2))
    chosen = choose_apart(map_xy, edge=edge, min_dist=min_dist)
    steps = map_xy[chosen][:, None] - map_xy[None]
    fits = (abs(steps).max(axis=-1) >= edge) & ((steps**2).sum(axis=-1) >= min_dist)
    among_chosen = fits[:, chosen] | np.eye(len(chosen), dtype=bool)
    assert among_chosen.all()
    others = np.setdiff1d(np.arange(800), chosen)
    assert not fits[:, others].all(axis=0).any()


def test_rows_in_one_place_show_one():
    assert len(choose_apart(np.full((9, 2), 0.5), edge=0.03, min_dist=1e-3)) == 1


def test_numbers_in_one_place_are_moved_until_none_covers_another():
    positions = push_apart(np.array([[0.5, 0.5]] * 4 + [[0.52, 0.5]]), (0.03, 0.02))
    overlap = np.array([0.03, 0.02]) - abs(positions[:, None] - positions)
    pairs = np.triu_indices(5, 1)
    assert (overlap.min(axis=-1)[pairs] < 1e-3).all()
    assert abs(positions - 0.5).max() < 0.1


def test_numbers_that_have_room_stay():
    positions = np.array([[0.1, 0.1], [0.9, 0.9]])
    np.testing.assert_array_equal(push_apart(positions, (0.03, 0.02)), positions)


def test_pasted_patch_has_its_frame_and_leaves_the_rest_transparent():
    layer = ThumbnailLayer(40, 30)
    layer.paste(
        np.full((6, 6), 90, np.uint8), left=10, top=5, edge=12, color=(1, 2, 3), frame=2
    )
    np.testing.assert_array_equal(layer.pixels[5, 10], [1, 2, 3, 255])
    np.testing.assert_array_equal(layer.pixels[11, 16], [90, 90, 90, 255])
    assert np.count_nonzero(layer.pixels[..., 3]) == 12 * 12


def test_patch_across_the_rim_is_cut_off():
    layer = ThumbnailLayer(40, 30)
    layer.paste(np.zeros((6, 6), np.uint8), left=-4, top=26, edge=8)
    assert np.count_nonzero(layer.pixels[..., 3]) == 4 * 4
