"""The header of an MRC file, in whichever byte order it was written.

Files without machine stamp or MAP mark are old, or from programs that do not know
of them; they are read when the numbers make sense, with one warning.
"""

import math

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp

from lib.errors import InputError, warn_once

HEADER_BYTES = HEADER_DTYPE.itemsize
READABLE_MODES = (0, 1, 2, 6, 12)
REFUSED_MODES = {
    3: "complex numbers: a Fourier transform; give the real-space file",
    4: "complex numbers: a Fourier transform; give the real-space file",
    16: "RGB colors; give the gray volume",
    101: "4-bit integers; unpack it with IMOD's newstack -mode 0",
}
LONGEST_AXIS = 2**20  # no tomogram has it; the wrong byte order nearly always has


def decode_header(path, raw, capacity):
    """Return the header in the byte order that makes sense of it.

    The machine stamp decides, unless it is missing or only the other order gives
    a header that the file has room for.

    Parameters
    ----------
    path : Path
        Named in refusals and in the one warning.
    raw : bytes
        The first 1024.
    capacity : int
        Most bytes the file can hold.

    Returns
    -------
    numpy.void
        Fields of mrcfile's HEADER_DTYPE.

    Raises
    ------
    InputError
        When it is no MRC file.
    """
    doubts = []
    stored = np.frombuffer(raw, HEADER_DTYPE)[0]
    try:
        order = byte_order_from_machine_stamp(stored["machst"])
    except ValueError:
        order = "<"
        doubts.append("no machine stamp")
    stamped, swapped = (
        np.frombuffer(raw, HEADER_DTYPE.newbyteorder(way))[0]
        for way in (order, "<>".replace(order, ""))
    )
    header = max(stamped, swapped, key=lambda h: _likelihood(h, capacity))
    if header is swapped and not doubts:
        doubts.append("the machine stamp of the other byte order")
    if bytes(stored["map"])[:3] != b"MAP":
        doubts.append("no MAP mark")
    if doubts and not _likelihood(header, capacity):
        raise InputError(
            f"{path} is no MRC file: it has {' and '.join(doubts)}, and its header "
            f"would say mode {header['mode']}, {format_shape(axis_lengths(header))} "
            "voxels"
        )
    if doubts:
        endian = {"<": "little", ">": "big"}[byte_order(header)]
        warn_once(
            f"{path} has {' and '.join(doubts)}; read as a {endian}-endian MRC file "
            f"of {format_shape(axis_lengths(header))} voxels, mode {header['mode']}"
        )
    return header


def _likelihood(header, capacity):
    """Return 0: no header, 1: one that the file has no room for, 2: a good one."""
    mode = int(header["mode"])
    shape = axis_lengths(header)
    known = mode in READABLE_MODES or mode in REFUSED_MODES
    if not known or min(shape) < 1 or max(shape) > LONGEST_AXIS:
        return 0
    return 2 if math.prod(shape) <= capacity else 1


def byte_order(header):
    """Return ``<`` or ``>``."""
    return "<" if header.dtype["nx"].newbyteorder("<") == header.dtype["nx"] else ">"


def axis_lengths(header):
    """Return the shape of the array in the file, slowest axis first."""
    return tuple(int(header[key]) for key in ("nz", "ny", "nx"))


def format_shape(lengths):
    """Return lengths as people write them, such as ``315 x 100 x 326``."""
    return " x ".join(f"{length:.10g}" for length in lengths)
