"""One writer at a time: a lock that also holds where the file system has none.

The kernel's lock (flock) is dropped with the process that holds it, however that ends.
Lustre as it is often mounted, NFS without its lock daemon, CIFS and many object stores
refuse it. There a file that only one process can create stands for the lock.
"""

import errno
import fcntl
import getpass
import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager, suppress

from lib.artifacts.owners import has_ended, owner_of_this
from lib.errors import ResourceError, user_files

NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
BEAT_SECONDS = 15  # how often a holder touches its file
# A file that was not touched for so long is of a process that ended on another machine.
# NFS may show the time of a touch a minute late.
STALE_SECONDS = 120


@contextmanager
def locked(path, *, advice):
    """Hold a lock while the block runs.

    Parameters
    ----------
    path : Path
        Of the lock file, which stays; its folder exists. Where flock is refused,
        ``<path>.held`` beside it exists while the lock is held.
    advice : str
        What a second writer can do, for its refusal.

    Raises
    ------
    ResourceError
        When another process holds the lock.
    """
    with user_files():
        stream = _open(path)
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_FLOCK:
                with _held_by_file(path, advice):
                    yield
                return
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                with user_files(path):
                    raise
            raise _in_use(path, stream.read(), advice) from error
        if stream.writable():
            stream.truncate(0)
            stream.write(_owner())
            stream.flush()
        yield


def has_flock(stream):
    """Return whether the file system of an open file grants the kernel's lock."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_FLOCK
    return True


def _open(path):
    """Open a lock file, which others of the group may have made, and not for writing.

    It gets the rights of its folder: who may write there may also lock.
    """
    try:
        return path.open("r+", encoding="utf-8", errors="replace")
    except FileNotFoundError:
        path.touch()
        with suppress(OSError):  # not every file system changes rights
            path.chmod(path.parent.stat().st_mode & 0o666)
        return path.open("r+", encoding="utf-8", errors="replace")
    except PermissionError:
        return path.open(encoding="utf-8", errors="replace")


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
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(held, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        if _content(held) == mine:
            held.unlink(missing_ok=True)


def _create(held, content):
    """Make the file that stands for the lock; return whether it was not there."""
    try:
        with held.open("x", encoding="utf-8") as stream:
            stream.write(content)
    except FileExistsError:
        return False
    return True


def _content(held):
    try:
        return held.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _beat(held, done):
    while not done.wait(BEAT_SECONDS):
        with suppress(OSError):  # a server may be away; the next beat will arrive
            os.utime(held)


def _is_stale(held, owner):
    """Return whether the process that made a file has ended."""
    ended = _has_ended(owner)
    if ended is not None:
        return ended
    try:
        # By the clock of the file server alone, which may differ from that of here.
        probe = held.with_name(f"{held.name}.{secrets.token_hex(4)}")
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - held.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return True


def _take_away(held, content):
    """Remove a stale file; return whether it was that, and not a successor's."""
    aside = held.with_name(f"{held.name}.{secrets.token_hex(4)}")
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
    """Return whether a holder has ended; None of one that cannot be seen from here."""
    return has_ended(owner.rpartition("(")[2].strip(") \n"))


def _in_use(path, owner, advice):
    # What a file says that this user may not write can be of an earlier holder.
    known = owner.strip() and not _has_ended(owner)
    who = f"process {owner.rpartition(' (')[0]}" if known else "another process"
    return ResourceError(f"{path.parent} is in use by {who}; {advice}")


def _how_it_ends(held):
    return (
        f"A process that was killed on another machine holds it for {STALE_SECONDS} s "
        f"more (then, or if you know that it has ended, remove {held})"
    )
