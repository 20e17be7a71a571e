"""Read an npz that may come from anybody: no code in it runs, no size is believed."""

import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lib.errors import ArtifactError

# Embeddings and patches compress to a third at best; a zip bomb goes to a thousandth.
MAX_RATIO = 100
HARMLESS_BYTES = 2**24

_UNREADABLE = (
    OSError,
    ValueError,  # an array of objects, a header that is no header
    EOFError,
    KeyError,
    MemoryError,  # a header that claims more than there is
    RuntimeError,  # an encrypted or unknown member
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


def read_npz(path):
    """Return the arrays of an npz.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ArtifactError
        When it is no npz, holds anything but plain arrays, is damaged, or would
        unpack to absurd sizes.
    """
    path = Path(path)
    try:
        _check_sizes(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        for key, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{key} is no array")
    except _UNREADABLE as error:
        raise ArtifactError(
            f"{path} cannot be read as an .npz of plain arrays ({error}); embed again"
        ) from error
    return arrays


def _check_sizes(path):
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAX_RATIO * path.stat().st_size + HARMLESS_BYTES:
        raise ValueError(f"it claims to unpack to {unpacked:,} bytes")
