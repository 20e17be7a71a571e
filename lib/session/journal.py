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
from lib.errors import ArtifactError, InputError, ResourceError, user_files
from lib.session.changes import normal_change
from lib.session.classes import Classes
from lib.session.journal_file import JournalFile, read_header

VERSION = 1


class Journal:
    """The changes of one table, and the classes that they give.

    A session that only looks writes nothing: the first change makes the folder.

    Parameters
    ----------
    folder : Path
        ``picks/`` of the run.
    fingerprint : str
        Of the rows of the table.
    rows, clusters : int
        Numbers of them.
    clustering : str
        Digest of the cluster of each row: see `lib.session.classes.Classes`.
    table : str
        Name of its file: journals of another table of that name are reported.

    Attributes
    ----------
    path : Path
    classes : lib.session.classes.Classes
    notes : list of str
        What the user has to know of earlier journals.
    read_only : str
        Why nothing can be changed; empty if it can.
    """

    def __init__(self, folder, *, fingerprint, rows, clusters, clustering, table):
        self.path = folder / f"{fingerprint}.jsonl"
        self.notes, self.read_only = [], ""
        header = {"journal": VERSION, "fingerprint": fingerprint, "rows": rows}
        compared = tuple(header)
        self._file = JournalFile(self.path, {**header, "table": table}, compared)
        self._size = (rows, clusters, clustering)
        self.classes = Classes(*self._size)
        self._writes = False  # whether this session is the one that may write
        self._stack = ExitStack()

    @classmethod
    def open(cls, folder, **table):
        """Return the journal of a table, with what is in it carried out.

        Parameters
        ----------
        folder : Path
        **table
            The other parameters of a `Journal`.

        Returns
        -------
        Journal
            Read-only where another session writes it, or the folder cannot be written.
        """
        journal = cls(folder, **table)
        journal._find_others()
        journal.refresh()
        return journal

    def refresh(self):
        """Read what others wrote; become the one who writes, if there is none."""
        if self._writes:
            return
        folder = self.path.parent
        if folder.is_dir():
            self._claim()
        elif not os.access(folder.parent, os.W_OK):
            self.read_only = f"{folder.parent} cannot be written: no class can be kept"
        self._follow()

    def _claim(self):
        """Become the one who writes, or say why not."""
        folder = self.path.parent
        advice = "its classes are shown here, and only that session can change them"
        try:
            with user_files(folder):
                folder.mkdir(exist_ok=True)
            self._stack.enter_context(locked(folder / ".lock", advice=advice))
        except ResourceError as error:
            self.read_only = str(error)
            return
        self._writes, self.read_only = True, ""
        self._follow()

    def _find_others(self):
        """Note the journals of an earlier table of this name."""
        others = []
        for path in sorted(self.path.parent.glob("*.jsonl")):
            with suppress(ResourceError):
                table = (read_header(path) or {}).get("table")
                if path != self.path and table == self._file.header["table"]:
                    others.append(path.name)
        if others:
            self._note(
                f"{', '.join(others)} in {self.path.parent} holds classes of another "
                "table (of another embedding or training): it is kept, and not applied "
                "to these rows"
            )

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def _follow(self):
        """Carry out what was written; if it cannot be read, nothing can be changed."""
        try:
            self.read()
        except ResourceError as error:
            self.read_only = str(error)

    def read(self):
        """Carry out what was written since the last time, by this or another session.

        The one who writes puts aside what cannot be read.

        Raises
        ------
        ResourceError
            If the file cannot be read at all.
        """
        if not self._file.end and not self._file.is_ours():
            kept = self._file.put_aside() if self._writes else self.path
            self._note(
                f"{kept} is not a journal of this table: it is kept, and not applied "
                "to these rows"
            )
            return
        lines = self._file.lines()
        while lines and self._carry_out(lines[0]):
            self._file.end += len(lines.pop(0))
        if lines and self._writes:
            at = self._file.end
            if kept := self._file.cut_off(lines):
                self._note(
                    f"{self.path} cannot be read after byte {at}: what came before is "
                    f"shown, and the whole is kept in {kept}"
                )
        if count := self.classes.n_outdated:
            self._note(
                f"{count} merges of clusters are not shown: they are of other clusters "
                "than the table has now"
            )

    def _carry_out(self, line):
        """Carry out one line; return whether it is whole and valid."""
        if not line.endswith(b"\n"):
            return False
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                return False
            if "op" in entry:
                self.classes.apply(entry)
        except (ValueError, RecursionError, InputError):
            return False
        return True

    def write(self, change):
        """Carry out a change of the page and write it down.

        It is on the disk when this returns.

        Parameters
        ----------
        change : dict
            See `lib.session.changes`.

        Raises
        ------
        InputError
            If it cannot be carried out, or nothing can be changed.
        ResourceError
            If it cannot be written; it is not carried out then.
        """
        if not self._writes:
            self._claim()
        if self.read_only:
            raise InputError(self.read_only)
        entry = normal_change(change, self.classes)
        self.classes.apply(entry)
        try:
            self._file.append({"time": f"{datetime.now():%Y-%m-%d %H:%M:%S}", **entry})
        except BaseException:  # return to what the journal holds
            self.classes, self._file.end = Classes(*self._size), 0
            self._follow()
            raise

    def close(self):
        """Let another session write."""
        self._stack.close()


def read_classes(folder, *, fingerprint, rows):
    """Return the classes that the journal of a table gives, without a session.

    Merges of clusters, which change no class, are left out.

    Parameters
    ----------
    folder, fingerprint, rows
        See `Journal`.

    Returns
    -------
    lib.session.classes.Classes

    Raises
    ------
    ArtifactError
        If there is no such journal.
    """
    table = {"clusters": 0, "clustering": "", "table": ""}
    journal = Journal(folder, fingerprint=fingerprint, rows=rows, **table)
    if not journal.path.is_file():
        raise ArtifactError(
            f"{journal.path} does not exist: no classes were made of this table; make "
            "them with phoenix_visualization.py"
        )
    journal.read()
    if not journal._file.end:
        raise ArtifactError(f"{journal.path} is not a journal of this table")
    return journal.classes
