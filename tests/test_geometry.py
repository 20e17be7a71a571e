import numpy as np
import pytest

from lib.geometry.projection import project_to_tilts

SHAPE = (40, 64, 64)


def test_untilted_image_sees_the_point_where_it_is():
    projected = project_to_tilts([[10, 20, 5]], [0.0], SHAPE, z_sign=1)
    np.testing.assert_allclose(projected, [[[10, 20]]])


@pytest.mark.parametrize("z_sign", [1, -1])
def test_volume_center_stays_put_at_every_tilt(z_sign):
    projected = project_to_tilts([[32, 7, 20]], np.arange(-60, 61, 3), SHAPE, z_sign)
    np.testing.assert_allclose(projected[..., 0], 32)


def test_opposite_tilts_are_mirror_images_for_points_above_the_center():
    projected = project_to_tilts([[32, 0, 10]], [-20.0, 20.0], SHAPE, z_sign=1)
    left, right = projected[:, 0, 0] - 32
    assert left == pytest.approx(-right)
    assert right == pytest.approx(-10 * np.sin(np.deg2rad(20)))


def test_z_runs_the_other_way_in_a_raw_imod_tomogram():
    position = [[40, 0, 10]]
    raw = project_to_tilts(position, [20.0], SHAPE, z_sign=-1)
    turned = project_to_tilts([[40, 0, 30]], [20.0], SHAPE, z_sign=1)
    np.testing.assert_allclose(raw, turned)
