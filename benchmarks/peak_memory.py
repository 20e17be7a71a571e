"""The memory that a process and its children really take."""

import os
import threading
import time
from pathlib import Path


class PeakMemory:
    """The largest anonymous memory of a process and its children in a block.

    Parameters
    ----------
    pid : int, optional
        Of the process; default: this one.
    """

    def __init__(self, pid=None):
        self._pid = pid or os.getpid()

    def __enter__(self):
        """Start to watch."""
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.is_set():
            start = time.monotonic()
            self.peak = max(self.peak, anonymous_memory(self._pid))
            # Of gigabytes, the system takes long to add up and holds the process up.
            time.sleep(max(0.1, 20 * (time.monotonic() - start)))


def anonymous_memory(pid):
    """Return the anonymous memory of a process and its children [bytes]."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = next(
        int(line.split()[1]) for line in rollup.splitlines() if "Anonymous" in line
    )
    return 1024 * own + sum(anonymous_memory(int(child)) for child in children)
