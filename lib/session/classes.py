"""Classes that the user names: which candidate is in which, and every change undone.

A change is a dictionary in the types of json, as the page sends it and as the journal
keeps it. The same changes on the same table give the same classes.
"""

import base64
import binascii
import re
import zlib
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

MOST_CLASSES = 255  # class numbers are bytes, 0 is none
LONGEST_NAME = 100
FEW = 2000  # rows that are written one by one; more are a mask of all
COLORS = [
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#999999",
    "#88ccee",
    "#44aa99",
]


@dataclass
class NamedClass:
    """A class; its number is `id`."""

    id: int
    name: str
    color: str


class Classes:
    """The classes of N candidates in K clusters.

    Attributes
    ----------
    of_row : ndarray of uint8, shape (N,)
        Class of each candidate, 0 for none.
    classes : dict of int to NamedClass
    merged : dict of int to int
        Clusters that are shown as part of another.
    version : int
        Number of changes, undone ones included.
    """

    def __init__(self, n_rows, n_clusters):
        self.of_row = np.zeros(n_rows, np.uint8)
        self.n_clusters = n_clusters
        self.classes, self.merged = {}, {}
        self.version = 0
        self._done, self._undone = [], []  # (change, restore), changes

    def apply(self, change):
        """Carry out a change, from the page or from the journal.

        Parameters
        ----------
        change : dict
            ``op`` and what it needs.

        Raises
        ------
        InputError
            If it cannot be carried out; nothing has changed then.
        """
        op = change.get("op")
        if op == "undo":
            self._undo()
        elif op == "redo":
            self._redo()
        else:
            self._done.append((change, self._carry_out(change)))
            self._undone = []
        self.version += 1

    def normal(self, change):
        """Return a change in the form that the journal keeps, rows packed."""
        kept = {key: value for key, value in change.items() if value is not None}
        if change.get("op") == "assign":
            kept["rows"] = pack_rows(self._rows(change), len(self.of_row))
        if change.get("op") == "class" and "id" not in kept:
            kept["id"] = self._free_number()
            kept.setdefault("color", COLORS[(kept["id"] - 1) % len(COLORS)])
        return kept

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
        carry_out = {
            "class": self._create,
            "rename": self._rename,
            "recolor": self._recolor,
            "remove": self._remove,
            "assign": self._assign,
            "merge": self._merge,
        }.get(change.get("op"))
        if carry_out is None:
            raise InputError(f"{change.get('op')!r} is not a change of classes")
        return carry_out(change)

    def _create(self, change):
        name = self._name(change)
        number = change.get("id", self._free_number())
        color = _color(change.get("color") or COLORS[(number - 1) % len(COLORS)])
        self.classes[number] = NamedClass(number, name, color)
        return lambda: self.classes.pop(number)

    def _rename(self, change):
        named = self.named(change.get("class"))
        before, after = named.name, self._name(change, named.id)
        named.name = after
        return lambda: setattr(self.classes[named.id], "name", before)

    def _recolor(self, change):
        named = self.named(change.get("class"))
        before, after = named.color, _color(change.get("color"))
        named.color = after
        return lambda: setattr(self.classes[named.id], "color", before)

    def _remove(self, change):
        named = self.named(change.get("class"))
        members = np.flatnonzero(self.of_row == named.id)
        del self.classes[named.id]
        self.of_row[members] = 0

        def restore():
            self.classes[named.id] = named
            self.of_row[members] = named.id

        return restore

    def _assign(self, change):
        number = change.get("class")
        number = 0 if number == 0 else self.named(number).id
        rows = self._rows(change)
        before = self.of_row[rows]
        self.of_row[rows] = number

        def restore():
            self.of_row[rows] = before

        return restore

    def _merge(self, change):
        into, clusters = change.get("into"), change.get("clusters")
        if not isinstance(clusters, list) or not clusters:
            raise InputError("merge needs a list of clusters")
        for cluster in (into, *clusters):
            if not _is_count(cluster, self.n_clusters):
                raise InputError(f"there is no cluster {cluster!r}")
        before = dict(self.merged)
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
        if not isinstance(number, int) or number not in self.classes:
            raise InputError(f"there is no class {number!r}; was it removed?")
        return self.classes[number]

    def find(self, name):
        """Return a class by its name, or None."""
        same = (c for c in self.classes.values() if c.name == name)
        return next(same, None)

    def _name(self, change, own=None):
        name = change.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InputError("a class needs a name")
        name = " ".join(name.split())
        if len(name) > LONGEST_NAME:
            raise InputError(f"the name of a class has at most {LONGEST_NAME} letters")
        other = self.find(name)
        if other is not None and other.id != own:
            raise InputError(f"there is a class {name!r} already")
        return name

    def _free_number(self):
        for number in range(1, MOST_CLASSES + 1):
            if number not in self.classes:
                return number
        raise InputError(f"there are {MOST_CLASSES} classes, which is the most")

    def _rows(self, change):
        return unpack_rows(change.get("rows"), len(self.of_row))

    @property
    def undo_text(self):
        """What would be undone, in words; None if nothing."""
        return self._words(self._done[-1][0]) if self._done else None

    @property
    def redo_text(self):
        """What would be done again, in words; None if nothing."""
        return self._words(self._undone[-1]) if self._undone else None

    def _words(self, change):
        op, number = change["op"], change.get("class")
        known = self.classes.get(number)
        name = f"“{known.name}”" if known else "a class"
        if op == "assign":
            count = f"{len(self._rows(change)):,} candidates"
            return f"put {count} into {name}" if number else f"take {count} out"
        return {
            "class": f"make the class “{change.get('name')}”",
            "rename": f"rename a class to “{change.get('name')}”",
            "recolor": f"recolor {name}",
            "remove": f"remove {name}",
            "merge": "merge clusters",
        }[op]

    def counts(self):
        """Return the number of candidates in each class, by number."""
        counts = np.bincount(self.of_row, minlength=MOST_CLASSES + 1)
        return {number: int(counts[number]) for number in self.classes}


