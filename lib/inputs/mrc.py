"""The header of an MRC file, checked against the bytes that are on the disk.

Nothing is allocated or mapped before the size of the file allows it. Field layout,
machine stamps and modes are those of mrcfile (MRC2014). The byte order is chosen
here: mrcfile, header only and permissive, chooses the same in all our tests but for
big-endian bytes without a machine stamp, which the size of the file tells; it also
allocates the extended header that a damaged file claims, and reads IMOD's unsigned
bytes as signed.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp, dtype_from_mode

from lib.errors import InputError, warn_once

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
IMOD_STAMP = 1146047817  # at byte 152; the flags follow it
IMOD_SIGNED = 1


@dataclass(frozen=True)
class MrcInfo:
    """An MRC file that can be read, as its header describes it.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        Of the array in the file, slowest axis first.
    dtype : numpy.dtype
        What the voxels decode to, in the byte order of the file.
    voxel_size : float or None
        Edge of a voxel along x of the file [Angstrom]; None when the header has
        none.
    spacing : tuple of float or None
        Edges along x, y, z of the file [Angstrom]; None like `voxel_size`.
    offset : int
        First byte of the voxels in the (decompressed) file.
    gzipped : bool
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    voxel_size: float | None
    spacing: tuple[float, float, float] | None = None
    offset: int = HEADER_BYTES
    gzipped: bool = False

    @property
    def section_bytes(self):
        """Bytes of one section (index of the slowest axis)."""
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    @property
    def total_bytes(self):
        """Bytes of headers and voxels."""
        return self.offset + self.shape[0] * self.section_bytes


def inspect_mrc(path):
    """Read and check the header of an MRC file; its voxels are not touched.

    Parameters
    ----------
    path : path-like
        MRC2014 or IMOD file, either byte order, plain or gzipped.

    Returns
    -------
    MrcInfo

    Raises
    ------
    InputError
        When there is no such file, it is not an MRC file, holds complex numbers, has
        an empty axis or fewer (or far more) bytes than its header asks for.
    """
    path = Path(path)
    raw, size, gzipped = _read_start(path)
    header = _decode_header(path, raw, GZIP_RATIO * size if gzipped else size)
    spacing = _spacing(header)
    info = MrcInfo(
        path=path,
        shape=_shape(path, header),
        dtype=_dtype(path, header, raw),
        spacing=spacing,
        voxel_size=spacing[0] if spacing else None,
        offset=_offset(path, header),
        gzipped=gzipped,
    )
    if not gzipped:
        check_size(info, size)
    elif info.total_bytes > GZIP_RATIO * size:
        raise InputError(
            f"{path} is damaged: its header asks for {info.total_bytes:,} bytes "
            f"({format_shape(info.shape)} voxels), more than {size:,} bytes of gzip "
            "can hold"
        )
    return info


def check_size(info, size):
    """Reject a file whose bytes are not those its header asks for.

    Parameters
    ----------
    info : MrcInfo
    size : int
        Bytes of the (decompressed) file.
    """
    asks = (
        f"its header asks for {info.total_bytes:,} bytes ({format_shape(info.shape)} "
        f"voxels of {info.dtype.name}), the file has {size:,}"
    )
    surplus = size - info.total_bytes
    if surplus < 0:
        raise InputError(
            f"{info.path} is truncated: {asks}; copy or reconstruct it again"
        )
    if surplus >= info.section_bytes:
        raise InputError(
            f"{info.path} and its header disagree: {asks}; write it again with the "
            "program that made it"
        )
    if surplus:
        warn_once(f"{info.path}: {asks}; the rest is ignored")


def _read_start(path):
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


def _shape(path, header):
    shape = _axis_lengths(header)
    if min(shape) < 1:
        raise InputError(
            f"{path} is empty: its header says {format_shape(shape)} voxels; "
            "reconstruct it again"
        )
    depth = int(header["mz"])
    if 401 <= header["ispg"] <= 630 and 0 < depth < shape[0]:
        raise InputError(
            f"{path} is a stack of {shape[0] // depth} volumes; give one volume a file"
        )
    return shape


def _dtype(path, header, raw):
    mode = int(header["mode"])
    if mode not in READABLE_MODES:
        reason = UNREADABLE_MODES.get(mode, "unknown")
        raise InputError(
            f"{path} has MRC mode {mode} ({reason}); modes "
            f"{', '.join(map(str, READABLE_MODES))} are read"
        )
    if mode == 0 and _has_unsigned_bytes(path, header, raw):
        return np.dtype(np.uint8)
    return dtype_from_mode(mode).newbyteorder(_byte_order(header))


def _has_unsigned_bytes(path, header, raw):
    """Tell IMOD's unsigned bytes from MRC2014's signed ones."""
    stamp, flags = np.frombuffer(raw, f"{_byte_order(header)}i4", count=2, offset=152)
    if stamp == IMOD_STAMP:
        return not flags & IMOD_SIGNED
    low, high = float(header["dmin"]), float(header["dmax"])
    unsigned = low >= 0 and 127 < high <= 255
    if unsigned:
        warn_once(
            f"{path} says that its bytes go from {low:g} to {high:g}; they are read "
            "as unsigned"
        )
    return unsigned


def _spacing(header):
    """Return the edges of a voxel along x, y, z [Angstrom], or None."""
    edges = []
    for cell, intervals in zip("xyz", ("mx", "my", "mz"), strict=True):
        length, count = float(header["cella"][cell]), int(header[intervals])
        if not math.isfinite(length) or length <= 0 or count <= 0:
            return None
        edges.append(float(f"{length / count:.6g}"))  # float32 knows no more digits
    return tuple(edges)


def _offset(path, header):
    extended = int(header["nsymbt"])
    if extended < 0:
        raise InputError(f"{path} is damaged: its extended header has {extended} bytes")
    return HEADER_BYTES + extended


def _decode_header(path, raw, capacity):
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
            f"would say mode {header['mode']}, {format_shape(_axis_lengths(header))} "
            "voxels"
        )
    if doubts:
        endian = {"<": "little", ">": "big"}[_byte_order(header)]
        warn_once(
            f"{path} has {' and '.join(doubts)}; read as a {endian}-endian MRC file "
            f"of {format_shape(_axis_lengths(header))} voxels, mode {header['mode']}"
        )
    return header


def _likelihood(header, capacity):
    """Return 0: no header, 1: one that the file has no room for, 2: a good one."""
    mode = int(header["mode"])
    shape = _axis_lengths(header)
    known = mode in READABLE_MODES or mode in UNREADABLE_MODES
    if not known or min(shape) < 1 or max(shape) > LONGEST_AXIS:
        return 0
    return 2 if math.prod(shape) <= capacity else 1


def _byte_order(header):
    """Return ``<`` or ``>``."""
    return "<" if header.dtype["nx"].newbyteorder("<") == header.dtype["nx"] else ">"


def _axis_lengths(header):
    """Return the shape of the array in the file, slowest axis first."""
    return tuple(int(header[key]) for key in ("nz", "ny", "nx"))


def format_shape(lengths):
    """Return lengths as people write them, such as ``315 x 100 x 326``."""
    return " x ".join(f"{length:.10g}" for length in lengths)
