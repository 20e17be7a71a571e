"""Integers that are read with the wrong sign have a hole in their histogram."""

import mrcfile
import numpy as np
import pytest

from lib.errors import InputError
from lib.geometry.contrast_check import check_contrast
from lib.inputs.mrc_voxels import is_wrapped
from lib.inputs.tomogram import Tomogram


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
