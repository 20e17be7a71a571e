import gzip
import warnings

import mrcfile
import numpy as np
import pytest

from lib.errors import InputError, warn_once
from lib.mrc_voxels import map_voxels, read_sections
from lib.tomo_io import (
    ORDERS,
    MrcInfo,
    inspect_mrc,
    open_tomogram,
    read_tilt_angles,
    read_tilt_series,
    read_tomogram,
    resolve_order,
    z_sign,
)

SHAPE = (4, 5, 6)  # (Z, Y, X) of the volumes here


@pytest.fixture(autouse=True)
def forget_warnings():
    warn_once.cache_clear()


def make_volume(dtype=np.float32, shape=SHAPE):
    values = np.arange(np.prod(shape)).reshape(shape)
    return values.astype(dtype)


def write_mrc(path, data, *, order="zxy", voxel_size=10.0, patch=()):
    """Write (Z, Y, X) data with the axes of `order`; patch bytes of the header."""
    in_file = data.transpose(np.argsort(ORDERS[order]))
    with warnings.catch_warnings(), mrcfile.new(path, overwrite=True) as mrc:
        warnings.simplefilter("ignore")  # mrcfile's, of the NaN that we write
        mrc.set_data(np.ascontiguousarray(in_file))
        mrc.voxel_size = voxel_size
    content = bytearray(path.read_bytes())
    for offset, values in patch:
        content[offset : offset + len(values)] = values
    path.write_bytes(content)
    return path


def as_big_endian(path):
    """Rewrite an MRC file of float32 in the other byte order."""
    content = path.read_bytes()
    header = np.frombuffer(content[:1024], mrcfile.dtypes.HEADER_DTYPE)[0]
    swapped = header.astype(mrcfile.dtypes.HEADER_DTYPE.newbyteorder(">")).tobytes()
    voxels = np.frombuffer(content[1024:], "<f4").astype(">f4").tobytes()
    path.write_bytes(swapped[:212] + bytes([0x11, 0x11, 0, 0]) + swapped[216:] + voxels)


def int32(value):
    return int(value).to_bytes(4, "little", signed=True)


# --- what is in the file -------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("order", "file_axes"),
    [("xzy", "YZX"), ("zxy", "ZYX"), ("xyz", "YXZ"), ("yxz", "XYZ")],
)
def test_orders_are_the_axes_of_the_file(order, file_axes):
    assert "".join(file_axes[axis] for axis in ORDERS[order]) == "ZYX"


def test_z_runs_the_other_way_only_in_raw_imod_files():
    assert {order: z_sign(order) for order in ORDERS} == {
        "xzy": -1,
        "zxy": 1,
        "xyz": 1,
        "yxz": 1,
    }


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.float32, np.uint16, np.float16]
)
def test_every_real_mode_is_read(tmp_path, dtype):
    volume = make_volume(dtype)
    path = write_mrc(tmp_path / "t.mrc", volume)
    assert inspect_mrc(path).dtype == dtype
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], volume)


def test_big_endian_is_read(tmp_path):
    path = write_mrc(tmp_path / "t.mrc", make_volume())
    as_big_endian(path)
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], make_volume())
    assert inspect_mrc(path).voxel_size == 10


def test_extended_header_is_skipped(tmp_path):
    path = tmp_path / "t.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(make_volume())
        mrc.set_extended_header(np.full(3, 7.7))
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], make_volume())


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_gzip_is_read(tmp_path, order):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), order=order)
    packed = tmp_path / "t.mrc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    array, opened = read_tomogram(packed, order)
    np.testing.assert_array_equal(array, make_volume())
    np.testing.assert_array_equal(opened.array, make_volume())


@pytest.mark.parametrize(("flags", "highest"), [(0, 255), (1, 127)])
def test_imod_says_whether_its_bytes_are_signed(tmp_path, flags, highest):
    volume = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    stamp = (152, int32(1146047817) + int32(flags))
    path = write_mrc(tmp_path / "t.rec", volume.view(np.int8), patch=[stamp])
    array, _ = read_tomogram(path, "zxy")
    assert array.max() == highest
    expected = volume if flags == 0 else volume.view(np.int8)
    np.testing.assert_array_equal(array, expected)


def test_bytes_beyond_the_signed_range_are_unsigned(tmp_path, capsys):
    volume = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    extremes = (76, np.array([0, 255], "<f4").tobytes())
    path = write_mrc(tmp_path / "t.rec", volume.view(np.int8), patch=[extremes])
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], volume)
    assert "read as unsigned" in capsys.readouterr().err


@pytest.mark.parametrize(
    "patch",
    [
        [(208, b"\0\0\0\0")],
        [(212, b"\0\0\0\0")],
        [(208, b"\0" * 8)],
        [(212, b"\x11\x11\0\0")],
    ],
    ids=["no MAP", "no stamp", "neither", "stamp of the other order"],
)
def test_missing_marks_are_forgiven_with_one_warning(tmp_path, capsys, patch):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), patch=patch)
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], make_volume())
    open_tomogram(path, "zxy")
    assert capsys.readouterr().err.count("warning") == 1


