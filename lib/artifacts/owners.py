"""Which process wrote something, and whether it still runs."""

import os
import re
import socket
from pathlib import Path


def owner_of_this():
    """Return the name of this process among those that share a folder."""
    return f"{_host()}-{os.getpid()}"


def has_ended(owner):
    """Return whether a process has ended; None of one that cannot be seen from here.

    Parameters
    ----------
    owner : str
        As its `owner_of_this` said.
    """
    host, _, process = owner.rpartition("-")
    if host != _host() or not process.isdecimal():
        return None
    return not runs(int(process))


def _host():
    """Return a word for what numbers the processes: the machine, or a container."""
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
