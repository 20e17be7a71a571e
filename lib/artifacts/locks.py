"""One writer at a time: a lock that also works where the file system has none.

The kernel's lock (flock) ends with the process that holds it, however that ends.
Lustre as it is often mounted, NFS without its lock daemon, CIFS and many object stores
do not support it. There, a file that only one process can create is the lock.
"""

import errno
import fcntl
import getpass
import os
import secrets
import socket
import time
from contextlib import contextmanager

from filelock import FileLock, Timeout

from lib.artifacts.files import has_ended, owner_of_this, signs_of_life
from lib.errors import ResourceError, user_files

NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
# A file that was not touched for so long is of a process that ended on another machine.
# NFS may show the time of a touch a minute late.
STALE_SECONDS = 120


@contextmanager
def locked(path, *, advice):
    """Hold a lock while the block runs.

    Parameters
    ----------
    path : Path
        Lock file, which stays; its folder exists. Without flock, ``<path>.held``
        beside it exists while the lock is held.
    advice : str
        What a second writer can do, for its error message.

    Raises
    ------
    ResourceError
        When another process holds the lock.
    """
    with user_files(path):
        # A file of its own: to try the lock itself would be to hold it for a moment.
        trial = _aside(path)
        try:
            with trial.open("x") as stream:
                by_kernel = has_flock(stream)
        finally:
            trial.unlink(missing_ok=True)
    with (_held_by_kernel if by_kernel else _held_by_file)(path, advice):
        yield


def has_flock(stream):
    """Return whether the file system of an open file supports the kernel's lock."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_FLOCK
    return True


@contextmanager
def _held_by_kernel(path, advice):
    with user_files(path):
        # The rights of the folder: who may write there may also lock.
        rights = path.parent.stat().st_mode & 0o666
        lock = FileLock(path, timeout=0, mode=rights)
        owner = _content(path)
        try:
            lock.acquire()
        except Timeout as error:
            raise _in_use(path, owner, advice) from error
    try:
        with user_files(path):
            path.write_text(_owner(), encoding="utf-8")
        yield
    finally:
        lock.release()


@contextmanager
def _held_by_file(path, advice):
    held = path.with_name(f"{path.name}.held")
    mine = _owner()
    with user_files(held):
        if not _create(held, mine):
            found = _content(held)
            if not _is_stale(held, found) or not _take_away(held, found):
                if _has_ended(found) is None:
                    advice = f"{advice}. {_how_it_ends(held)}"
                raise _in_use(path, found, advice)
            if not _create(held, mine):
                raise _in_use(path, _content(held), advice)
    try:
        with signs_of_life(held):
            yield
    finally:
        if _content(held) == mine:
            held.unlink(missing_ok=True)


def _create(held, content):
    """Make the file that is the lock; return whether it was not there."""
    try:
        with held.open("x", encoding="utf-8") as stream:
            stream.write(content)
    except FileExistsError:
        return False
    return True


def _content(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _aside(path):
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}")


def _is_stale(held, owner):
    """Return whether the process that made a file has ended."""
    ended = _has_ended(owner)
    if ended is not None:
        return ended
    try:
        # The clock of the file server counts; the one of this machine may differ.
        probe = _aside(held)
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - held.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return True


def _take_away(held, content):
    """Remove a stale file; return whether it was that, and not a successor's."""
    aside = _aside(held)
    try:
        held.rename(aside)
    except FileNotFoundError:
        return True
    if _content(aside) == content:
        aside.unlink(missing_ok=True)
        return True
    aside.rename(held)
    return False


def _owner():
    """Return who holds a lock from now on: process, host, user and time."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry in the password file
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    place = f"{user} on {socket.gethostname()} since {since}"
    return f"{os.getpid()} of {place} ({owner_of_this()})"


def _has_ended(owner):
    """Return whether a holder has ended; None if it runs on another machine."""
    return has_ended(owner.rpartition("(")[2].strip(") \n"))


def _in_use(path, owner, advice):
    # The text may be of an earlier holder: not everybody can write it.
    known = owner.strip() and not _has_ended(owner)
    who = f"process {owner.rpartition(' (')[0]}" if known else "another process"
    return ResourceError(f"{path.parent} is in use by {who}; {advice}")


def _how_it_ends(held):
    return (
        f"A process that was killed on another machine holds it for {STALE_SECONDS} s "
        f"more (then, or if you know that it has ended, remove {held})"
    )
