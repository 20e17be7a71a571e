"""The voxels of an MRC file: mapped, or read a few sections at a time."""

import gzip
import math
import os
import zlib

import numpy as np

from lib.errors import InputError, warn_once
from lib.inputs.mrc import check_size

BLOCK_BYTES = 2**23
# Integers read with the wrong sign wrap around: the middle of their histogram is empty
# and both ends are full, where a histogram that is read as written fades out.
BINS = 256
GAP = 16  # bins in a row that hold next to nothing
NOTHING = 1e-4  # part of the voxels in each bin of a gap
END = 8  # bins at each end, but for the last one, where clipped values gather
FULL = 3e-3  # part of the voxels in each end
SIDE = 0.02  # part of the voxels on each side of the gap


def map_voxels(info):
    """Return the voxels without reading them, in the order of the file.

    Parameters
    ----------
    info : MrcInfo

    Returns
    -------
    ndarray, shape `info.shape`, dtype `info.dtype`
        Read-only map of the file; of a gzipped file a decompressed copy.
    """
    if info.gzipped:
        return _decompress(info)
    try:
        mapped = np.memmap(info.path, info.dtype, "r", info.offset, info.shape)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{info.path} cannot be read: {reason}") from error
    return mapped.view(np.ndarray)


def block_ranges(info):
    """Return (start, stop) of the blocks to read a file in; every start is even."""
    step = max(2, BLOCK_BYTES // info.section_bytes // 2 * 2)
    sections = info.shape[0]
    return [(start, min(start + step, sections)) for start in range(0, sections, step)]


def read_sections(info, ranges):
    """Yield ``file[start:stop]`` for each (start, stop) of `ranges`.

    Plain reads, not a map: a file that shrinks or a disk that fails meanwhile is
    then an error with a name instead of a dead process, and network disks are
    read in long runs.

    Parameters
    ----------
    info : MrcInfo
    ranges : iterable of (int, int)

    Yields
    ------
    ndarray, shape (stop - start, ...), dtype `info.dtype`
    """
    if info.gzipped:
        voxels = _decompress(info)
        yield from (voxels[start:stop] for start, stop in ranges)
        return
    try:
        with info.path.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno()).st_mtime_ns
            for start, stop in ranges:
                yield _read_block(stream, info, start, stop)
            if os.fstat(stream.fileno()).st_mtime_ns != before:
                raise InputError(
                    f"{info.path} changed while it was read: is it still being "
                    "written? Run again when it is whole"
                )
    except OSError as error:
        raise InputError(f"{info.path} cannot be read: {error.strerror}") from error


def _read_block(stream, info, start, stop):
    block = np.empty((stop - start, *info.shape[1:]), info.dtype)
    buffer = memoryview(block.reshape(-1).view(np.uint8))
    stream.seek(info.offset + start * info.section_bytes)
    while buffer:
        count = stream.readinto(buffer)
        if not count:
            raise InputError(
                f"{info.path} ended {len(buffer):,} bytes before section {stop}; was "
                "it changed meanwhile?"
            )
        buffer = buffer[count:]
    return block


def _decompress(info):
    """Return the voxels of a gzipped file; memory grows only with what is there."""
    content = bytearray()
    # One section more shows a file that is too long, and reaches the end of a good
    # one, where its checksum is verified.
    limit = info.total_bytes + info.section_bytes
    try:
        with gzip.open(info.path) as stream:
            while chunk := stream.read(min(BLOCK_BYTES, limit - len(content))):
                content += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{info.path} cannot be decompressed beyond {len(content):,} of "
            f"{info.total_bytes:,} bytes: {error}; copy it again"
        ) from error
    check_size(info, len(content))
    count = math.prod(info.shape)
    voxels = np.frombuffer(content, info.dtype, count, info.offset)
    return voxels.reshape(info.shape)


