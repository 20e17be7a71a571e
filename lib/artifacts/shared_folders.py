"""Atomic writes of folders that several processes may make at the same time.

Other processes may run on other machines: a folder that existed a moment ago may be
gone, and the other way around.
"""

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from lib.artifacts.files import (
    NO_SYNC,
    partial_path,
    remove_at_once,
    remove_partial_files,
)
from lib.errors import user_files

TRIES = 20  # to replace a folder that others replace at the same time
# Errors of a rename when another process was first. POSIX allows two for a folder that
# is not empty; the third is for one that is gone, perhaps by an earlier call of this
# process whose answer the network lost.
_SECOND = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)


@contextmanager
def atomic_folder(path):
    """Yield an empty folder that replaces `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Replaced with its contents; unchanged if the block fails.

    Yields
    ------
    Path
        Of a temporary folder beside `path`.
    """
    remove_partial_files(Path(path).parent)
    with _partial_folder(path) as partial:

        def has_moved(path):  # by a call whose answer was lost
            return path.exists() and not partial.exists()

        yield partial
        _settle(partial, Path(path), stays=has_moved)


@contextmanager
def first_folder(path, *, is_whole):
    """Yield an empty folder that becomes `path`, unless another process was first.

    Its files are flushed to disk before it appears, so that it is complete even after
    a power failure.

    Parameters
    ----------
    path : path-like
    is_whole : callable
        Called with `path`; returns whether the folder there is complete and can stay.

    Yields
    ------
    Path
        Of a temporary folder beside `path`.
    """
    with _partial_folder(path) as partial:
        yield partial
        with user_files(path):
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
        _settle(partial, Path(path), stays=is_whole)


@contextmanager
def _partial_folder(path):
    """Yield a new folder beside `path`; it is removed if it still exists at the end.

    It gets the permissions of any new folder there, by the user's umask or the rules of
    the group; `tempfile.mkdtemp` would give access to its owner alone.
    """
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    with user_files(path):
        partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _settle(partial, path, *, stays):
    """Move a folder to `path`; replace what is there unless `stays` returns True."""
    with user_files(path):
        for tries_left in reversed(range(TRIES)):
            try:
                partial.rename(path)
                break
            except OSError as error:
                if error.errno not in _SECOND:
                    raise
                if stays(path):
                    return
                if not (tries_left and partial.exists()):
                    raise
            remove_at_once(path)
        _sync(path.parent)


def _sync(path):
    """Flush a file, or the names in a folder, to disk if the file system supports it.

    Some network file systems do not support it for folders.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
