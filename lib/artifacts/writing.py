"""Files that appear whole or not at all."""

import os
import re
import shutil
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from lib.errors import user_files

PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
LONGEST = 150  # bytes of a name, so that host, process and ending fit into 255


def partial_prefix(name):
    """Return how the names of partial files and folders of this process begin.

    Parameters
    ----------
    name : str
        Of the file or folder that they become.
    """
    cut = name.encode()[:LONGEST].decode(errors="ignore")
    return f".{cut}.{_host()}-{os.getpid()}-"


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
        return not _runs(int(owner[2]))
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:  # finished, or removed, meanwhile
        return False


def _host():
    return re.sub(r"[^a-zA-Z0-9_-]", "_", socket.gethostname())[:32]


def _runs(process):
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
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path.parent)
    named = {"dir": path.parent, "prefix": partial_prefix(path.name), "suffix": PARTIAL}
    with user_files(path):
        partial = Path(tempfile.mkdtemp(**named))
        outdated = Path(tempfile.mkdtemp(**named))
    try:
        with user_files(path):
            partial.chmod(0o777 & ~_umask())
        yield partial
        with user_files(path):
            if path.exists():
                path.rename(outdated / path.name)
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(outdated, ignore_errors=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
