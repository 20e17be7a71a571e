import gzip

import mrcfile
import numpy as np
import pytest

from lib.errors import InputError, warn_once
from lib.inputs.mrc import inspect_mrc
from lib.inputs.tomogram import Tomogram
from tests.mrc_files import as_big_endian, error_of, int32, make_volume, read, write_mrc


@pytest.fixture(autouse=True)
def forget_warnings():
    warn_once.cache_clear()


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.float32, np.uint16, np.float16]
)
def test_every_real_mode_is_read(tmp_path, dtype):
    volume = make_volume(dtype)
    path = write_mrc(tmp_path / "t.mrc", volume)
    assert inspect_mrc(path).dtype == dtype
    np.testing.assert_array_equal(read(path), volume)


def test_big_endian_is_read(tmp_path):
    path = write_mrc(tmp_path / "t.mrc", make_volume())
    as_big_endian(path)
    np.testing.assert_array_equal(read(path), make_volume())
    assert inspect_mrc(path).voxel_size == 10


def test_extended_header_is_skipped(tmp_path):
    path = tmp_path / "t.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(make_volume())
        mrc.set_extended_header(np.full(3, 7.7))
    np.testing.assert_array_equal(read(path), make_volume())


@pytest.mark.parametrize(("flags", "highest"), [(0, 255), (1, 127)])
def test_imod_says_whether_its_bytes_are_signed(tmp_path, flags, highest):
    volume = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    stamp = (152, int32(1146047817) + int32(flags))
    path = write_mrc(tmp_path / "t.rec", volume.view(np.int8), patch=[stamp])
    array = read(path)
    assert array.max() == highest
    expected = volume if flags == 0 else volume.view(np.int8)
    np.testing.assert_array_equal(array, expected)


def test_bytes_beyond_the_signed_range_are_unsigned(tmp_path, capsys):
    volume = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    extremes = (76, np.array([0, 255], "<f4").tobytes())
    path = write_mrc(tmp_path / "t.rec", volume.view(np.int8), patch=[extremes])
    np.testing.assert_array_equal(read(path), volume)
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
    np.testing.assert_array_equal(read(path), make_volume())
    Tomogram.from_files(path, "zxy")
    assert capsys.readouterr().err.count("warning") == 1


def test_big_endian_bytes_without_stamp_are_recognized_by_their_size(tmp_path):
    # Mode 0 is 0 in both orders, and 256 read the wrong way is 65536.
    volume = np.zeros((2, 4, 256), np.int8)
    volume[0] = 1
    path = write_mrc(tmp_path / "t.mrc", volume)
    content = bytearray(path.read_bytes())
    content[:12] = np.array([256, 4, 2], ">i4").tobytes()
    content[212:216] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path), volume)


def test_voxel_size_is_that_of_the_header(tmp_path):
    path = write_mrc(tmp_path / "t.mrc", make_volume(), voxel_size=13.48)
    assert inspect_mrc(path).voxel_size == 13.48


def test_missing_folder_and_empty_files_are_rejected(tmp_path):
    (tmp_path / "empty.rec").touch()
    assert "does not exist" in error_of(tmp_path / "none.rec")
    assert "is a folder" in error_of(tmp_path)
    assert "0 bytes" in error_of(tmp_path / "empty.rec")


def test_text_is_no_mrc_file(tmp_path):
    path = tmp_path / "t.rec"
    path.write_text("image_name rec_path\n" * 100)
    assert "not an MRC file" in error_of(path)


def test_truncation_is_told_in_bytes(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    path.write_bytes(path.read_bytes()[:-7])
    assert "asks for 1,504 bytes" in error_of(path)
    assert "the file has 1,497" in error_of(path)


def test_file_far_longer_than_its_header_says_is_rejected(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(8, int32(3))])
    assert "disagree" in error_of(path)


def test_a_few_bytes_too_many_are_a_warning(tmp_path, capsys):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    path.write_bytes(path.read_bytes() + b"end")
    np.testing.assert_array_equal(read(path), make_volume())
    assert "rest is ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(3, "Fourier"), (4, "Fourier"), (16, "RGB"), (101, "4-bit"), (7, "unknown")],
)
def test_other_modes_are_rejected_with_the_reason(tmp_path, mode, reason):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(12, int32(mode))])
    assert reason in error_of(path)


@pytest.mark.parametrize("axis", [0, 4, 8])
def test_zero_sized_axis_is_rejected(tmp_path, axis):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(axis, int32(0))])
    assert "is empty" in error_of(path)


def test_stack_of_volumes_is_rejected(tmp_path):
    patch = [(88, int32(401)), (36, int32(2))]
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=patch)
    assert "stack of 2 volumes" in error_of(path)


def test_claims_beyond_the_file_are_rejected_by_the_header_alone(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(0, int32(10**9))])
    with pytest.raises(InputError, match="asks for 80,000,001,024 bytes"):
        inspect_mrc(path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="80,000,001,024 .* gzip can hold"):
        inspect_mrc(path)


def test_negative_extended_header_is_rejected(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume(), patch=[(92, int32(-80))])
    assert "extended header" in error_of(path)
