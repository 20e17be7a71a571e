"""The voxels of an MRC file: mapped, or read a few sections at a time."""

import gzip
import zlib

import numpy as np

from lib.errors import InputError
from lib.mrc_header import check_size

BLOCK_BYTES = 2**23


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
        return np.memmap(info.path, info.dtype, "r", info.offset, info.shape)
    except (OSError, ValueError) as error:
        raise InputError(f"{info.path} cannot be read: {error}") from error


def block_ranges(info):
    """Return (start, stop) of the blocks a file is read in, each but the last even."""
    step = max(2, BLOCK_BYTES // info.section_bytes // 2 * 2)
    sections = info.shape[0]
    return [(start, min(start + step, sections)) for start in range(0, sections, step)]


def read_sections(info, ranges):
    """Yield ``file[start:stop]`` for each (start, stop) of `ranges`.

    Plain reads, not a map: a file that shrinks or a disk that fails meanwhile is
    then an error with a name instead of a dead process, and network disks are
    read in long runs.
    """
    if info.gzipped:
        voxels = _decompress(info)
        yield from (voxels[start:stop] for start, stop in ranges)
        return
    try:
        with info.path.open("rb", buffering=0) as stream:
            for start, stop in ranges:
                yield _read_block(stream, info, start, stop)
    except OSError as error:
        raise InputError(f"{info.path} cannot be read: {error}") from error


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
    expected = info.offset + info.data_bytes
    content = bytearray()
    try:
        with gzip.open(info.path) as stream:
            # One section more shows a file that is too long, and ends a whole one,
            # where its checksum is verified.
            limit = expected + info.section_bytes
            while chunk := stream.read(min(BLOCK_BYTES, limit - len(content))):
                content += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{info.path} cannot be decompressed after {len(content):,} of "
            f"{expected:,} bytes: {error}; copy it again"
        ) from error
    check_size(info, len(content))
    voxels = np.frombuffer(
        content, info.dtype, info.data_bytes // info.dtype.itemsize, info.offset
    )
    return voxels.reshape(info.shape)
