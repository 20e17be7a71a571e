"""Atomic writes of files, and which process a partial file belongs to.

Other processes, also on other machines, may write into the same folder: a file that
existed a moment ago may be gone, and the other way around.
"""

import errno
import os
import re
import secrets
import shutil
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import errno_of, user_files

BEAT_SECONDS = 15  # between two signs of life
PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
LONGEST = 150  # bytes of a name, so that host, process and ending fit into 255
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


def owner_of_this():
    """Return the name of this process among those that share a folder."""
    return f"{_host()}-{os.getpid()}"


def has_ended(owner):
    """Return whether a process has ended; None if it runs on another machine.

    Parameters
    ----------
    owner : str
        What `owner_of_this` returned in that process.
    """
    host, _, process = owner.rpartition("-")
    if host != _host() or not process.isdecimal():
        return None
    return not runs(int(process))


def _host():
    """Return what numbers the processes: the machine, or a container on it."""
    host = re.sub(r"[^a-zA-Z0-9_-]", "_", socket.gethostname())[:64]
    try:  # containers may share the name of their machine, but not its numbers
        return f"{host}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return host


def runs(process):
    """Return whether a process of this machine runs, whoever started it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def signs_of_life(path):
    """Touch a file every `BEAT_SECONDS` while the block runs.

    Other machines cannot see whether this process runs; they can see the time of
    the file change. Touching a file that is gone does not make it again.
    """
    ended = threading.Event()

    def beat():
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # the server may be away: the next one arrives
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def partial_prefix(name):
    """Return how the names of partial files and folders of this process begin.

    Parameters
    ----------
    name : str
        Of the file or folder that they become.
    """
    cut = name.encode()[:LONGEST].decode(errors="ignore")
    return f".{cut}.{owner_of_this()}-"


def partial_path(path):
    """Return where to write what becomes the file or folder `path`.

    Such files get the permissions that the umask, the group and the access lists of
    the folder give. `tempfile` would make them private, and some file systems (CIFS,
    object stores) do not allow to change permissions later.
    """
    path = Path(path)
    return path.with_name(partial_prefix(path.name) + secrets.token_hex(4) + PARTIAL)


def synchronize(stream):
    """Flush a file to disk, if its file system supports that."""
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def remove_partial_files(folder):
    """Remove the partial files and folders of killed processes from a folder.

    Other commands may be writing there now. A partial file of a process on this machine
    is removed if that process has ended; one of another machine, or of an earlier
    version, if it has not changed for a day.
    """
    for path in Path(folder).glob(f".*{PARTIAL}"):
        if _is_abandoned(path):
            remove(path)


def remove(path):
    """Remove a file or folder if it exists and can be removed."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        Path(path).unlink(missing_ok=True)


def remove_at_once(path):
    """Remove a file or folder atomically: no process sees a part of it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
        Whether it was there.
    """
    outdated = partial_path(path)
    try:
        path.rename(outdated)
    except FileNotFoundError:
        return False
    remove(outdated)
    return True


def _is_abandoned(path):
    owner = re.search(r"\.([\w-]+-\d+)-[^.]*" + re.escape(PARTIAL) + "$", path.name)
    if owner is not None and (ended := has_ended(owner[1])) is not None:
        return ended
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:  # finished, or removed, meanwhile; or hidden from us
        return False


@contextmanager
def atomic_write(path, mode="wb", *, new=False):
    """Open a file that appears at `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Path of the finished file; its folder is created if it is missing.
    mode : {"wb", "w"}
        Binary, or UTF-8 text; bytes of a path that are not UTF-8 are kept.
    new : bool
        Raise an error if the file exists, instead of replacing it.

    Yields
    ------
    file object
        Of a temporary file in the same folder, synchronized before the move.

    Raises
    ------
    FileExistsError
        With `new`, if the file exists at the end.
    """
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "errors": "surrogateescape"}
    with user_files(path):
        with suppress(FileNotFoundError):
            os.lstat(path)  # a name that the file system does not allow fails here
        opened = partial.open(mode.replace("w", "x"), **text)
    try:
        with opened as stream:
            yield stream
            with user_files(path):
                synchronize(stream)
        if new:
            _claim_name(path, partial)
        with user_files(path):
            partial.replace(path)
            partial.unlink(missing_ok=True)  # two names of one file are not replaced
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and errno_of(error) and not error.filename:
            error.filename = str(path)  # a write that fails does not say whereto
        raise


def _claim_name(path, partial):
    """Link a file to `path`, in one step that fails if `path` exists."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        if not path.samefile(partial):  # the answer was lost
            raise
    except OSError:  # a file system without hard links: create an empty file
        path.open("x").close()
