"""Classes that the user names: which candidate is in which, and every change undone.

The same changes on the same table give the same classes; `lib.session.changes` says
what a change is.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.session.changes import describe_change, kind_of, read_color, read_name
from lib.session.lessons import lesson_after
from lib.session.requests import is_index, pack_rows, unpack_rows

MOST_CLASSES = 255  # class numbers are bytes, 0 is none


@dataclass
class NamedClass:
    """A class; its number is `id`."""

    id: int
    name: str
    color: str


class Classes:
    """The classes of N candidates in K clusters.

    Parameters
    ----------
    n_rows, n_clusters : int
        N and K.
    clustering : str
        Digest of the cluster of each row. `plot_2d.py` clusters the same rows anew, and
        a merge of the clusters before it says nothing about those of now.

    Attributes
    ----------
    of_row : ndarray of uint8, shape (N,)
        Class of each candidate, 0 for none.
    classes : dict of int to NamedClass
    merged : dict of int to int
        Clusters that are shown as part of another.
    lessons : dict of int to lib.session.lessons.Lesson
        What classes are taught from, by the number of the class.
    n_outdated : int
        Merges of other clusters, which were left out.
    version : int
        Number of changes, undone ones included.
    """

    def __init__(self, n_rows, n_clusters, clustering):
        self.of_row = np.zeros(n_rows, np.uint8)
        self.n_clusters, self.clustering = n_clusters, clustering
        self.classes, self.merged, self.lessons = {}, {}, {}
        self.n_outdated = 0
        self.version = 0
        self._done, self._undone = [], []  # (change, restore), changes

    def apply(self, change):
        """Carry out a change of the journal.

        Parameters
        ----------
        change : dict
            In the form of `lib.session.changes.normal_change`.

        Raises
        ------
        InputError
            If it cannot be carried out; nothing has changed then.
        """
        op = kind_of(change)
        if op == "undo":
            self._undo()
        elif op == "redo":
            self._redo()
        else:
            self._done.append((change, self._carry_out(change)))
            self._undone = []
        self.version += 1

    def _undo(self):
        if not self._done:
            raise InputError("there is nothing to undo")
        change, restore = self._done.pop()
        restore()
        self._undone.append(change)

    def _redo(self):
        if not self._undone:
            raise InputError("there is nothing to redo")
        change = self._undone.pop()
        self._done.append((change, self._carry_out(change)))

    def _carry_out(self, change):
        """Carry out a change; return a function that takes it back."""
        return {
            "class": self._create,
            "rename": self._rename,
            "recolor": self._recolor,
            "remove": self._remove,
            "assign": self._assign,
            "merge": self._merge,
        }.get(change["op"], self._learn)(change)

    def _create(self, change):
        name, number = self._name(change), change.get("id")
        if not number or not is_index(number, MOST_CLASSES + 1):
            raise InputError(f"{number!r} is not the number of a class")
        if number in self.classes:
            raise InputError(f"there is a class {number} already")
        self.classes[number] = NamedClass(number, name, read_color(change.get("color")))
        return lambda: self.classes.pop(number)

    def _rename(self, change):
        number = change.get("class")
        return self._set(number, "name", self._name(change, self.named(number).id))

    def _recolor(self, change):
        return self._set(change.get("class"), "color", read_color(change.get("color")))

    def _set(self, number, key, value):
        named = self.named(number)
        before = getattr(named, key)
        setattr(named, key, value)
        return lambda: self._set(number, key, before)

    def _remove(self, change):
        named = self.named(change.get("class"))
        members = np.flatnonzero(self.of_row == named.id)
        put_back = self._put(pack_rows(members, len(self.of_row)), 0)
        forget = self._set_lesson(named.id, None)
        del self.classes[named.id]

        def restore():
            self.classes[named.id] = named
            put_back()
            forget()

        return restore

    def _learn(self, change):
        number = self.named(change.get("class")).id
        lesson = lesson_after(self.lessons.get(number), change, len(self.of_row))
        return self._set_lesson(number, lesson)

    def _set_lesson(self, number, lesson):
        """Replace a lesson; return a function that takes it back."""
        before = self.lessons.pop(number, None)
        self.lessons |= {number: lesson} if lesson else {}
        return lambda: self._set_lesson(number, before)

    def _assign(self, change):
        unpack_rows(change.get("rows"), len(self.of_row))  # refused before all else
        if "id" in change:
            remove = self._create(change)
            put_back = self._put(change["rows"], change["id"])
            return lambda: (put_back(), remove())
        number = change.get("class")
        number = 0 if number == 0 else self.named(number).id
        return self._put(change["rows"], number)

    def _put(self, packed, number):
        """Put rows into a class; return a function that takes it back.

        It keeps little: there is one for every change of a session.
        """
        rows = unpack_rows(packed, len(self.of_row))
        before = zlib.compress(self.of_row[rows].tobytes(), 1)
        self.of_row[rows] = number

        def restore():
            rows = unpack_rows(packed, len(self.of_row))
            self.of_row[rows] = np.frombuffer(zlib.decompress(before), np.uint8)

        return restore

    def _merge(self, change):
        if change.get("clustering") != self.clustering:
            self.n_outdated += 1
            return lambda: None
        into, clusters = change.get("into"), change.get("clusters")
        if not isinstance(clusters, list) or not clusters:
            raise InputError("merge needs a list of clusters")
        for cluster in [into, *clusters]:
            if not is_index(cluster, self.n_clusters):
                raise InputError(f"there is no cluster {cluster!r}")
        before, clusters = dict(self.merged), set(clusters)
        into = self.merged.get(into, into)
        # what was merged into one of them follows it
        for cluster in range(self.n_clusters):
            if cluster in clusters or self.merged.get(cluster) in clusters:
                self.merged[cluster] = into
        self.merged.pop(into, None)

        def restore():
            self.merged = before

        return restore

    def named(self, number):
        """Return a class by its number."""
        if not is_index(number, MOST_CLASSES + 1) or number not in self.classes:
            raise InputError(f"there is no class {number!r}; was it removed?")
        return self.classes[number]

    def lesson(self, number):
        """Return what a class is taught from."""
        named = self.named(number)
        if found := self.lessons.get(named.id):
            return found
        raise InputError(f"the class {named.name!r} was not taught")

    def find(self, name):
        """Return a class by its name, or None."""
        same = (c for c in self.classes.values() if c.name == name)
        return next(same, None)

    def free_number(self):
        """Return the number of the next class."""
        for number in range(1, MOST_CLASSES + 1):
            if number not in self.classes:
                return number
        raise InputError(f"there are {MOST_CLASSES} classes, which is the most")

    def _name(self, change, own=None):
        name = read_name(change.get("name"))
        other = self.find(name)
        if other is not None and other.id != own:
            raise InputError(f"there is a class {name!r} already")
        return name

    @property
    def undo_text(self):
        """What would be undone, in words; None if nothing."""
        return describe_change(self._done[-1][0], self) if self._done else None

    @property
    def redo_text(self):
        """What would be done again, in words; None if nothing."""
        return describe_change(self._undone[-1], self) if self._undone else None

    def counts(self):
        """Return the number of candidates in each class, by number."""
        counts = np.bincount(self.of_row, minlength=MOST_CLASSES + 1)
        return {number: int(counts[number]) for number in self.classes}
