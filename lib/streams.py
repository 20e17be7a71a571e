"""Standard streams whose errors do not end a script.

A batch system may close them, ``| head`` stops reading, an ssh connection breaks, the
disk of a log is full, or the C locale cannot encode an umlaut. Output that cannot be
written is dropped, so that the script continues.
"""

import io
import os
import sys


class _IgnoresErrors(io.FileIO):
    """A file that ignores errors in writing."""

    def write(self, data):
        """Write data, or drop it after an error; return as if it was written."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def make_streams_safe():
    """Replace the standard streams of this process; call once, at its start."""
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - for the whole process
    sys.stdout = _safe(1, sys.stdout, sys.__stdout__)
    sys.stderr = _safe(2, sys.stderr, sys.__stderr__)


def _open_if_closed(number):
    """Open a closed standard stream, so that no other file gets its number."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _safe(number, stream, original):
    """Return a text stream on a file number that ignores errors.

    Parameters
    ----------
    number : int
    stream, original : file object or None
        The current stream and that of Python's start. If they differ, something
        captures the output, and the current one is returned.
    """
    if stream is not original:
        return stream
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_IgnoresErrors(number, "w", closefd=False)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
    )
