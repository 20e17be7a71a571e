import gzip
import pickle

import numpy as np
import pytest

from lib.axis_orders import ORDERS, z_sign
from lib.errors import InputError, warn_once
from lib.inputs.tomogram import Tomogram
from tests.mrc_files import SHAPE, error_of, make_volume, write_mrc


@pytest.fixture(autouse=True)
def forget_warnings():
    warn_once.cache_clear()


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_gives_the_same_volume(tmp_path, order):
    volume = make_volume()
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    tomogram = Tomogram.from_files(path, order)
    array = tomogram.read_voxels()
    np.testing.assert_array_equal(array, volume)
    np.testing.assert_array_equal(tomogram.map_voxels(), volume)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert tomogram.shape == SHAPE
    assert tomogram.order == order
    assert tomogram.z_sign == z_sign(order)


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_gzip_is_read(tmp_path, order):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), order=order)
    packed = tmp_path / "t.mrc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    tomogram = Tomogram.from_files(packed, order)
    np.testing.assert_array_equal(tomogram.read_voxels(), make_volume())
    np.testing.assert_array_equal(tomogram.map_voxels(), make_volume())


@pytest.mark.parametrize("cell", [0.0, -3.0, np.nan, np.inf])
def test_useless_cell_is_no_voxel_size_and_a_warning(tmp_path, capsys, cell):
    patch = [(40, np.array([cell] * 3, "<f4").tobytes())]
    path = write_mrc(tmp_path / "t.mrc", make_volume(), patch=patch)
    assert Tomogram.from_files(path, "zxy").voxel_size is None
    assert "no voxel size" in capsys.readouterr().err


def test_anisotropic_voxels_are_a_warning(tmp_path, capsys):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), voxel_size=(8, 8, 12))
    assert Tomogram.from_files(path, "zxy").voxel_size == 8
    assert "8 x 8 x 12 Angstrom" in capsys.readouterr().err


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("depth", [4, 5])
def test_compress_merges_slice_pairs_and_keeps_an_odd_last_one(tmp_path, order, depth):
    rng = np.random.default_rng(0)
    volume = rng.normal(size=(depth, 7, 6)).astype(np.float32)
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    tomogram = Tomogram.from_files(path, order)
    array = tomogram.read_voxels(compress=True)
    expected = [volume[z : z + 2].max(0) for z in range(0, depth, 2)]
    np.testing.assert_array_equal(array, expected)
    assert tomogram.shape == volume.shape


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("compress", [False, True])
def test_volume_of_several_blocks_is_whole(tmp_path, monkeypatch, order, compress):
    monkeypatch.setattr("lib.inputs.mrc_voxels.BLOCK_BYTES", 1)
    volume = make_volume(shape=(5, 9, 7))
    path = write_mrc(tmp_path / "t.rec", volume, order=order)
    array = Tomogram.from_files(path, order).read_voxels(compress=compress)
    np.testing.assert_array_equal(array, volume[[1, 3, 4]] if compress else volume)


def test_plain_tomogram_is_mapped_not_read(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), order="xzy")
    array = Tomogram.from_files(path, "xzy").map_voxels()
    assert not array.flags.owndata
    assert not array.flags.writeable
    assert not array.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_voxels_that_are_not_finite_are_counted(tmp_path, dtype):
    volume = make_volume(dtype)
    volume[0, 0, :2] = np.nan
    volume[3, 4, 5] = -np.inf
    path = write_mrc(tmp_path / "t.rec", volume)
    assert "of 120 voxels, 3 not finite" in error_of(path)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_constant_volume_is_rejected(tmp_path, dtype):
    path = write_mrc(tmp_path / "t.rec", np.full(SHAPE, 3, dtype))
    assert "of 120 voxels, all equal (3)" in error_of(path)