def test_big_endian_bytes_without_stamp_are_recognised_by_their_size(tmp_path):
    # Mode 0 is 0 in both orders, and 256 read the wrong way is 65536.
    volume = np.zeros((2, 4, 256), np.int8)
    volume[0] = 1
    path = write_mrc(tmp_path / "t.mrc", volume)
    content = bytearray(path.read_bytes())
    content[:12] = np.array([256, 4, 2], ">i4").tobytes()
    content[212:216] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], volume)


def test_voxel_size_is_that_of_the_header(tmp_path):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), voxel_size=13.48)
    assert inspect_mrc(path).voxel_size == 13.48


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
    monkeypatch.setattr("lib.mrc_voxels.BLOCK_BYTES", 1)
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


# --- what is refused -----------------------------------------------------------------


def refusal(path, order="zxy"):
    with pytest.raises(InputError) as caught:
        read_tomogram(path, order)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_folder_and_empty_files_are_refused(tmp_path):
    (tmp_path / "empty.rec").touch()
    assert "does not exist" in refusal(tmp_path / "none.rec")
    assert "is a folder" in refusal(tmp_path)
    assert "0 bytes" in refusal(tmp_path / "empty.rec")


def test_text_is_no_mrc_file(tmp_path):
    path = tmp_path / "t.rec"
    path.write_text("image_name rec_path\n" * 100)
    assert "no MRC file" in refusal(path)


def test_truncation_is_told_in_bytes(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    path.write_bytes(path.read_bytes()[:-7])
    assert "asks for 1,504 bytes" in refusal(path)
    assert "the file has 1,497" in refusal(path)


def test_truncated_gzip_is_refused(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[:-20])
    assert "of 1,504 bytes" in refusal(path)
    path.write_bytes(gzip.compress(gzip.decompress(packed)[:-7]))
    assert "the file has 1,497" in refusal(path)
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    assert "CRC" in refusal(path)


def test_file_far_longer_than_its_header_says_is_refused(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(8, int32(3))])
    assert "disagree" in refusal(path)


def test_a_few_bytes_too_many_are_a_warning(tmp_path, capsys):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    path.write_bytes(path.read_bytes() + b"end")
    np.testing.assert_array_equal(read_tomogram(path, "zxy")[0], make_volume())
    assert "rest is ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(3, "Fourier"), (4, "Fourier"), (16, "RGB"), (101, "4-bit"), (7, "unknown")],
)
def test_other_modes_are_refused_with_the_reason(tmp_path, mode, reason):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(12, int32(mode))])
    assert reason in refusal(path)


@pytest.mark.parametrize("axis", [0, 4, 8])
def test_zero_sized_axis_is_refused(tmp_path, axis):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(axis, int32(0))])
    assert "is empty" in refusal(path)


def test_stack_of_volumes_is_refused(tmp_path):
    patch = [(88, int32(401)), (36, int32(2))]
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=patch)
    assert "stack of 2 volumes" in refusal(path)


def test_claims_beyond_the_file_are_refused_by_the_header_alone(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(0, int32(10**9))])
    with pytest.raises(InputError, match="asks for 80,000,001,024 bytes"):
        inspect_mrc(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="80,000,001,024 .* gzip can hold"):
        inspect_mrc(path)


def test_damage_inside_gzip_is_refused(tmp_path):
    volume = np.random.default_rng(0).integers(0, 9, (8, 64, 64)).astype(np.int8)
    path = write_mrc(tmp_path / "t.rec", volume)
    packed = gzip.compress(path.read_bytes())
    for position in range(len(packed) // 2, len(packed) - 8, len(packed) // 40):
        damaged = bytearray(packed)
        damaged[position : position + 4] = b"\xff" * 4
        path.write_bytes(damaged)
        assert "cannot be decompressed" in refusal(path)


def test_negative_extended_header_is_refused(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(92, int32(-80))])
    assert "extended header" in refusal(path)


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


def test_file_that_shrinks_while_it_is_read_is_refused(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    blocks = read_sections(inspect_mrc(path), [(0, 2), (2, 4)])
    next(blocks)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="ended 100 bytes before"):
        next(blocks)


def test_file_that_vanishes_after_its_inspection_is_refused(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    info = inspect_mrc(path)
    path.unlink()
    for read in (map_voxels, lambda info: next(read_sections(info, [(0, 2)]))):
        with pytest.raises(InputError, match="No such file"):
            read(info)
    path.write_bytes(bytes(1100))
    with pytest.raises(InputError, match="cannot be read"):
        map_voxels(info)


# --- the order of the axes -----------------------------------------------------------


def info_of(*shape):
    return MrcInfo("t.rec", shape, np.dtype(np.int8), 10.0)


@pytest.mark.parametrize(
    ("shape", "order"), [((315, 100, 326), "xzy"), ((100, 315, 326), "zxy")]
)
def test_auto_picks_the_order_from_the_shape_and_says_so(capsys, shape, order):
    assert resolve_order(info_of(*shape), "auto") == order
    assert f"as {order}" in capsys.readouterr().err


def test_auto_picks_the_order_from_the_tilt_images():
    # Thicker than it is high: only the tilt images can tell.
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 90, 326)) == "xzy"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 100, 326)) == "zxy"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 90, 100)) == "xyz"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 100, 90)) == "yxz"


