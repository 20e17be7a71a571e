"""Files that appear whole or not at all."""

import errno
import os
import re
import secrets
import shutil
import socket
import time
from contextlib import contextmanager
from pathlib import Path

from lib.errors import user_files

PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
LONGEST = 150  # bytes of a name, so that host, process and ending fit into 255
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


def partial_prefix(name):
    """Return how the names of partial files and folders of this process begin.

    Parameters
    ----------
    name : str
        Of the file or folder that they become.
    """
    cut = name.encode()[:LONGEST].decode(errors="ignore")
    return f".{cut}.{_host()}-{os.getpid()}-"


def partial_path(path):
    """Return where to write what becomes the file or folder `path`.

    Such files are made with the rights that the user's umask, the group and the access
    lists of the folder give: tempfile would make them private, and some file systems
    (CIFS, object stores) refuse every later change of rights.
    """
    path = Path(path)
    return path.with_name(partial_prefix(path.name) + secrets.token_hex(4) + PARTIAL)


def synchronize(stream):
    """Bring a file to its disk, where its file system can be asked to."""
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def remove_partial_files(folder):
    """Remove what killed processes left half-written in a folder.

    Other commands may be writing there now. What belongs to a process of this
    machine goes when that process has ended; what another machine, or an earlier
    version, wrote goes when it has not changed for a day.
    """
    for path in Path(folder).glob(f".*{PARTIAL}"):
        if not _is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_abandoned(path):
    owner = re.search(r"\.([\w-]+)-(\d+)-[^.]*" + re.escape(PARTIAL) + "$", path.name)
    if owner is not None and owner[1] == _host():
        return not runs(int(owner[2]))
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:  # finished, or removed, meanwhile
        return False


def _host():
    return re.sub(r"[^a-zA-Z0-9_-]", "_", socket.gethostname())[:32]


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
def whole_file(path, mode="wb"):
    """Open a file that appears at `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Where the file shall appear; its folder is made when missing.
    mode : {"wb", "w"}
        Binary, or UTF-8 text; bytes of a path that are not UTF-8 stay as they are.

    Yields
    ------
    file object
        Of a temporary file in the same folder, synchronised before the move.
    """
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "errors": "surrogateescape"}
    with user_files(path):
        opened = partial.open(mode.replace("w", "x"), **text)
    try:
        with opened as stream:
            yield stream
            with user_files(path):
                synchronize(stream)
        with user_files(path):
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
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path.parent)
    partial, outdated = partial_path(path), partial_path(path)
    with user_files(path):
        partial.mkdir()
        outdated.mkdir()
    try:
        yield partial
        with user_files(path):
            if path.exists():
                path.rename(outdated / path.name)
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(outdated, ignore_errors=True)
