"""Checks before a run: folders, memory and limits of the process.

Operations are tried instead of asking whether they are supported: a disk that claims to
be writable may not rename or map files, and training would end at its first checkpoint.
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

OPEN_FILES = 65_536  # more than any script needs
MIN_FILES = 64
MIN_MEMORY = 400_000_000  # bytes; the libraries alone need most of it
MIN_TIME = 3600  # seconds of processor time


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes
    ----------
    what : str
        What was checked, such as "memory" or the path of a folder.
    said : str
        What was found, in a few words; empty if not worth printing.
    remedy : str
        What to do about it; empty if all is well.
    serious : bool
        Whether the run cannot start.
    """

    what: str
    said: str
    remedy: str = ""
    serious: bool = True

    @property
    def ok(self):
        """Whether the check passed."""
        return not self.remedy


def check_environment(folders, *, cache=None, room=0, files=0, maps=False, quiet=False):
    """Print one line if a run can start; otherwise raise one error for all problems.

    Parameters
    ----------
    folders : dict of path-like to str
        Folders that will be written, which need not exist yet, and the option that
        names another.
    cache : path-like, optional
        Folder of patches, which need not be writable if it holds all patches.
    room : int
        Free space needed in each of `folders` [bytes].
    files : int
        Number of new files needed in each.
    maps : bool
        Whether files in them are memory-mapped.
    quiet : bool
        Print problems only.

    Raises
    ------
    ResourceError
    """
    found = [
        inspect_folder(folder, option, room=room, files=files, maps=maps)
        for folder, option in folders.items()
    ]
    if cache is not None:
        cached = inspect_folder(cache, "--cache_dir")
        remedy = (
            f"{cached.remedy}, unless all patches are there" if cached.remedy else ""
        )
        found.append(replace(cached, remedy=remedy, serious=False))
    found += inspect_process()
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


def inspect_process():
    """Check the limits of this process; raise that of open files.

    Returns
    -------
    list of Finding
    """
    return [_open_files(), _temporary_files(), _memory(), _time(), _processes()]


def inspect_folder(folder, option, *, room=0, files=0, maps=False):
    """Check a folder, or its first parent that exists, by writing to it.

    Parameters
    ----------
    folder : path-like
    option : str
        Option that names another folder.
    room, files, maps
        As in `check_environment`.

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
        return Finding(str(folder), _reason(place, error), elsewhere)
    free = disk.f_bavail * disk.f_frsize
    if free < room:
        said = f"{free / 1e9:.2f} GB free, {room / 1e9:.2f} GB needed"
        return Finding(str(folder), said, f"make room, or {elsewhere}")
    # File systems without a fixed number of files report 0.
    if disk.f_files and disk.f_favail < files:
        said = f"{disk.f_favail:,} more files can be made, {files:,} are needed"
        return Finding(str(folder), said, f"remove files, or {elsewhere}")
    return Finding(str(folder), f"writable, {free / 1e9:.1f} GB free{said}")


def _try_writing(place, maps):
    """Create, lock, map, rename and remove a small file; return what is unusual."""
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
                with _failure_named("cannot map files into memory"):
                    mmap.mmap(stream.fileno(), mmap.PAGESIZE).close()
        second.touch()
        with _failure_named("cannot rename files"):
            first.replace(second)
    finally:
        for path in (first, second):
            path.unlink(missing_ok=True)
    return said


@contextmanager
def _failure_named(what):
    """Name the operation that failed in the message of an OSError."""
    try:
        yield
    except OSError as error:
        reason = f"its file system {what} ({error.strerror})"
        raise OSError(error.errno, reason) from error


def _reason(place, error):
    """Return why a folder cannot be written, with its owner if that matters."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{place} is a file where a folder should be"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return error.strerror or str(error)
    try:
        owner, rights = place.owner(), oct(place.stat().st_mode & 0o7777)[2:]
    except (KeyError, OSError):  # a user id without a name
        return error.strerror
    return f"{error.strerror}: {place} belongs to {owner}, rights {rights}"


def _open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS has a lower limit than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if 0 <= soft < MIN_FILES:
        remedy = f"raise the limit: ulimit -n {MIN_FILES * 4}"
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
    if 0 <= address < 4 * MIN_MEMORY:
        said = f"{address / 1e9:.1f} GB of addresses allowed"
        return Finding("memory", said, "raise the limit: ulimit -v unlimited")
    if free < MIN_MEMORY:
        remedy = "ask for more, or end what else runs here"
        return Finding("memory", f"{free / 1e9:.2f} GB free", remedy)
    return Finding("memory", f"{free / 1e9:.1f} GB free, {usable_cores()} cores")


def _time():
    seconds, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if not 0 <= seconds < MIN_TIME:
        return Finding("processor time", "")
    said = f"this shell ends every program after {seconds} s of it (ulimit -t)"
    remedy = "run in a job, not on a login node"
    return Finding("processor time", said, remedy, serious=False)


def _processes():
    if has_process_pools():
        return Finding("processes", "")
    remedy = "all is done in one process; give the container a /dev/shm for more"
    return Finding("processes", "/dev/shm is not writable", remedy, serious=False)
