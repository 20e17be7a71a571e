"""Files and folders that appear whole or not at all.

Others may write into the same folder, from other machines too: what was looked at
may be gone, or there, when it is acted upon.
"""

import errno
import os
import re
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.artifacts.owners import has_ended, owner_of_this
from lib.errors import user_files

PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
LONGEST = 150  # bytes of a name, so that host, process and ending fit into 255
TRIES = 20  # to replace a folder that others replace at the same time
# What a rename says when another was first: POSIX allows two words for a folder with
# something in it; the third is for one that is gone, perhaps by a call of our own whose
# answer the network lost.
_SECOND = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES)


def partial_prefix(name):
    """Return how the names of partial files and folders of this process begin.

    Parameters
    ----------
    name : str
        Of the file or folder that they become.
    """
    cut = name.encode()[:LONGEST].decode(errors="ignore")
    return f".{cut}.{owner_of_this()}-"


def remove_partial_files(folder):
    """Remove what killed processes left half-written in a folder.

    Other commands may be writing there now. What belongs to a process of this
    machine goes when that process has ended; what another machine, or an earlier
    version, wrote goes when it has not changed for a day.
    """
    for path in Path(folder).glob(f".*{PARTIAL}"):
        if _is_abandoned(path):
            remove(path)


def remove(path):
    """Remove a file or folder, as far as it is there and may be removed."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        Path(path).unlink(missing_ok=True)


def _is_abandoned(path):
    owner = re.search(r"\.([\w-]+-\d+)-[^.]*" + re.escape(PARTIAL) + "$", path.name)
    if owner is not None and (ended := has_ended(owner[1])) is not None:
        return ended
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:  # finished, or removed, meanwhile; or hidden from us
        return False


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
            dir=path.parent, prefix=partial_prefix(path.name), suffix=PARTIAL
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


@contextmanager
def whole_folder(path):
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
    partial = _beside(path)
    with user_files(path):
        partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _beside(path):
    return path.with_name(f"{partial_prefix(path.name)}{secrets.token_hex(4)}{PARTIAL}")


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
            outdated = _beside(path)
            with suppress(FileNotFoundError):
                path.rename(outdated)
            shutil.rmtree(outdated, ignore_errors=True)
        _sync(path.parent)


def _sync(path):
    """Bring a file, or the names in a folder, to the disk where that can be asked for.

    Some file systems of networks do not know it of folders.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
