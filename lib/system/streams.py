"""Standard streams that never end the work of a script.

A batch system may close them, ``| head`` stops listening, a terminal goes away with its
ssh, the disk of a log fills, and in the C locale no umlaut can be printed. None of this
is worth hours of training: what cannot be shown is dropped, and the work goes on.
"""

import io
import os
import sys


class _Unheard(io.FileIO):
    """A file whose writes succeed, whether or not anybody takes them."""

    def write(self, data):
        """Write what can be written; return as if all was."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def make_streams_safe():
    """Replace the standard streams of this process by such; once, at its start."""
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - for the whole process
    sys.stdout = _safe(1, sys.stdout, sys.__stdout__)
    sys.stderr = _safe(2, sys.stderr, sys.__stderr__)


def _open_if_closed(number):
    """Keep the next file that is opened from becoming a standard stream."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _safe(number, stream, original):
    """Return a stream on a file number that bears every letter and every reader.

    Parameters
    ----------
    number : int
    stream, original : file object or None
        As it is now, and as Python made it: where they differ, somebody is catching
        what is written, and goes on doing so.
    """
    if stream is not original:
        return stream
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Unheard(number, "w", closefd=False)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
    )
