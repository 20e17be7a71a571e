"""Folders that appear whole or not at all, whoever else makes them.

Others may do the same at the same time, from other machines too: what was looked at may
be gone, or there, when it is acted upon.
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
# What a rename says when another was first: POSIX allows two words for a folder with
# something in it; the third is for one that is gone, perhaps by a call of our own whose
# answer the network lost.
_SECOND = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)


@contextmanager
def atomic_folder(path):
    """Yield an empty folder that replaces `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Replaced with all that is in it; stays as it is when the block fails.

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
    """Yield an empty folder that becomes `path`, unless another was first.

    What is in it is on the disk before it appears, so that it is whole after a loss
    of power too.

    Parameters
    ----------
    path : path-like
    is_whole : callable
        Takes `path`; tells whether what is there may stay, and be taken instead.

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
    """Yield a new folder beside `path`, which goes if it is still there at the end.

    Its rights are those that the system gives to any new folder there, by the user's
    umask or the group's rules; `tempfile.mkdtemp` would give them to its owner alone.
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
    """Move a folder to `path`, in the place of what is there unless that stays."""
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
    """Bring a file, or the names in a folder, to the disk where that can be asked for.

    Some file systems of networks do not know it of folders.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
