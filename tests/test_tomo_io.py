import gzip

import numpy as np
import pytest

from lib.errors import InputError, warn_once
from lib.inputs.tomogram import (
    ORDERS,
    open_tomogram,
    read_tilt_series,
    read_tomogram,
    z_sign,
)
from tests.mrc_files import SHAPE, make_volume, refusal, write_mrc


@pytest.fixture(autouse=True)
def forget_warnings():
    warn_once.cache_clear()


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_gives_the_same_volume(tmp_path, order):
    volume = make_volume()
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    array, opened = read_tomogram(path, order)
    np.testing.assert_array_equal(array, volume)
    np.testing.assert_array_equal(opened.array, volume)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert opened.order == order
    assert opened.z_sign == z_sign(order)


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_gzip_is_read(tmp_path, order):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), order=order)
    packed = tmp_path / "t.mrc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    array, opened = read_tomogram(packed, order)
    np.testing.assert_array_equal(array, make_volume())
    np.testing.assert_array_equal(opened.array, make_volume())


@pytest.mark.parametrize("cell", [0.0, -3.0, np.nan, np.inf])
def test_useless_cell_is_no_voxel_size_and_a_warning(tmp_path, capsys, cell):
    patch = [(40, np.array([cell] * 3, "<f4").tobytes())]
    path = write_mrc(tmp_path / "t.mrc", make_volume(), patch=patch)
    assert open_tomogram(path, "zxy").voxel_size is None
    assert "no voxel size" in capsys.readouterr().err


def test_anisotropic_voxels_are_a_warning(tmp_path, capsys):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), voxel_size=(8, 8, 12))
    assert open_tomogram(path, "zxy").voxel_size == 8
    assert "8 x 8 x 12 Angstrom" in capsys.readouterr().err


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("depth", [4, 5])
def test_compress_merges_slice_pairs_and_keeps_an_odd_last_one(tmp_path, order, depth):
    rng = np.random.default_rng(0)
    volume = rng.normal(size=(depth, 7, 6)).astype(np.float32)
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    array, opened = read_tomogram(path, order, compress=True)
    expected = [volume[z : z + 2].max(0) for z in range(0, depth, 2)]
    np.testing.assert_array_equal(array, expected)
    assert opened.array.shape == volume.shape


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("compress", [False, True])
def test_volume_of_several_blocks_is_whole(tmp_path, monkeypatch, order, compress):
    monkeypatch.setattr("lib.inputs.mrc_voxels.BLOCK_BYTES", 1)
    volume = make_volume(shape=(5, 9, 7))
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    array, _ = read_tomogram(path, order, compress=compress)
    np.testing.assert_array_equal(array, volume[[1, 3, 4]] if compress else volume)


def test_plain_tomogram_is_mapped_not_read(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), order="xzy")
    array = open_tomogram(path, "xzy").array
    assert not array.flags.owndata
    assert not array.flags.writeable
    assert not array.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_voxels_that_are_not_finite_are_counted(tmp_path, dtype):
    volume = make_volume(dtype)
    volume[0, 0, :2] = np.nan
    volume[3, 4, 5] = -np.inf
    path = write_mrc(tmp_path / "t.rec", volume)
    assert "of 120 voxels, 3 not finite" in refusal(path)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_constant_volume_is_refused(tmp_path, dtype):
    path = write_mrc(tmp_path / "t.rec", np.full(SHAPE, 3, dtype))
    assert "of 120 voxels, all equal (3)" in refusal(path)


def write_series(tmp_path, images, angles=None):
    if angles is None:
        angles = 30 * (np.arange(len(images)) - len(images) // 2)
    path = write_mrc(tmp_path / "t.ali", images)
    angle_path = tmp_path / "t.tlt"
    angle_path.write_text("\n".join(map(str, angles)))
    return path, angle_path


@pytest.mark.parametrize("packed", [False, True])
def test_tilt_series_is_read(tmp_path, packed):
    images = make_volume(np.int16, (5, 4, 6))
    path, angle_path = write_series(tmp_path, images)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    series = read_tilt_series(path, angle_path, tomogram_xy=(6, 4))
    np.testing.assert_array_equal(series.images, images)
    assert series.images.dtype == np.float32
    assert series.angles.tolist() == [-60, -30, 0, 30, 60]


def test_only_small_tilts_are_read_when_asked(tmp_path):
    images = make_volume(shape=(5, 4, 6))
    series = read_tilt_series(*write_series(tmp_path, images), max_tilt=30)
    np.testing.assert_array_equal(series.images, images[1:4])
    assert series.angles.tolist() == [-30, 0, 30]


def test_flip_changes_the_sign_of_the_angles_alone(tmp_path):
    images = make_volume(shape=(3, 4, 6))
    series = read_tilt_series(*write_series(tmp_path, images), flip=True)
    np.testing.assert_array_equal(series.images, images)
    assert series.angles.tolist() == [30, 0, -30]
    assert not np.signbit(series.angles[1])


def test_unusable_images_are_left_out_with_a_warning(tmp_path, capsys):
    images = make_volume(shape=(5, 4, 6))
    images[1] = 7
    images[3, 2, 2] = np.nan
    series = read_tilt_series(*write_series(tmp_path, images))
    np.testing.assert_array_equal(series.images, images[[0, 2, 4]])
    assert series.angles.tolist() == [-60, 0, 60]
    told = capsys.readouterr().err
    assert "left out 2 of 5 images" in told
    assert "image 2 at -30 degrees (pixels all equal (7))" in told
    assert "image 4 at 30 degrees (pixels 1 not finite)" in told


def test_series_without_a_usable_image_is_refused(tmp_path):
    with pytest.raises(InputError, match="unusable are 3 of 3 images"):
        read_tilt_series(*write_series(tmp_path, np.ones((3, 4, 6), np.float32)))


def test_series_without_a_small_tilt_is_refused(tmp_path):
    files = write_series(tmp_path, make_volume(shape=(2, 4, 6)), [-60, 40])
    with pytest.raises(InputError, match=r"smallest: 40\); raise --tilt_range"):
        read_tilt_series(*files, max_tilt=20)


def test_images_of_another_size_than_the_tomogram_are_refused(tmp_path):
    files = write_series(tmp_path, make_volume(shape=(3, 8, 12)))
    with pytest.raises(InputError, match="12 x 8.*6 x 4.*bin the tilt images by 2"):
        read_tilt_series(*files, tomogram_xy=(6, 4))


def test_too_few_angles_are_refused(tmp_path):
    files = write_series(tmp_path, make_volume(shape=(3, 4, 6)), [0, 3])
    with pytest.raises(InputError, match="2 angles, the tilt series 3 images"):
        read_tilt_series(*files)
