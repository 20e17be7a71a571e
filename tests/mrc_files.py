"""MRC files of every kind, for the tests of their readers."""

import warnings

import mrcfile
import numpy as np
import pytest

from lib.axis_orders import ORDERS
from lib.errors import InputError
from lib.inputs.tomogram import Tomogram

SHAPE = (4, 5, 6)  # (Z, Y, X) of the volumes here


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


def read(path, order="zxy"):
    """Return the voxels (Z, Y, X) of a file, as float32."""
    return Tomogram.from_files(path, order).read_voxels()


def int32(value):
    return int(value).to_bytes(4, "little", signed=True)


def error_of(path, order="zxy"):
    with pytest.raises(InputError) as caught:
        read(path, order)
    assert str(path) in str(caught.value)
    return str(caught.value)
