"""A second of looking before anything long: what a run would otherwise die of later.

Everything is tried rather than asked for: a disk that says it is writable may refuse to
rename, or to map a file, and then a training ends at its first checkpoint.
"""

import errno
import mmap
import os
import resource
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lib.artifacts.files import partial_path
from lib.artifacts.locks import has_flock
from lib.errors import ResourceError, warn
from lib.system.machine import available_memory, has_process_pools, usable_cores

OPEN_FILES = 65_536  # more than anything here needs; some systems allow a billion
LEAST_FILES = 64
LEAST_MEMORY = 400_000_000  # bytes; the libraries alone take most of it
LITTLE_TIME = 3600  # seconds of processor time


@dataclass(frozen=True)
class Finding:
    """What was found of one part of the surroundings.

    Attributes
    ----------
    what : str
        The part, such as "locks" or the path of a folder.
    said : str
        What was found, in a few words; empty where nobody needs to know.
    remedy : str
        What to do about it; empty where nothing is wrong.
    serious : bool
        Whether the run cannot go on.
    """

    what: str
    said: str
    remedy: str = ""
    serious: bool = True

    @property
    def ok(self):
        """Whether nothing is wrong."""
        return not self.remedy


def check_surroundings(
    folders, *, cache=None, room=0, files=0, maps=False, quiet=False
):
    """Say in one line that a run can begin, or refuse with all that stands against it.

    Parameters
    ----------
    folders : dict of path-like to str
        Folders that will be written, not necessarily there, and the option that names
        another.
    cache : path-like, optional
        Folder of patches, which need not be writable where none is missing.
    room : int
        Least free space in each of `folders` [bytes].
    files : int
        Least number of files that can still be made in each.
    maps : bool
        Whether files in them are written through memory.
    quiet : bool
        Say only what is wrong, as the ranks that do not speak.

    Raises
    ------
    ResourceError
    """
    found = [
        look_at_folder(folder, option, room=room, files=files, maps=maps)
        for folder, option in folders.items()
    ]
    if cache is not None:
        seen = look_at_folder(cache, "--cache_dir")
        remedy = f"{seen.remedy}, unless all patches are there" if seen.remedy else ""
        found.append(replace(seen, remedy=remedy, serious=False))
    found += look_at_process()
    wrong = [finding for finding in found if not finding.ok]
    for finding in wrong:
        if not finding.serious:
            warn(f"{finding.what}: {finding.said}; {finding.remedy}")
    serious = [f"{f.what}: {f.said}; {f.remedy}" for f in wrong if f.serious]
    if serious:
        raise ResourceError("\n  and ".join(serious))
    if not quiet:
        fine = [f"{f.what}: {f.said}" for f in found if f.ok and f.said]
        print(f"checked {'; '.join(fine)}", flush=True)


def look_at_process():
    """Return what was found of the limits of this process; raises that of open files.

    Returns
    -------
    list of Finding
    """
    return [_open_files(), _temporary_files(), _memory(), _time(), _processes()]


def look_at_folder(folder, option, *, room=0, files=0, maps=False):
    """Try in a folder, or in the nearest above it that exists, what a run will do.

    Parameters
    ----------
    folder : path-like
    option : str
        Names another folder.
    room, files, maps
        As in `check_surroundings`.

    Returns
    -------
    Finding
    """
    folder = Path(folder)
    elsewhere = f"name another folder with {option}"
    try:
        place = folder.absolute()
        while not (place.exists() or place.is_symlink()):
            place = place.parent
        said = _try_writing(place, maps)
        disk = os.statvfs(place)
    except OSError as error:
        return Finding(str(folder), _refused(place, error), elsewhere)
    free = disk.f_bavail * disk.f_frsize
    if free < room:
        said = f"{free / 1e9:.2f} GB free, {room / 1e9:.2f} GB needed"
        return Finding(str(folder), said, f"make room, or {elsewhere}")
    # A file system without a fixed number of files counts none.
    if disk.f_files and disk.f_favail < files:
        said = f"{disk.f_favail:,} more files can be made, {files:,} are needed"
        return Finding(str(folder), said, f"remove files, or {elsewhere}")
    return Finding(str(folder), f"writable, {free / 1e9:.1f} GB free{said}")


def _try_writing(place, maps):
    """Make, lock, map, replace and remove a small file; return what is unusual."""
    first, second = (partial_path(place / "preflight") for _ in range(2))
    try:
        with first.open("xb+") as stream:
            stream.write(bytes(mmap.PAGESIZE))
            stream.flush()
            said = "" if has_flock(stream) else ", locks by file (flock refused)"
            try:
                first.chmod(0o600)
            except OSError:
                said += ", rights cannot be changed"
            if maps:
                with _told_as("cannot map files into memory"):
                    mmap.mmap(stream.fileno(), mmap.PAGESIZE).close()
        second.touch()
        with _told_as("cannot rename files"):
            first.replace(second)
    finally:
        for path in (first, second):
            path.unlink(missing_ok=True)
    return said


@contextmanager
def _told_as(what):
    """Say what a file system refused, beside the words of the system."""
    try:
        yield
    except OSError as error:
        reason = f"its file system {what} ({error.strerror})"
        raise OSError(error.errno, reason) from error


def _refused(place, error):
    """Return why a folder cannot be written, and whose it is where that decides."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{place} is a file where a folder should be"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return error.strerror or str(error)
    try:
        owner, rights = place.owner(), oct(place.stat().st_mode & 0o7777)[2:]
    except (KeyError, OSError):  # an owner without a name
        return error.strerror
    return f"{error.strerror}: {place} belongs to {owner}, rights {rights}"


def _open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS has a limit that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if 0 <= soft < LEAST_FILES:
        remedy = f"raise the limit: ulimit -n {LEAST_FILES * 4}"
        return Finding("open files", f"{soft} allowed", remedy)
    return Finding("open files", "no limit" if soft < 0 else f"up to {soft:,}")


def _temporary_files():
    try:
        place = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=place) as stream:
            stream.write(bytes(2**16))
    except OSError as error:
        remedy = "export TMPDIR=/a/folder that can be written and has room"
        return Finding("temporary files", error.strerror or str(error), remedy)
    return Finding("temporary files", "")


def _memory():
    free = available_memory()
    address, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= address < 4 * LEAST_MEMORY:
        said = f"{address / 1e9:.1f} GB of addresses allowed"
        return Finding("memory", said, "raise the limit: ulimit -v unlimited")
    if free < LEAST_MEMORY:
        remedy = "ask for more, or end what else runs here"
        return Finding("memory", f"{free / 1e9:.2f} GB free", remedy)
    return Finding("memory", f"{free / 1e9:.1f} GB free, {usable_cores()} cores")


def _time():
    seconds, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if not 0 <= seconds < LITTLE_TIME:
        return Finding("processor time", "")
    said = f"this shell ends every program after {seconds} s of it (ulimit -t)"
    remedy = "run in a job, not on a login node"
    return Finding("processor time", said, remedy, serious=False)


def _processes():
    if has_process_pools():
        return Finding("processes", "")
    remedy = "all is done in one process; give the container a /dev/shm for more"
    return Finding("processes", "/dev/shm is not writable", remedy, serious=False)
