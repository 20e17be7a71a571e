"""The file of a journal: whole lines are read from it, and appended to it."""

import json
import os
from contextlib import suppress

from lib.artifacts.files import synchronize
from lib.errors import ResourceError, user_files

LONGEST_HEADER = 10_000  # bytes


class JournalFile:
    """A file of lines in json, whose first line says what the others are about.

    Parameters
    ----------
    path : Path
    header : dict
        The first line, where this makes the file.
    compared : sequence of str
        What must be the same in the first line of a file that exists.

    Attributes
    ----------
    end : int
        Bytes of it that were read, or written, and understood.
    """

    def __init__(self, path, header, compared):
        self.path, self.header, self.compared = path, header, compared
        self.end = 0

    def is_ours(self):
        """Return whether the file is about the same as the header, or still empty."""
        found = read_header(self.path)
        if found is None:
            return True
        return all(found.get(key) == self.header[key] for key in self.compared)

    def lines(self):
        """Return the lines after `end`; the last is perhaps torn, or being written."""
        try:
            with user_files(self.path), self.path.open("rb") as stream:
                stream.seek(self.end)
                return stream.read().splitlines(keepends=True)
        except ResourceError as error:
            if _is_missing(error):
                return []
            raise

    def append(self, entry):
        """Write a line; return when it is on the disk.

        Raises
        ------
        ResourceError
            If it cannot be written, or another program wrote to the file. Then the
            file is as it was.
        """
        entries = [entry] if self.end else [self.header, entry]
        content = b"".join(json.dumps(part).encode() + b"\n" for part in entries)
        with user_files(self.path), self.path.open("ab", buffering=0) as stream:
            if stream.tell() != self.end:
                raise ResourceError(
                    f"{self.path} was changed by another program: what it holds now "
                    "is shown"
                )
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[stream.write(rest) :]
                synchronize(stream)
            except BaseException:
                with suppress(OSError):
                    stream.truncate(self.end)
                raise
        self.end += len(content)

    def put_aside(self):
        """Rename the file, and return its new name."""
        aside = self._free_name()
        with user_files(self.path):
            return self.path.rename(aside)

    def cut_off(self, lines):
        """Cut off lines that were not understood.

        Parameters
        ----------
        lines : list of bytes
            What follows `end`. A single torn line is of a session that was killed
            before it was written, and is dropped.

        Returns
        -------
        Path or None
            A copy of the whole file, for all other lines.
        """
        aside = None
        with user_files(self.path):
            if len(lines) > 1 or lines[0].endswith(b"\n"):
                aside = self._free_name()
                aside.write_bytes(self.path.read_bytes())
            os.truncate(self.path, self.end)
        return aside

    def _free_name(self):
        """Return the first name of the form ``<journal>_2.kept`` that is free."""
        count = 2
        while (free := self.path.with_name(f"{self.path.stem}_{count}.kept")).exists():
            count += 1
        return free


def read_header(path):
    """Return the first line of a journal, {} if it is not one, None if there is none.

    A file without a whole line is that of a session that was killed as it began.
    """
    try:
        with user_files(path), path.open("rb") as stream:
            line = stream.readline(LONGEST_HEADER)
    except ResourceError as error:
        if _is_missing(error):
            return None
        raise
    if not line.endswith(b"\n") and len(line) < LONGEST_HEADER:
        return None
    with suppress(ValueError, RecursionError):
        header = json.loads(line)
        if isinstance(header, dict):
            return header
    return {}


def _is_missing(error):
    return isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
