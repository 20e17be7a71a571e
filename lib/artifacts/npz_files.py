"""Arrays of files that stay on the disk: mapped bytes, and an npz of anybody.

No code in an npz is run.
"""

import ctypes
import lzma
import mmap
import os
import weakref
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lib.errors import ArtifactError

# Embeddings and patches compress to a third at best; a zip bomb goes to a thousandth.
MAX_RATIO = 100
HARMLESS_BYTES = 2**24
LARGE = 2**26  # bytes; smaller arrays are read at once

_UNREADABLE = (
    OSError,
    ValueError,  # an array of objects, an invalid header
    EOFError,
    KeyError,
    MemoryError,  # a header that claims more than there is
    RuntimeError,  # an encrypted or unknown member
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


# Python's mmap, and so np.memmap, holds an open file as long as the array lives. A list
# of a thousand tomograms then takes more open files than many clusters allow.
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_int64,  # off_t of every 64-bit system
]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


def read_npz(path, in_pieces=()):
    """Return the arrays of an npz that anybody may have made.

    No code in it is executed, and the sizes that it claims are checked first.

    Parameters
    ----------
    path : path-like
    in_pieces : sequence of str
        Keys of arrays that are only opened if they are large.

    Returns
    -------
    dict of str to ndarray or StoredArray

    Raises
    ------
    ArtifactError
        When it is not an npz, holds anything but plain arrays, is damaged, or would
        unpack to an absurd size.
    """
    path = Path(path)
    try:
        large = _check_sizes(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {
                key: StoredArray.open(path, key)
                if key in in_pieces and key in large
                else stored[key]
                for key in stored.files
            }
        for key, array in arrays.items():
            if not isinstance(array, np.ndarray | StoredArray):
                raise ValueError(f"{key} is not an array")
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return arrays


def _check_sizes(path):
    """Return the keys of large arrays; raise an error if the whole is absurd."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_RATIO * path.stat().st_size + HARMLESS_BYTES:
        raise ValueError(f"it claims to unpack to {unpacked:,} bytes")
    large = (member.filename for member in members if member.file_size > LARGE)
    return {name.removesuffix(".npy") for name in large}


def _unreadable(path, error):
    return ArtifactError(
        f"{path} cannot be read as an .npz of plain arrays ({error}); embed again"
    )


class StoredArray:
    """An array in an npz, of which slices of rows are read one after the other.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    def __init__(self, archive, member, shape, dtype):
        self._archive, self._member = archive, member  # open: it may be replaced
        self.shape, self.dtype = shape, dtype
        self._stream, self._next = None, 0

    @classmethod
    def open(cls, path, key):
        """Open an array; one in Fortran's order, or without axes, is read at once."""
        archive = zipfile.ZipFile(path)  # closed with the last use of it
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as stream:
            shape, by_columns, dtype = _header(stream)
            held = member.file_size - stream.tell()
        if dtype.hasobject or held != dtype.itemsize * np.prod(shape, dtype=np.int64):
            raise ValueError(f"{key} is not a plain array of its size")
        if by_columns or not shape:
            with np.load(path, allow_pickle=False) as stored:
                return stored[key]
        return cls(archive, member, shape, dtype)

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            return np.asarray(self)[rows]
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return np.asarray(self)[rows]
        count, row = max(stop - start, 0), self.dtype.itemsize * self.size // len(self)
        try:
            if self._stream is None or start != self._next:
                self._rewind(start * row)
            read = self._stream.read(count * row)
            if len(read) != count * row:
                raise EOFError("it ends too early")
        except _UNREADABLE as error:
            raise _unreadable(self._archive.filename, error) from error
        self._next = start + count
        return np.frombuffer(read, self.dtype).reshape(count, *self.shape[1:])

    def _rewind(self, offset):
        self._stream = self._archive.open(self._member)
        _header(self._stream)
        self._stream.seek(offset, 1)

    def __array__(self, dtype=None, copy=None):
        """Return the whole array; it is read anew each time."""
        return np.array(self[:], dtype)


def _header(stream):
    """Return shape, whether in Fortran's order, and dtype of an npy file."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy format {version} is not known here")
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def map_bytes(path, shape):
    """Map a file for reading; nothing of it is in memory until it is looked at.

    Parameters
    ----------
    path : path-like
    shape : tuple of int
        Of the whole file; no axis is empty.

    Returns
    -------
    ndarray of uint8
        Read-only; lives on when the file is removed.

    Raises
    ------
    OSError
        When the file cannot be mapped.
    ValueError
        When it holds less than that.
    """
    size = int(np.prod(shape, dtype=np.int64))
    with open(path, "rb") as stream:  # noqa: PTH123 - of any path-like
        held = os.fstat(stream.fileno()).st_size
        if held < size:
            raise ValueError(f"{path} has {held:,} bytes, not {size:,}")
        address = _LIBC.mmap(
            None, size, mmap.PROT_READ, mmap.MAP_PRIVATE, stream.fileno(), 0
        )
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    buffer = (ctypes.c_uint8 * size).from_address(address)
    # Not at the end of the process, when a thread may still be reading.
    weakref.finalize(buffer, _LIBC.munmap, address, size).atexit = False
    array = np.frombuffer(buffer, np.uint8).reshape(shape)
    array.flags.writeable = False
    return array