class Extremes:
    """Smallest and largest voxel so far, and how many are not finite."""

    def __init__(self):
        self.low, self.high, self.unusable = math.inf, -math.inf, 0

    def update(self, block):
        """Take in the voxels of `block`."""
        with np.errstate(invalid="ignore"):  # signalling NaNs
            low, high = float(block.min()), float(block.max())
        if math.isfinite(low) and math.isfinite(high):
            self.low, self.high = min(self.low, low), max(self.high, high)
        else:
            self.unusable += block.size - np.count_nonzero(np.isfinite(block))

    @property
    def fault(self):
        """What is wrong with the voxels, or None."""
        if self.unusable:
            return f"{self.unusable:,} not finite"
        return f"all equal ({self.low:g})" if self.low == self.high else None


def read_images(info, kept, angles):
    """Read the usable images of a tilt series.

    Parameters
    ----------
    info : MrcInfo
    kept : ndarray of int, shape (M,)
        The images to read.
    angles : ndarray, shape (T,)
        Of all images, for messages [degrees].

    Returns
    -------
    images : ndarray of float32, shape (N, Y, X)
        Without blank and non-finite ones, of which a warning tells.
    usable : ndarray of int, shape (N,)
        Which they are.

    Raises
    ------
    InputError
        When the file cannot be read, or no image is left.
    """
    images = np.empty((len(kept), *info.shape[1:]), np.float32)
    usable, left_out = [], []
    sections = read_sections(info, [(index, index + 1) for index in kept])
    for index, section in zip(kept, sections, strict=True):
        extremes = Extremes()
        extremes.update(section)
        if extremes.fault:
            where = f"image {index + 1} at {angles[index]:g} degrees"
            left_out.append(f"{where} (pixels {extremes.fault})")
        else:
            images[len(usable)] = section[0]
            usable.append(index)
    counted = (
        f"{len(left_out)} of {len(kept)} images are blank or not finite: "
        f"{', '.join(left_out)}"
    )
    if not usable:
        raise InputError(f"{info.path} cannot be used: {counted}")
    if left_out:
        warn_once(f"{info.path}: {counted}; they are left out")
    return images[: len(usable)], np.array(usable)


def merge_pairs(block, axis):
    """Return the maximum of each pair along `axis`; an odd last one stays alone."""
    moved = np.moveaxis(block, axis, 0)
    pairs = len(moved) // 2
    merged = np.empty((len(moved) - pairs, *moved.shape[1:]), block.dtype)
    np.maximum(moved[0 : 2 * pairs : 2], moved[1 : 2 * pairs : 2], out=merged[:pairs])
    merged[pairs:] = moved[2 * pairs :]
    return np.moveaxis(merged, 0, axis)


def is_wrapped(voxels):
    """Return whether the values of an integer array are wrapped around.

    Parameters
    ----------
    voxels : ndarray
        Of any shape and type; floating point numbers are never wrapped.

    Returns
    -------
    bool
    """
    if voxels.dtype.kind not in "iu" or voxels.dtype.itemsize > 2 or not voxels.size:
        return False
    limits = np.iinfo(voxels.dtype)
    width = (int(limits.max) - int(limits.min) + 1) // BINS
    places = (voxels.astype(np.int32).ravel() - int(limits.min)) // width
    parts = np.bincount(places, minlength=BINS) / voxels.size
    if min(parts[1 : 1 + END].sum(), parts[-1 - END : -1].sum()) < FULL:
        return False
    sums = np.concatenate([[0], np.cumsum(parts)])
    in_gap = sums[GAP:] - sums[:-GAP] < GAP * NOTHING
    below, above = sums[:-GAP], 1 - sums[GAP:]
    return bool((in_gap & (below > SIDE) & (above > SIDE)).any())


def describe_wraparound(path, dtype):
    """Return the error message for a file whose values are wrapped around."""
    other = "unsigned" if dtype.kind == "i" else "signed"
    bits = 8 * dtype.itemsize
    return (
        f"{path} cannot be used: its histogram has a hole in the middle and is full at "
        f"both ends, as where {other} numbers of {bits} bits are read as "
        f"{'signed' if other == 'unsigned' else 'unsigned'} ones, as its header says "
        "they are; correct the header, or write the file again as floating point "
        "numbers (IMOD: clip unwrap, then newstack -mode 2)"
    )
