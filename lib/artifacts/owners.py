"""Which process wrote a file, whether it still runs, and its signs of life."""

import os
import re
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_SECONDS = 15  # between two signs of life


def owner_of_this():
    """Return the name of this process among those that share a folder."""
    return f"{_host()}-{os.getpid()}"


def has_ended(owner):
    """Return whether a process has ended; None if it runs on another machine.

    Parameters
    ----------
    owner : str
        What `owner_of_this` returned in that process.
    """
    host, _, process = owner.rpartition("-")
    if host != _host() or not process.isdecimal():
        return None
    return not runs(int(process))


def _host():
    """Return what numbers the processes: the machine, or a container on it."""
    host = re.sub(r"[^a-zA-Z0-9_-]", "_", socket.gethostname())[:64]
    try:  # containers may share the name of their machine, but not its numbers
        return f"{host}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return host


def runs(process):
    """Return whether a process of this machine runs, whoever started it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def signs_of_life(path):
    """Touch a file every `BEAT_SECONDS` while the block runs.

    Other machines cannot see whether this process runs; they can see the time of
    the file change. Touching a file that is gone does not make it again.
    """
    ended = threading.Event()

    def beat():
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # the server may be away: the next one arrives
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
