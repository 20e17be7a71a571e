"""Places for what numba and Matplotlib keep between runs.

Both look in the installation and in the home folder. In a container, or on a compute
node, neither may be writable; numba then refuses to compile at all.
"""

import atexit
import functools
import os
import shutil
import stat
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from lib.errors import ResourceError


def keep_numba_cache():
    """Give numba a folder of ours where it has none; before umap is imported."""
    if not any(map(is_writable, _numba_places())):
        os.environ["NUMBA_CACHE_DIR"] = str(own_folder() / "numba")


def keep_matplotlib_cache():
    """Give Matplotlib a folder of ours where it has none; before it is imported."""
    if not is_writable(_matplotlib_place()):
        place = own_folder() / "matplotlib"
        place.mkdir(exist_ok=True)
        os.environ["MPLCONFIGDIR"] = str(place)


def is_writable(folder):
    """Return whether files can be made in a folder, which need not be there yet.

    A path that is not absolute counts as not writable: that is what is left of a home
    folder that nobody knows.
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
def own_folder():
    """Return a folder for caches that only this user can write to.

    Compiled code is loaded from it: what others could have put there is not used, and
    a new folder is made, which goes with the process.
    """
    try:
        place = Path(tempfile.gettempdir()) / f"caches-of-user-{os.getuid()}"
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if private and found.st_uid == os.getuid() and is_writable(place):
            return place
        place = Path(tempfile.mkdtemp(prefix="caches-"))
    except OSError as error:
        raise ResourceError(
            "no folder for temporary files can be written (TMPDIR, /tmp, this one); "
            "export TMPDIR=/a/folder that can"
        ) from error
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _numba_places():
    """Return where numba looks for a folder that it can write to."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given).absolute()
    if installed := find_spec("umap"):
        yield Path(installed.origin).parent / "__pycache__"
    if sys.platform == "darwin":
        yield _home("Library/Caches/numba")
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or _home(".cache")) / "numba"


def _matplotlib_place():
    if given := os.environ.get("MPLCONFIGDIR"):
        return Path(given).absolute()
    if sys.platform == "darwin":
        return _home(".matplotlib")
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home(".config")) / "matplotlib"


def _home(below):
    """Return a path in the home folder; one that begins with ~ where there is none."""
    try:
        return Path.home() / below
    except RuntimeError:
        return Path("~", below)
