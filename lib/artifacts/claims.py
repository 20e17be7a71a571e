"""Who works on what in a folder that several jobs share.

A claim is a small file beside the result that its owner is working on. It is made in
one step that fails when the file is there, which the server of a network's file
system decides: no look before, and no lock, which many clusters do not offer. While
its owner works it touches the claim now and then, so that others can tell that one is
alive that they cannot see.

Claims only spare work. That a result is whole, and that the first one stays, is the
matter of `lib.artifacts.first_folder`; so a claim that was given up too early
costs time and nothing else.
"""

import os
import secrets
import threading
import time
from contextlib import contextmanager, suppress

from lib.artifacts.files import PARTIAL
from lib.artifacts.owners import has_ended, owner_of_this
from lib.errors import user_files

BEAT = 15  # seconds between two signs of life
# Without any for so long, an owner has ended. Times of files may be a minute old where
# they come over the network.
PATIENCE = 180


def claim_of(path):
    """Return the claim of the result that shall appear at `path`.

    One that is left over, because nobody wants that result any more, is removed as a
    partial file is.
    """
    return path.with_name(f".{path.name}.claim{PARTIAL}")


@contextmanager
def claim(path):
    """Yield whether this process may make `path`; no other may while the block runs.

    Whether another has finished it has to be looked at within the block: making the
    claim also makes the file system ask its server anew.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    """
    place, token = claim_of(path), f"{owner_of_this()} {secrets.token_hex(4)}"
    with user_files(path.parent):
        try:
            handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            handle = None
    if handle is None:
        yield False
        return
    ended = threading.Event()
    beat = threading.Thread(target=_show_life, args=(place, ended), daemon=True)
    try:
        with user_files(path.parent), os.fdopen(handle, "w") as stream:
            stream.write(token)
        beat.start()
        yield True
    finally:
        ended.set()
        if _read(place) in (token, ""):  # not that of one who took this for dead
            with suppress(OSError):
                place.unlink()


def _show_life(claim, ended):
    while not ended.wait(BEAT):
        with suppress(OSError):  # another took this process for dead
            os.utime(claim)


def _read(claim):
    """Return what a claim says; empty while it is made, None when it is gone."""
    try:
        return claim.read_text()
    except OSError:
        return None


class Watch:
    """Watches the claims of others in a folder, from the moment it is made.

    Clocks of machines differ, so that a sign of life is a time that changes, not one
    that is recent.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder):
        self.folder = folder
        self._seen = {}  # claim: what it said, and since when it says so

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
