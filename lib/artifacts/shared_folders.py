"""Results in a folder that several jobs share: claimed by one, and written whole.

Other processes may run on other machines: a folder that existed a moment ago may be
gone, and the other way around. A claim is a small file beside the result that its owner
is working on. Creating it fails if it exists, and the file server decides that, so no
lock is needed: many clusters do not support locks. While its owner works it touches the
claim, so that processes on other machines can tell that it is alive.

Claims only avoid duplicate work. `first_folder` makes sure that a result is complete
and that the first one stays, so a claim given up too early costs time, nothing else.
"""

import errno
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.artifacts.files import (
    NO_SYNC,
    PARTIAL,
    has_ended,
    owner_of_this,
    partial_path,
    remove_at_once,
    remove_partial_files,
    signs_of_life,
)
from lib.errors import user_files

TRIES = 100  # to replace a folder that others replace at the same time
LONGEST_PAUSE = 0.02  # seconds between two of them, at random: else all try together
# Errors of a rename when another process was first. POSIX allows two for a folder that
# is not empty; the third is for one that is gone, perhaps by an earlier call of this
# process whose answer the network lost.
_SECOND = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
# Without a sign of life for so long, an owner has ended. Times of files may be a minute
# old where they come over the network.
PATIENCE = 180  # seconds


@contextmanager
def atomic_folder(path):
    """Yield an empty folder that replaces `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Replaced with its contents; unchanged if the block fails.

    Yields
    ------
    Path
        Of a temporary folder beside `path`.
    """
    remove_partial_files(Path(path).parent)
    with _partial_folder(path) as partial:

        def has_moved(path):  # by a call whose answer was lost
            return path.exists() and not partial.exists()

        yield partial
        _settle(partial, Path(path), stays=has_moved)


@contextmanager
def first_folder(path, *, is_whole):
    """Yield an empty folder that becomes `path`, unless another process was first.

    Its files are flushed to disk before it appears, so that it is complete even after
    a power failure.

    Parameters
    ----------
    path : path-like
    is_whole : callable
        Called with `path`; returns whether the folder there is complete and can stay.

    Yields
    ------
    Path
        Of a temporary folder beside `path`.
    """
    with _partial_folder(path) as partial:
        yield partial
        with user_files(path):
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
        _settle(partial, Path(path), stays=is_whole)


@contextmanager
def _partial_folder(path):
    """Yield a new folder beside `path`; it is removed if it still exists at the end.

    It gets the permissions of any new folder there, by the user's umask or the rules of
    the group; `tempfile.mkdtemp` would give access to its owner alone.
    """
    path = Path(path)
    with user_files():
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    with user_files(path):
        partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _settle(partial, path, *, stays):
    """Move a folder to `path`; replace what is there unless `stays` returns True."""
    with user_files(path):
        for tries_left in reversed(range(TRIES)):
            try:
                partial.rename(path)
                break
            except OSError as error:
                if error.errno not in _SECOND:
                    raise
                if stays(path):
                    return
                if not (tries_left and partial.exists()):
                    raise
            time.sleep(LONGEST_PAUSE * secrets.randbelow(1000) / 1000)
            remove_at_once(path)
        _sync(path.parent)


def _sync(path):
    """Flush a file, or the names in a folder, to disk if the file system supports it.

    Some network file systems do not support it for folders.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)


def claim_of(path):
    """Return the claim file of the result at `path`.

    A claim that is left over is removed with the partial files.
    """
    return path.with_name(f".{path.name}.claim{PARTIAL}")


@contextmanager
def claim(path):
    """Yield whether this process may make `path`; no other may while the block runs.

    Check within the block whether another process has finished it: creating the claim
    also makes the file system ask its server again.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    """
    file, token = claim_of(path), f"{owner_of_this()} {secrets.token_hex(4)}"
    with user_files(path.parent):
        try:
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            handle = None
    if handle is None:
        yield False
        return
    try:
        with user_files(path.parent), os.fdopen(handle, "w") as stream:
            stream.write(token)
        with signs_of_life(file):
            yield True
    finally:
        if _read(file) in (token, ""):  # else another process took this one for dead
            with suppress(OSError):
                file.unlink()


def _read(claim):
    """Return the text of a claim: empty while it is being made, None if it is gone."""
    try:
        return claim.read_text()
    except OSError:
        return None


class Watch:
    """Watches the claims of others in a folder, from the moment it is made.

    The clocks of machines differ, so a sign of life is a time that changes, not one
    that is recent.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder):
        self.folder = folder
        self._seen = {}  # claim: its last state, and since when

    def free(self, paths):
        """Return those of `paths` that nobody alive has claimed.

        Parameters
        ----------
        paths : iterable of Path
            Results in the folder.
        """
        with user_files(self.folder):
            present = {path.name for path in self.folder.iterdir()}
        return [
            path
            for path in paths
            if claim_of(path).name not in present or self._removes(claim_of(path))
        ]

    def _removes(self, claim):
        """Return whether a claim is gone, after removing that of a dead process."""
        state = self._state(claim)
        if state is None:
            return True
        text, now = state[0], time.monotonic()
        before, since = self._seen.setdefault(claim, (state, now))
        if before != state:
            self._seen[claim] = (state, now)
            return False
        ended = has_ended(text.partition(" ")[0]) or now - since > PATIENCE
        if not ended or self._state(claim) != state:
            return False
        with user_files(claim):
            claim.unlink(missing_ok=True)
        return True

    @staticmethod
    def _state(claim):
        try:
            changed = claim.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        return _read(claim) or "", changed