def unpack_rows(rows, n):
    """Return rows as ascending indices.

    Parameters
    ----------
    rows : dict
        ``{"list": [...]}``; or ``{"mask": text}``, base64 of n bits, least significant
        bit first; or ``{"packed": text}``, the same compressed by zlib.
    n : int
        Rows of the table.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    InputError
        If it is not of that form, or a row is not in the table.
    """
    wrong = "rows must be a list of row numbers, or a mask of all candidates"
    if not isinstance(rows, dict):
        raise InputError(wrong)
    if "list" in rows:
        listed = rows["list"]
        if not isinstance(listed, list) or not all(_is_count(row, n) for row in listed):
            raise InputError(f"{wrong}; the table has rows 0 to {n - 1}")
        return np.unique(np.array(listed, np.int64))
    n_bytes = -(-n // 8)
    try:
        bits = base64.b64decode(rows.get("mask", rows.get("packed")), validate=True)
        if "packed" in rows:
            bits = zlib.decompressobj().decompress(bits, n_bytes + 1)
    except (binascii.Error, TypeError, ValueError, zlib.error) as error:
        raise InputError(wrong) from error
    if len(bits) != n_bytes:
        raise InputError(f"{wrong}; the mask has {len(bits)} bytes, expected {n_bytes}")
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    if mask[n:].any():
        raise InputError(f"{wrong}; the table has rows 0 to {n - 1}")
    return np.flatnonzero(mask)


def pack_rows(rows, n):
    """Return rows in the form that the journal keeps; see `unpack_rows`."""
    if len(rows) <= FEW:
        return {"list": rows.tolist()}
    mask = np.zeros(n, bool)
    mask[rows] = True
    bits = np.packbits(mask, bitorder="little").tobytes()
    return {"packed": base64.b64encode(zlib.compress(bits)).decode()}


def _is_count(value, stop):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < stop


def _color(text):
    if not isinstance(text, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise InputError(f"{text!r} is not a color such as #e69f00")
    return text.lower()
