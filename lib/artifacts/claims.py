"""Which process works on which result in a folder that several jobs share.

A claim is a small file beside the result that its owner is working on. Creating it
fails if it exists, and the file server decides that, so no lock is needed: many
clusters do not support locks. While its owner works it touches the claim, so that
processes on other machines can tell that it is alive.

Claims only avoid duplicate work. `lib.artifacts.first_folder` makes sure that a result
is complete and that the first one stays, so a claim that is given up too early costs
time and nothing else.
"""

import os
import secrets
import time
from contextlib import contextmanager, suppress

from lib.artifacts.files import PARTIAL
from lib.artifacts.owners import has_ended, owner_of_this, signs_of_life
from lib.errors import user_files

# Without a sign of life for so long, an owner has ended. Times of files may be a minute
# old where they come over the network.
PATIENCE = 180  # seconds


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
