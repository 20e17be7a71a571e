"""The first bytes of an MRC file, and the byte order in which they are a header.

Field layout, machine stamps and modes are those of mrcfile (MRC2014). The byte order
is chosen here: mrcfile, header only and permissive, chooses the same in all our tests
but for big-endian bytes without a machine stamp, which the size of the file tells.
"""

import gzip
import math
import zlib

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp

from lib.errors import InputError, format_shape, warn_once

HEADER_BYTES = HEADER_DTYPE.itemsize
READABLE_MODES = (0, 1, 2, 6, 12)
UNREADABLE_MODES = {
    3: "complex numbers: a Fourier transform; give the real-space file",
    4: "complex numbers: a Fourier transform; give the real-space file",
    16: "RGB colors; give the gray volume",
    101: "4-bit integers; unpack it with IMOD's newstack -mode 0",
}
LONGEST_AXIS = 2**20  # no tomogram has it; the wrong byte order nearly always has
GZIP_MAGIC = b"\x1f\x8b"
GZIP_RATIO = 1032  # deflate packs at most 258 bytes into 2 bits


def read_start(path):
    """Return the first 1024 bytes, the size on the disk, and whether gzipped."""
    try:
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "does not exist"
            raise InputError(f"{path} {found}; expected an MRC file")
        size = path.stat().st_size
        with path.open("rb") as stream:
            raw = stream.read(HEADER_BYTES)
        gzipped = raw.startswith(GZIP_MAGIC)
        if gzipped:
            with gzip.open(path) as stream:
                raw = stream.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from error
    if len(raw) < HEADER_BYTES:
        raise InputError(
            f"{path} is not an MRC file: it has {len(raw)} bytes, the header alone "
            f"takes {HEADER_BYTES}; is it empty or truncated?"
        )
    return raw, size, gzipped


def decode_header(path, raw, capacity):
    """Return the header in the byte order that makes sense of it.

    The machine stamp decides, unless it is missing or only the other order gives
    a header that the file, of at most `capacity` bytes, has room for.
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
            f"{path} is not an MRC file: it has {' and '.join(doubts)}, and its header "
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
    known = mode in READABLE_MODES or mode in UNREADABLE_MODES
    if not known or min(shape) < 1 or max(shape) > LONGEST_AXIS:
        return 0
    return 2 if math.prod(shape) <= capacity else 1


def byte_order(header):
    """Return ``<`` or ``>``."""
    return "<" if header.dtype["nx"].newbyteorder("<") == header.dtype["nx"] else ">"


def axis_lengths(header):
    """Return the shape of the array in the file, slowest axis first."""
    return tuple(int(header[key]) for key in ("nz", "ny", "nx"))
