import gzip
import os

import mrcfile
import numpy as np
import pytest

from lib.errors import InputError
from lib.geometry.contrast_check import check_contrast
from lib.inputs.mrc import inspect_mrc
from lib.inputs.mrc_voxels import is_wrapped, map_voxels, read_sections
from lib.inputs.tomogram import Tomogram
from tests.mrc_files import error_of, make_volume, write_mrc


def test_truncated_gzip_is_rejected(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[:-20])
    assert "of 1,504 bytes" in error_of(path)
    path.write_bytes(gzip.compress(gzip.decompress(packed)[:-7]))
    assert "the file has 1,497" in error_of(path)
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    assert "CRC" in error_of(path)


def test_damage_inside_gzip_is_rejected(tmp_path):
    volume = np.random.default_rng(0).integers(0, 9, (8, 64, 64)).astype(np.int8)
    path = write_mrc(tmp_path / "t.rec", volume)
    packed = gzip.compress(path.read_bytes())
    for position in range(len(packed) // 2, len(packed) - 8, len(packed) // 40):
        damaged = bytearray(packed)
        damaged[position : position + 4] = b"\xff" * 4
        path.write_bytes(damaged)
        assert "cannot be decompressed" in error_of(path)


def test_file_that_shrinks_while_it_is_read_is_rejected(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    blocks = read_sections(inspect_mrc(path), [(0, 2), (2, 4)])
    next(blocks)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="ended 100 bytes before"):
        next(blocks)


def test_file_that_is_written_while_it_is_read_is_rejected(tmp_path):
    """As by a reconstruction that made room first: its size says nothing."""
    path = write_mrc(tmp_path / "t.rec", make_volume())
    blocks = read_sections(inspect_mrc(path), [(0, 2), (2, 4)])
    next(blocks)
    with path.open("rb+") as stream:
        stream.seek(-4, 2)
        stream.write(b"\1\2\3\4")
    os.utime(path, (1, 1))  # whatever the resolution of the times here
    with pytest.raises(InputError, match="changed while it was read.*still being"):
        list(blocks)


def test_file_that_vanishes_after_its_inspection_is_rejected(tmp_path):
    path = write_mrc(tmp_path / "t.rec", make_volume())
    info = inspect_mrc(path)
    path.unlink()
    for read in (map_voxels, lambda info: next(read_sections(info, [(0, 2)]))):
        with pytest.raises(InputError, match="No such file"):
            read(info)
    path.write_bytes(bytes(1100))
    with pytest.raises(InputError, match="cannot be read"):
        map_voxels(info)


def voxels(mean, std, kind, size=100_000):
    limits = np.iinfo(kind)
    drawn = np.random.default_rng(0).normal(mean, std, size)
    return np.clip(np.rint(drawn), limits.min, limits.max).astype(kind)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (voxels(128, 30, np.uint8), np.int8),
        (voxels(110, 20, np.uint8), np.int8),
        (voxels(0, 30, np.int8), np.uint8),
        (voxels(-15, 20, np.int8), np.uint8),
        (voxels(33_000, 5_000, np.uint16), np.int16),
        (voxels(500, 3_000, np.int16), np.uint16),
    ],
)
def test_wrong_sign_is_told(written, read):
    assert is_wrapped(written.view(read))
    assert not is_wrapped(written)


@pytest.mark.parametrize(
    "right",
    [
        voxels(0, 200, np.int8),
        voxels(0, 28, np.int8),
        voxels(128, 90, np.uint8),
        voxels(30, 20, np.uint8),
        voxels(0, 1000, np.int16),
        np.r_[voxels(40, 25, np.int8), np.full(40_000, -128, np.int8)],
        np.repeat(np.array([-128, 127], np.int8), 1000),
        np.arange(60, dtype=np.int8),
        voxels(0, 100, np.int16).astype(np.float32),
        np.zeros(0, np.int8),
    ],
    ids=str,
)
def test_what_is_read_as_written_is_not(right):
    assert not is_wrapped(right)


def test_tomogram_that_wraps_is_rejected(tmp_path):
    path = tmp_path / "t.mrc"
    values = voxels(128, 30, np.uint8, 32**3).view(np.int8).reshape(32, 32, 32)
    with mrcfile.new(path, values) as mrc:
        mrc.voxel_size = 10
    with pytest.raises(InputError, match=r"hole in the middle.*clip unwrap"):
        check_contrast([Tomogram.from_files(path)])
