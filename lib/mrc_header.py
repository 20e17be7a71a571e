"""What an MRC file says of itself, held against the bytes that are on the disk.

A header is believed only as far as the file can keep its word: nothing is
allocated or mapped before the size on the disk allows it. The layout is that of
mrcfile (MRC2014); the decoding is ours, because mrcfile allocates what a damaged
header claims and reads IMOD's unsigned bytes as signed.
"""

import functools
import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp, dtype_from_mode

from lib.errors import InputError, warn

HEADER_BYTES = HEADER_DTYPE.itemsize
GZIP_MAGIC = b"\x1f\x8b"
# Deflate packs at most 258 bytes into 2 bits: no stream holds more than this.
GZIP_RATIO = 1032
READABLE_MODES = (0, 1, 2, 6, 12)
REFUSED_MODES = {
    3: "complex 16-bit integers: a Fourier transform; give the real-space file",
    4: "complex numbers: a Fourier transform; give the real-space file",
    16: "RGB colours; give the grey volume",
    101: "4-bit integers; unpack it with IMOD's newstack -mode 0",
}
IMOD_STAMP = 1146047817  # at byte 152; the flags follow it
IMOD_SIGNED = 1
# No detector or tomogram is this long; the wrong byte order nearly always is.
LONGEST_AXIS = 2**20

warn_once = functools.cache(warn)


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
    def data_bytes(self):
        """Bytes of all voxels."""
        return self.shape[0] * self.section_bytes


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
        When there is no such file, it is no MRC file, holds complex numbers, has
        an empty axis or fewer (or far more) bytes than its header asks for.
    """
    path = Path(path)
    raw, size, gzipped = _read_start(path)
    header = _decode(path, raw)
    info = MrcInfo(
        path=path,
        shape=_shape(path, header),
        dtype=_dtype(path, header, raw),
        spacing=(spacing := _spacing(header)),
        voxel_size=spacing[0] if spacing else None,
        offset=_offset(path, header),
        gzipped=gzipped,
    )
    if gzipped:
        _check_claim(info, size)
    else:
        check_size(info, size)
    return info


def as_text(shape):
    """Return a shape as people write it, such as ``315 x 100 x 326``."""
    return " x ".join(str(length) for length in shape)


def check_size(info, size):
    """Refuse a file whose bytes are not those its header asks for.

    Parameters
    ----------
    info : MrcInfo
    size : int
        Bytes of the (decompressed) file.
    """
    expected = info.offset + info.data_bytes
    asks = (
        f"its header asks for {expected:,} bytes ({as_text(info.shape)} voxels of "
        f"{info.dtype.name}), the file has {size:,}"
    )
    if size < expected:
        raise InputError(
            f"{info.path} is truncated: {asks}; copy or reconstruct it again"
        )
    if size - expected >= info.section_bytes:
        raise InputError(
            f"{info.path} and its header disagree: {asks}; write it again with the "
            "program that made it"
        )
    if size > expected:
        warn_once(f"{info.path}: {asks}; the rest is ignored")


def _read_start(path):
    """Return the first 1024 bytes, the size on the disk, and whether gzipped."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not an MRC file")
        if not path.is_file():
            raise InputError(f"{path} does not exist, or is no plain file")
        size = path.stat().st_size
        with path.open("rb") as stream:
            raw = stream.read(HEADER_BYTES)
        gzipped = raw.startswith(GZIP_MAGIC)
        if gzipped:
            with gzip.open(path) as stream:
                raw = stream.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if len(raw) < HEADER_BYTES:
        raise InputError(
            f"{path} is no MRC file: it has {len(raw)} bytes, the header alone "
            f"takes {HEADER_BYTES}; is it empty or truncated?"
        )
    return raw, size, gzipped


def _decode(path, raw):
    """Return the header in the byte order that makes sense of it."""
    stored = np.frombuffer(raw, HEADER_DTYPE)[0]
    try:
        order = byte_order_from_machine_stamp(stored["machst"])
        doubts = []
    except ValueError:
        order = "<"
        doubts = ["machine stamp"]
    header = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0]
    other = ">" if order == "<" else "<"
    swapped = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(other))[0]
    if not _is_plausible(header) and _is_plausible(swapped):
        header = swapped
        doubts = ["machine stamp"]
    if bytes(stored["map"])[:3] != b"MAP":
        doubts.insert(0, "MAP mark")
    if doubts and not _is_plausible(header):
        raise InputError(
            f"{path} is no MRC file: mode {header['mode']}, "
            f"{_axes(header)} voxels, without a valid {' and '.join(doubts)}"
        )
    if doubts:
        endian = "big" if header.dtype["nx"].str.startswith(">") else "little"
        warn_once(
            f"{path} has no valid {' and no valid '.join(doubts)}; read as a "
            f"{endian}-endian MRC file of {_axes(header)} voxels"
        )
    return header


def _is_plausible(header):
    mode = int(header["mode"])
    known = mode in READABLE_MODES or mode in REFUSED_MODES
    axes = (int(header[key]) for key in ("nx", "ny", "nz"))
    return known and all(1 <= length <= LONGEST_AXIS for length in axes)


def _axes(header):
    return as_text(int(header[key]) for key in ("nz", "ny", "nx"))


def _shape(path, header):
    shape = tuple(int(header[key]) for key in ("nz", "ny", "nx"))
    if min(shape) < 1:
        raise InputError(
            f"{path} is empty: its header says {_axes(header)} voxels; "
            "reconstruct it again"
        )
    volume_stack, depth = 401 <= header["ispg"] <= 630, int(header["mz"])
    if volume_stack and 0 < depth < shape[0]:
        raise InputError(
            f"{path} is a stack of {shape[0] // depth} volumes; give one volume a file"
        )
    return shape


def _dtype(path, header, raw):
    mode = int(header["mode"])
    if mode not in READABLE_MODES:
        reason = REFUSED_MODES.get(mode, "unknown")
        raise InputError(
            f"{path} has MRC mode {mode} ({reason}); modes "
            f"{', '.join(map(str, READABLE_MODES))} are read"
        )
    if mode == 0 and _has_unsigned_bytes(header, raw):
        return np.dtype(np.uint8)
    return dtype_from_mode(mode).newbyteorder(header.dtype["nx"].str[0])


def _has_unsigned_bytes(header, raw):
    """Tell IMOD's unsigned bytes from MRC2014's signed ones."""
    order = header.dtype["nx"].str[0]
    stamp, flags = np.frombuffer(raw, f"{order}i4", count=2, offset=152)
    if stamp == IMOD_STAMP:
        return not flags & IMOD_SIGNED
    # Older programs say it only by a range that no signed byte has.
    return header["dmin"] >= 0 and 127 < header["dmax"] <= 255


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


def _check_claim(info, size):
    claim = info.offset + info.data_bytes
    if claim > GZIP_RATIO * size:
        raise InputError(
            f"{info.path} is damaged: its header asks for {claim:,} bytes "
            f"({as_text(info.shape)} voxels), more than {size:,} bytes of gzip can hold"
        )