def test_auto_asks_when_two_orders_fit():
    with pytest.raises(InputError, match="fits --order xzy and zxy alike"):
        resolve_order(info_of(64, 64, 100), "auto")


def test_unlikely_order_is_refused_naming_the_one_that_fits():
    with pytest.raises(InputError, match="z is the shortest.*use --order xzy$"):
        resolve_order(info_of(315, 100, 326), "zxy")
    with pytest.raises(InputError, match="use --order xyz or yxz$"):
        resolve_order(info_of(315, 326, 100), "xzy")
    with pytest.raises(InputError, match="tilt images are x 326, y 315.*order xzy$"):
        resolve_order(info_of(315, 100, 326), "zxy", (41, 315, 326))


@pytest.mark.parametrize("order", ORDERS)
def test_cube_fits_every_order(order):
    assert resolve_order(info_of(64, 64, 64), order) == order
    assert resolve_order(info_of(64, 64, 64), order, (5, 64, 64)) == order


@pytest.mark.parametrize(
    ("tilt_yx", "advice"),
    [
        ((1260, 1304), "4 times smaller: bin the tilt images by 4"),
        ((1261, 1307), "4 times smaller: bin the tilt images by 4"),
        ((157, 163), "2 times larger: bin the tomogram by 2"),
        ((326, 315), "turn the tilt images by 90 degrees"),
        ((400, 326), "no binning makes them equal"),
    ],
)
@pytest.mark.parametrize("order", ["xzy", "auto"])
def test_sizes_that_fit_no_order_are_told_with_the_binning(order, tilt_yx, advice):
    with pytest.raises(InputError, match=advice) as caught:
        resolve_order(info_of(315, 100, 326), order, (41, *tilt_yx))
    assert f"{tilt_yx[1]} x {tilt_yx[0]}" in str(caught.value)
    assert "326 x 315" in str(caught.value)


def test_unknown_order_is_refused():
    with pytest.raises(InputError, match="none of xzy, zxy, xyz, yxz, auto"):
        resolve_order(info_of(4, 5, 6), "zyx")


# --- angles --------------------------------------------------------------------------


def write_angles(tmp_path, content):
    path = tmp_path / "t.tlt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "angles"),
    [
        (b" -60.01\n -57.00\n", [-60.01, -57.0]),
        (b"-3\r\n0\r\n+3\r\n\r\n\r\n", [-3, 0, 3]),
        (b"\xef\xbb\xbf3.0 1.2 100\n\n-0.00\t0.3\n", [3, 0]),
        (b"60,\n-6e1,\n.5", [60, -60, 0.5]),
        (b"90.\r-90.\r", [90, -90]),
        (b"2.5\n", [2.5]),
    ],
    ids=["imod", "crlf", "columns and bom", "commas", "old mac", "one image"],
)
def test_angles_from_the_wild(tmp_path, content, angles):
    read = read_tilt_angles(write_angles(tmp_path, content), len(angles))
    np.testing.assert_array_equal(read, angles)
    assert read.dtype == np.float64
    assert not np.signbit(read[read == 0]).any()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1\n2\n", "has 2 angles, the tilt series 3 images"),
        (b"1\n2\n3\n4\n", "has 4 angles, the tilt series 3 images"),
        (b"", "has 0 angles"),
        (b"0\n0\n-0.0\n", "all 3 angles are 0 degrees"),
        (b"1\n1e24\n3\n", "line 2: '1e24' is not within"),
        (b"1\n90.01\n3\n", "line 2: '90.01' is not within"),
        (b"1\n\nnan\n3\n", "line 3: 'nan' is not finite"),
        (b"-inf\n2\n3\n", "line 1: '-inf' is not finite"),
        (b"# AreTomo\n2\n3\n", "line 1: '#' is not an angle"),
        (b"1_0\n2\n3\n", "'1_0' is not an angle"),
        (b"1,5\n2,5\n3,5\n", "'1,5' is not an angle"),
        ("٣\n2\n3\n".encode(), "is not an angle"),
        (b"\xff\xfe1\0\n\0", "no UTF-8 text"),
        (b"\0\0\0\0", "is not an angle"),
        (b"1" * 2**20 + b"x", "larger than"),
        (b"1" * (2**20 - 1) + b"x", "is not an angle"),
    ],
)
def test_wrong_angles_are_refused(tmp_path, content, reason):
    path = write_angles(tmp_path, content)
    with pytest.raises(InputError, match=reason) as caught:
        read_tilt_angles(path, 3)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_missing_angle_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_tilt_angles(tmp_path / "none.tlt", 3)


# --- tilt series ---------------------------------------------------------------------


def write_series(tmp_path, images, angles=None):
    if angles is None:
        angles = 30 * (np.arange(len(images)) - len(images) // 2)
    path = write_mrc(tmp_path / "t.ali", images)
    return path, write_angles(tmp_path, "\n".join(map(str, angles)).encode())


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
