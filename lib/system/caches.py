"""Writable cache folders for numba and Matplotlib.

By default both use the installation or the home folder. In a container or on a compute
node neither may be writable; numba then does not compile at all.
"""

import atexit
import functools
import os
import re
import shutil
import stat
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from lib.errors import ResourceError, warn_once


def ensure_numba_cache():
    """Set NUMBA_CACHE_DIR if numba has no writable folder, before umap is imported."""
    _drop_impossible_threads()
    if not any(map(is_writable, _numba_folders())):
        os.environ["NUMBA_CACHE_DIR"] = str(private_folder() / "numba")


def _drop_impossible_threads():
    """Unset a NUMBA_NUM_THREADS below 1, with which numba cannot be imported."""
    text = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    if re.fullmatch(r"-?\d+", text) and int(text) < 1:
        warn_once(f"NUMBA_NUM_THREADS={text} is ignored: expected 1 or more")
        del os.environ["NUMBA_NUM_THREADS"]


def ensure_matplotlib_cache():
    """Set MPLCONFIGDIR if Matplotlib has no writable folder, before its import."""
    if not is_writable(_matplotlib_folder()):
        folder = private_folder() / "matplotlib"
        folder.mkdir(exist_ok=True)
        os.environ["MPLCONFIGDIR"] = str(folder)


def is_writable(folder):
    """Return whether files can be created in a folder, which need not exist yet.

    A relative path counts as not writable: it stands for an unknown home folder.
    """
    folder = Path(folder)
    if not folder.is_absolute():
        return False
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def private_folder():
    """Return a cache folder that only this user can write to.

    Compiled code is loaded from it, so a folder that others can write to is not used.
    In that case a new folder is created and removed at the end of the process.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"caches-of-user-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if private and status.st_uid == os.getuid() and is_writable(folder):
            return folder
        folder = Path(tempfile.mkdtemp(prefix="caches-"))
    except OSError as error:
        raise ResourceError(
            "no folder for temporary files can be written (TMPDIR, /tmp, this one); "
            "export TMPDIR=/a/folder that can"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _numba_folders():
    """Yield the folders in which numba keeps compiled code, if writable."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given).absolute()
    if installed := find_spec("umap"):
        yield Path(installed.origin).parent / "__pycache__"
    if sys.platform == "darwin":
        yield _home("Library/Caches/numba")
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or _home(".cache")) / "numba"


def _matplotlib_folder():
    if given := os.environ.get("MPLCONFIGDIR"):
        return Path(given).absolute()
    if sys.platform == "darwin":
        return _home(".matplotlib")
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home(".config")) / "matplotlib"


def _home(below):
    """Return a path in the home folder; it starts with ~ if that is unknown."""
    try:
        return Path.home() / below
    except RuntimeError:
        return Path("~", below)
