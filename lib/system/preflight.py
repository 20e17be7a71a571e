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
from lib.system.machine import available_memory, usable_cores
from lib.system.processes import has_process_pools, startable_threads, threads_needed

OPEN_FILES = 65_536  # the limit is raised to this; no script needs more
MIN_FILES = 64
MIN_MEMORY = 400_000_000  # bytes; the libraries alone need most of it
MIN_TIME = 3600  # seconds of processor time


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes
    ----------
    name : str
        What was checked, such as "memory" or the path of a folder.
    found : str
        What was found, in a few words; empty if not worth printing.
    remedy : str
        What to do about it; empty if all is well.
    fatal : bool
        Whether the run cannot start.
    """

    name: str
    found: str
    remedy: str = ""
    fatal: bool = True

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
    results = [
        inspect_folder(folder, option, room=room, files=files, maps=maps)
        for folder, option in folders.items()
    ]
    if cache is not None:
        cached = inspect_folder(cache, "--cache_dir")
        if not cached.ok:
            remedy = f"{cached.remedy}, unless all patches are there"
            cached = replace(cached, remedy=remedy)
        results.append(replace(cached, fatal=False))
    results += inspect_process()
    failed = [result for result in results if not result.ok]
    for result in failed:
        if not result.fatal:
            warn(f"{result.name}: {result.found}; {result.remedy}")
    fatal = [f"{r.name}: {r.found}; {r.remedy}" for r in failed if r.fatal]
    if fatal:
        raise ResourceError("\n  and ".join(fatal))
    if not quiet:
        passed = [f"{r.name}: {r.found}" for r in results if r.ok and r.found]
        print(f"checked {'; '.join(passed)}", flush=True)


def inspect_process():
    """Check the limits of this process; raise that of open files.

    Returns
    -------
    list of CheckResult
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
    CheckResult
    """
    folder = Path(folder)
    elsewhere = f"name another folder with {option}"
    try:
        existing = folder.absolute()
        while not (existing.exists() or existing.is_symlink()):
            existing = existing.parent
        found = _try_writing(existing, maps)
        disk = os.statvfs(existing)
    except OSError as error:
        return CheckResult(str(folder), _reason(existing, error), elsewhere)
    free = disk.f_bavail * disk.f_frsize
    if free < room:
        found = f"{free / 1e9:.2f} GB free, {room / 1e9:.2f} GB needed"
        return CheckResult(str(folder), found, f"make room, or {elsewhere}")
    # File systems without a fixed number of files report 0.
    if disk.f_files and disk.f_favail < files:
        found = f"{disk.f_favail:,} more files can be made, {files:,} are needed"
        return CheckResult(str(folder), found, f"remove files, or {elsewhere}")
    return CheckResult(str(folder), f"writable, {free / 1e9:.1f} GB free{found}")


def _try_writing(folder, maps):
    """Create, lock, map, rename and remove a small file; return what is unusual."""
    first, second = (partial_path(folder / "preflight") for _ in range(2))
    try:
        with first.open("xb+") as stream:
            stream.write(bytes(mmap.PAGESIZE))
            stream.flush()
            found = "" if has_flock(stream) else ", locks by file (flock rejected)"
            try:
                first.chmod(0o600)
            except OSError:
                found += ", rights cannot be changed"
            if maps:
                with _failure_named("cannot map files into memory"):
                    mmap.mmap(stream.fileno(), mmap.PAGESIZE).close()
        second.touch()
        with _failure_named("cannot rename files"):
            first.replace(second)
    finally:
        for path in (first, second):
            path.unlink(missing_ok=True)
    return found


@contextmanager
def _failure_named(operation):
    """Name the operation that failed in the message of an OSError."""
    try:
        yield
    except OSError as error:
        reason = f"its file system {operation} ({error.strerror})"
        raise OSError(error.errno, reason) from error


def _reason(folder, error):
    """Return why a folder cannot be written, with its owner if that matters."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{folder} is a file where a folder should be"
    if folder.is_symlink() and not folder.exists():
        return f"{folder} is a link to {folder.readlink()}, which does not exist"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return error.strerror or str(error)
    try:
        owner, rights = folder.owner(), oct(folder.stat().st_mode & 0o7777)[2:]
    except (KeyError, OSError):  # a user id without a name
        return error.strerror
    return f"{error.strerror}: {folder} belongs to {owner}, rights {rights}"


def _open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        with suppress(OSError, ValueError):  # macOS has a lower limit than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            soft = target
    if 0 <= soft < MIN_FILES:
        remedy = f"raise the limit: ulimit -n {MIN_FILES * 4}"
        return CheckResult("open files", f"{soft} allowed", remedy)
    return CheckResult("open files", "no limit" if soft < 0 else f"up to {soft:,}")


def _temporary_files():
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(2**16))
    except OSError as error:
        remedy = "export TMPDIR=/a/folder that can be written and has room"
        return CheckResult("temporary files", error.strerror or str(error), remedy)
    return CheckResult("temporary files", "")


def _memory():
    free = available_memory()
    address, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= address < 4 * MIN_MEMORY:
        found = f"{address / 1e9:.1f} GB of addresses allowed"
        return CheckResult("memory", found, "raise the limit: ulimit -v unlimited")
    if free < MIN_MEMORY:
        remedy = "ask for more, or end what else runs here"
        return CheckResult("memory", f"{free / 1e9:.2f} GB free", remedy)
    return CheckResult("memory", f"{free / 1e9:.1f} GB free, {usable_cores()} cores")


def _time():
    seconds, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if not 0 <= seconds < MIN_TIME:
        return CheckResult("processor time", "")
    found = f"this shell ends every program after {seconds} s of it (ulimit -t)"
    remedy = "run in a job, not on a login node"
    return CheckResult("processor time", found, remedy, fatal=False)


def _processes():
    room = startable_threads(needed := threads_needed())
    if room < needed:
        found = f"room for {room} further ones and threads, {needed} are needed"
        remedy = "raise the limit (ulimit -u, or the container's), or end others"
        return CheckResult("processes", found, remedy)
    if has_process_pools():
        return CheckResult("processes", "")
    remedy = "all is done in one process; give the container a /dev/shm for more"
    return CheckResult("processes", "/dev/shm is not writable", remedy, fatal=False)
