import gzip

import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.mrc import inspect_mrc
from lib.inputs.mrc_voxels import map_voxels, read_sections
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
