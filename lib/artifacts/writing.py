"""Files that appear whole or not at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from lib.errors import user_files

PARTIAL = ".partial"


def remove_partial_files(folder):
    """Remove what killed processes left half-written in a folder.

    Only for one who holds the folder's lock.
    """
    for path in Path(folder).glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


@contextmanager
def whole_file(path, mode="wb"):
    """Open a file that appears at `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Where the file shall appear; its folder is made when missing.
    mode : {"wb", "w"}
        Binary, or UTF-8 text.

    Yields
    ------
    file object
        Of a temporary file in the same folder, synchronised before the move.
    """
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    with user_files(path):
        handle, partial = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL
        )
    partial = Path(partial)
    encoding = None if "b" in mode else "utf-8"
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            with user_files(path):
                stream.flush()
                os.fsync(stream.fileno())
        with user_files(path):
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that fails does not say whereto
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