def open_series(tmp_path, images, angles=None, packed=False, size=None):
    """Write a tilt series and a tomogram as large; return them as one."""
    if angles is None:
        angles = 30 * (np.arange(len(images)) - len(images) // 2)
    path = write_mrc(tmp_path / "t.ali", images)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    angle_path = tmp_path / "t.tlt"
    angle_path.write_text("\n".join(map(str, angles)))
    rec_path = tmp_path / "t.rec"
    write_mrc(rec_path, make_volume(shape=(2, *(size or images.shape[1:]))))
    return Tomogram.from_files(
        rec_path, "zxy", tilt_path=path, angle_path=angle_path, voxel_size=10
    )


@pytest.mark.parametrize("packed", [False, True])
def test_tilt_series_is_read(tmp_path, packed):
    images = make_volume(np.int16, (5, 4, 6))
    series = open_series(tmp_path, images, packed=packed).read_tilts()
    np.testing.assert_array_equal(series.images, images)
    assert series.images.dtype == np.float32
    assert series.angles.tolist() == [-60, -30, 0, 30, 60]


def test_only_small_tilts_are_read_when_asked(tmp_path):
    images = make_volume(shape=(5, 4, 6))
    series = open_series(tmp_path, images).read_tilts(max_tilt=30)
    np.testing.assert_array_equal(series.images, images[1:4])
    assert series.angles.tolist() == [-30, 0, 30]


def test_flip_changes_the_sign_of_the_angles_alone(tmp_path):
    images = make_volume(shape=(3, 4, 6))
    series = open_series(tmp_path, images).read_tilts(flip=True)
    np.testing.assert_array_equal(series.images, images)
    assert series.angles.tolist() == [30, 0, -30]
    assert not np.signbit(series.angles[1])


def test_unusable_images_are_left_out_with_a_warning(tmp_path, capsys):
    images = make_volume(shape=(5, 4, 6))
    images[1] = 7
    images[3, 2, 2] = np.nan
    series = open_series(tmp_path, images).read_tilts()
    np.testing.assert_array_equal(series.images, images[[0, 2, 4]])
    assert series.angles.tolist() == [-60, 0, 60]
    told = capsys.readouterr().err
    assert "2 of 5 images are blank or not finite" in told
    assert "image 2 at -30 degrees (pixels all equal (7))" in told
    assert "image 4 at 30 degrees (pixels 1 not finite)" in told


def test_series_without_a_usable_image_is_rejected(tmp_path):
    tomogram = open_series(tmp_path, np.ones((3, 4, 6), np.float32))
    with pytest.raises(InputError, match="cannot be used: 3 of 3 images"):
        tomogram.read_tilts()


def test_series_without_a_small_tilt_is_rejected(tmp_path):
    tomogram = open_series(tmp_path, make_volume(shape=(2, 4, 6)), [-60, 40])
    with pytest.raises(InputError, match=r"smallest: 40\); raise --tilt_range"):
        tomogram.read_tilts(max_tilt=20)


def test_images_of_another_size_than_the_tomogram_are_rejected(tmp_path):
    with pytest.raises(InputError, match="12 x 8.*6 x 4.*bin the tilt images by 2"):
        open_series(tmp_path, make_volume(shape=(3, 8, 12)), size=(4, 6))


def test_too_few_angles_are_rejected(tmp_path):
    with pytest.raises(InputError, match="2 angles, the tilt series 3 images"):
        open_series(tmp_path, make_volume(shape=(3, 4, 6)), [0, 3])


def test_a_tomogram_is_a_value(tmp_path):
    tomogram = open_series(tmp_path, make_volume(shape=(3, 4, 6)))
    again = pickle.loads(pickle.dumps(tomogram))
    assert again == tomogram
    assert again.angles == (-30, 0, 30)
    np.testing.assert_array_equal(again.read_voxels(), tomogram.read_voxels())


def test_the_voxel_size_given_stands_above_the_header(tmp_path, capsys):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), voxel_size=0)
    tomogram = Tomogram.from_files(path, "zxy", voxel_size=13.5)
    assert (tomogram.voxel_size, tomogram.info.voxel_size) == (13.5, None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("voxel", "pixel", "given", "expected", "words"),
    [
        (0, 10, None, 10, "10 Angstrom is taken, the pixel size of"),
        (0, 10, 13.5, 13.5, ""),
        (0, 0, None, None, "it stays unknown"),
        (0, 1, None, None, "it stays unknown"),  # as programs write by default
        (0, 1e4, None, None, "it stays unknown"),
        (13.5, 10, None, 13.5, ""),
    ],
)
def test_a_missing_voxel_size_is_that_of_the_tilt_images(
    tmp_path, capsys, voxel, pixel, given, expected, words
):
    volume = make_volume(shape=(4, 5, 6))
    rec_path = write_mrc(tmp_path / "t.rec", volume, voxel_size=voxel)
    tilt_path = write_mrc(tmp_path / "t.ali", volume[:3], voxel_size=pixel)
    angle_path = tmp_path / "t.tlt"
    angle_path.write_text("-30\n0\n30\n")
    tomogram = Tomogram.from_files(
        rec_path, "zxy", tilt_path=tilt_path, angle_path=angle_path, voxel_size=given
    )
    assert tomogram.voxel_size == expected
    said = capsys.readouterr().err
    assert words in said if words else said == ""


def test_a_single_file_is_called_by_its_name_and_checked(tmp_path):
    path = write_mrc(tmp_path / "ts1.rec.mrc", make_volume(shape=(8, 4, 6)))
    assert Tomogram.from_files(path, "zxy").name == "ts1"
    assert Tomogram.from_files(path, "zxy", name="a").name == "a"
    assert Tomogram.from_files(path, "auto").shape == (4, 8, 6)
    with pytest.raises(InputError, match="use --order xzy, or give --order zxy"):
        Tomogram.from_files(path, "zxy", order_is_given=False)
