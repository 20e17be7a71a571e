"""What the header of an MRC file says, checked against the bytes that are on the disk.

Nothing is allocated or mapped before the size of the file allows it. mrcfile allocates
the extended header that a damaged file claims, and reads IMOD's unsigned bytes as
signed.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mrcfile.utils import dtype_from_mode

from lib.errors import InputError, format_shape, warn_once
from lib.inputs.mrc_header import (
    GZIP_RATIO,
    HEADER_BYTES,
    READABLE_MODES,
    UNREADABLE_MODES,
    axis_lengths,
    byte_order,
    decode_header,
    read_start,
)

IMOD_STAMP = 1146047817  # at byte 152; the flags follow it
IMOD_SIGNED = 1
FINEST, COARSEST = 0.5, 100.0  # voxels that a tomogram can have [Angstrom]
PLAIN_AXES = (1, 2, 3)
DEFAULT_SIZE = 1.0  # what many programs write that do not know it [Angstrom]


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
    axes : tuple of int
        Which of x (1), y (2), z (3) the axes of the file are, the fastest first, by
        its header. Nearly all programs write 1, 2, 3, whatever they are.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    voxel_size: float | None
    spacing: tuple[float, float, float] | None = None
    offset: int = HEADER_BYTES
    gzipped: bool = False
    axes: tuple[int, int, int] = PLAIN_AXES

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
    raw, size, gzipped = read_start(path)
    header = decode_header(path, raw, GZIP_RATIO * size if gzipped else size)
    spacing = _spacing(header)
    info = MrcInfo(
        path=path,
        shape=_shape(path, header),
        dtype=_dtype(path, header, raw),
        spacing=spacing,
        voxel_size=spacing[0] if spacing else None,
        offset=_offset(path, header),
        gzipped=gzipped,
        axes=tuple(int(header[key]) for key in ("mapc", "mapr", "maps")),
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
        warn_once(
            f"{info.path}: {asks}; the rest is ignored. If it is an extended header "
            "that the header does not count (nsymbt, byte 92), all voxels are shifted"
        )


def _shape(path, header):
    shape = axis_lengths(header)
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
    return dtype_from_mode(mode).newbyteorder(byte_order(header))


def _has_unsigned_bytes(path, header, raw):
    """Tell IMOD's unsigned bytes from MRC2014's signed ones."""
    stamp, flags = np.frombuffer(raw, f"{byte_order(header)}i4", count=2, offset=152)
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


def find_voxel_size(info, tilt_info=None):
    """Return the voxel size of a tomogram [Angstrom], or None where it is unknown.

    A header without one is a gap, which the tilt images fill: they are as wide as the
    tomogram, so that their pixels are as large as its voxels. What is taken from them,
    what stays unknown, and voxels that are no cubes, are warned of.

    Parameters
    ----------
    info : MrcInfo
    tilt_info : MrcInfo, optional
        Of the aligned tilt series.
    """
    if info.spacing is None:
        pixel = tilt_info.voxel_size if tilt_info else None
        if pixel and pixel != DEFAULT_SIZE and FINEST <= pixel <= COARSEST:
            warn_once(
                f"{info.path} has no voxel size in its header: {pixel:g} Angstrom is "
                f"taken, the pixel size of {tilt_info.path}, which is as wide; give "
                "--voxel_size if it is another one"
            )
            return pixel
        warn_once(
            f"{info.path} has no voxel size in its header; it stays unknown, unless "
            "given with --voxel_size"
        )
    elif max(info.spacing) > 1.01 * min(info.spacing):
        warn_once(
            f"{info.path} has voxels of {format_shape(info.spacing)} Angstrom; they "
            f"are taken as cubes of {info.voxel_size:g}"
        )
    return info.voxel_size


def _offset(path, header):
    extended = int(header["nsymbt"])
    if extended < 0:
        raise InputError(f"{path} is damaged: its extended header has {extended} bytes")
    return HEADER_BYTES + extended
