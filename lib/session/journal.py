"""``picks/``: an append-only journal of what the user did in the explorer.

A change is on the disk before the page is told that it was made, so that a session
that is killed loses nothing. One line is one change, in json. The first line says which
table the rows belong to; a journal of another table is never applied.
"""

import json
import os
from contextlib import ExitStack, suppress
from datetime import datetime

from lib.artifacts import locked
from lib.artifacts.files import synchronize
from lib.errors import ArtifactError, InputError, ResourceError, user_files
from lib.session.classes import Classes

VERSION = 1


class Journal:
    """The changes of one table, and the classes that they give.

    Attributes
    ----------
    path : Path
    classes : lib.session.classes.Classes
    notes : list of str
        What the user has to know of earlier journals.
    read_only : str
        Why nothing can be changed; empty if it can.
    """

    def __init__(self, path, *, fingerprint, rows, clusters, table):
        self.path = path
        self.notes, self.read_only = [], ""
        self._header = {
            "journal": VERSION,
            "fingerprint": fingerprint,
            "rows": rows,
            "table": table,
        }
        self._size = (rows, clusters)
        self.classes = Classes(*self._size)
        self._end = 0  # bytes of the journal that were carried out
        self._stream = None
        self._stack = ExitStack()

    @classmethod
    def open(cls, folder, *, fingerprint, rows, clusters, table):
        """Open the journal of a table, and carry out what is in it.

        Parameters
        ----------
        folder : Path
            ``picks/`` of the run; created.
        fingerprint : str
            Of the rows of the table.
        rows, clusters : int
            Numbers of them.
        table : str
            Name of its file: journals of another table of that name are reported.

        Returns
        -------
        Journal
            Read-only where another session writes it, or the folder cannot be written.
        """
        path = folder / f"{fingerprint}.jsonl"
        facts = {"fingerprint": fingerprint, "rows": rows, "table": table}
        journal = cls(path, clusters=clusters, **facts)
        journal._lock(folder)
        with user_files(path), suppress(FileNotFoundError, NotADirectoryError):
            journal._find_others(folder)
            journal._check_header()
        journal.follow()
        return journal

    def _lock(self, folder):
        advice = "its classes are shown here, but only that session can change them"
        try:
            with user_files(folder):
                folder.mkdir(parents=True, exist_ok=True)
            lock = locked(folder / ".lock", advice=advice)
            self._stack.enter_context(lock)
        except ResourceError as error:
            self.read_only = str(error)

    def _find_others(self, folder):
        """Note the journals of an earlier table of this name."""
        others = []
        for path in sorted(folder.glob("*.jsonl")):
            header = _read_header(path)
            if path != self.path and header.get("table") == self._header["table"]:
                others.append(path.name)
        if others:
            self.notes.append(
                f"{', '.join(others)} in {folder} holds classes of another table (of "
                "another embedding or training): it is kept, and not applied to these "
                "rows"
            )

    def _check_header(self):
        """Put a journal aside whose first line is not of this table."""
        header = _read_header(self.path)
        expected = ("journal", "fingerprint", "rows")
        if all(header.get(key) == self._header[key] for key in expected):
            return
        if not self.path.read_bytes().count(b"\n"):
            return  # killed before its first line was complete
        aside = self.path
        if not self.read_only:
            aside = _free_name(self.path)
            self.path.rename(aside)
        else:
            self.path = _free_name(self.path)
        self.notes.append(
            f"{aside} is not a journal of this table: it is kept, and a new one begun"
        )

    def follow(self):
        """Carry out the changes that were written since: by another session."""
        try:
            with user_files(self.path), self.path.open("rb") as stream:
                stream.seek(self._end)
                content = stream.read()
        except ResourceError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return
            raise
        for line in content.splitlines(keepends=True):
            if not self._carry_out(line):
                break
            self._end += len(line)
        self._put_rest_aside(content)

    def _carry_out(self, line):
        """Carry out one line; return whether it is whole and valid."""
        if not line.endswith(b"\n"):
            return False
        try:
            entry = json.loads(line)
            if "op" in entry:
                self.classes.apply(entry)
        except (ValueError, TypeError, InputError):
            return False
        return True

    def _put_rest_aside(self, content):
        """Keep a copy of lines that cannot be read; a torn last line is dropped."""
        with suppress(FileNotFoundError):
            size = self.path.stat().st_size
            if self.read_only or size == self._end:
                return
            rest = content[len(content) - (size - self._end) :]
            with user_files(self.path):
                if b"\n" in rest:
                    aside = _free_name(self.path)
                    aside.write_bytes(self.path.read_bytes())
                    self.notes.append(
                        f"{self.path} cannot be read after byte {self._end}: what came "
                        f"before is shown, and the whole is kept in {aside}"
                    )
                os.truncate(self.path, self._end)

    def write(self, change):
        """Carry out a change and write it down; return when it is on the disk.

        Raises
        ------
        InputError
            If it cannot be carried out, or nothing can be changed.
        ResourceError
            If it cannot be written; it is not carried out then.
        """
        if self.read_only:
            raise InputError(self.read_only)
        entry = self.classes.normal(change)
        self.classes.apply(entry)
        try:
            self._append({"time": f"{datetime.now():%Y-%m-%d %H:%M:%S}", **entry})
        except BaseException:
            self._start_again()
            raise

    def _append(self, entry):
        with user_files(self.path):
            if self._stream is None:
                self._stream = self.path.open("ab", buffering=0)
            if not self._end:
                self._write_line(self._header)
            self._write_line(entry)

    def _write_line(self, entry):
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        rest = memoryview(line)
        while rest:
            rest = rest[self._stream.write(rest) :]
        synchronize(self._stream)
        self._end += len(line)

    def _start_again(self):
        """Return to what the journal holds, after a change that was not written."""
        with suppress(OSError):
            os.truncate(self.path, self._end)
        self.classes, self._end = Classes(*self._size), 0
        self.follow()

    def close(self):
        """Let another session write."""
        if self._stream is not None:
            self._stream.close()
        self._stack.close()


def read_classes(folder, *, fingerprint, rows, clusters):
    """Return the classes that the journal of a table gives, without a session.

    Raises
    ------
    ArtifactError
        If there is no such journal.
    """
    path = folder / f"{fingerprint}.jsonl"
    if not path.is_file():
        raise ArtifactError(
            f"{path} does not exist: no classes were made of this table; make them "
            "with phoenix_visualization.py"
        )
    facts = {"fingerprint": fingerprint, "rows": rows, "table": ""}
    journal = Journal(path, clusters=clusters, **facts)
    journal.read_only = "only read"
    journal._check_header()
    journal.follow()
    return journal.classes


def _read_header(path):
    """Return the first line of a journal, empty if it is not one."""
    with path.open("rb") as stream:
        line = stream.readline(10_000)
    with suppress(ValueError):
        header = json.loads(line)
        if isinstance(header, dict):
            return header
    return {}


def _free_name(path):
    """Return the first name of the form ``<journal>_2.kept`` that is free."""
    count = 2
    while (free := path.with_name(f"{path.stem}_{count}.kept")).exists():
        count += 1
    return free
