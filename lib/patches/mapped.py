"""Files as arrays, without an open file each.

Python's mmap, and so np.memmap, holds an open file as long as the array lives. A list
of a thousand tomograms then takes more open files than many clusters allow.
"""

import ctypes
import mmap
import os
import weakref

import numpy as np

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_int64,  # off_t of every 64-bit system
]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


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
