"""Patches of any rows, from the mapped columns or from the pictures in ``imgs/``."""

from contextlib import suppress

import numpy as np

from lib.artifacts import open_packed
from lib.errors import user_files

MID_GRAY = 128
LARGEST_EDGE = 512


class MappedPatches:
    """Patches that lie in ``session_columns/``.

    Parameters
    ----------
    views : dict of str to ndarray of uint8, shape (N, H, W)
    """

    def __init__(self, views):
        self._arrays = views
        self.views = list(views)
        self.edge = min(min(v.shape[1:]) for v in views.values())

    @classmethod
    def of(cls, columns):
        """Return the patches beside the columns, or `NO_PATCHES`."""
        return cls(columns.patches) if columns.patches else NO_PATCHES

    def read(self, rows, view=0):
        """Return the patches of rows, uint8, shape (len(rows), edge, edge)."""
        patches = self._arrays[self.views[view]]
        return patches[rows, : self.edge, : self.edge]


class PicturePatches:
    """Patches that lie in ``imgs/``, one picture a row: of tables without columns.

    Parameters
    ----------
    folder : Path
    rows : ndarray of int, shape (N,)
        Number of the picture of each row.
    edge : int
    """

    views = ("slab",)

    def __init__(self, folder, rows, edge):
        self.folder, self.rows, self.edge = folder, rows, edge

    @classmethod
    def of(cls, run, table):
        """Return the patches of a table, or `NO_PATCHES`."""
        rows = np.arange(len(table)) if table.row is None else table.row
        packed = open_packed(run.patch_pictures)
        if packed is not None:
            return PackedPatches(packed, rows)
        with user_files(run.patch_pictures):
            for row in rows[:100].tolist():
                picture = read_picture(run.patch_pictures / f"{row}.png")
                if picture is not None:
                    edge = min(*picture.shape, LARGEST_EDGE)
                    return cls(run.patch_pictures, rows, edge)
        return NO_PATCHES

    def read(self, rows, view=0):
        """Return the patches of rows, gray where there is none."""
        edge = self.edge
        found = np.full((len(rows), edge, edge), MID_GRAY, np.uint8)
        for place, row in enumerate(self.rows[rows].tolist()):
            picture = read_picture(self.folder / f"{row}.png")
            if picture is not None:
                part = picture[:edge, :edge]
                found[place, : part.shape[0], : part.shape[1]] = part
        return found


class PackedPatches:
    """Patches that lie in ``imgs/`` in one file: of tables without columns.

    Parameters
    ----------
    packed : ndarray of uint8, shape (M, H, W)
    rows : ndarray of int, shape (N,)
        Number of the patch of each row.
    """

    views = ("slab",)

    def __init__(self, packed, rows):
        self.packed, self.rows = packed, rows
        self.edge = min(*packed.shape[1:], LARGEST_EDGE)

    def read(self, rows, view=0):
        """Return the patches of rows, gray where there is none."""
        numbers = np.asarray(self.rows[rows], np.int64)
        there = (numbers >= 0) & (numbers < len(self.packed))
        found = np.full((len(numbers), self.edge, self.edge), MID_GRAY, np.uint8)
        found[there] = self.packed[numbers[there], : self.edge, : self.edge]
        return found


class _NoPatches:
    views, edge = (), 0

    def read(self, rows, view=0):
        return np.zeros((len(rows), 0, 0), np.uint8)


NO_PATCHES = _NoPatches()


def read_picture(path):
    """Return a gray picture, uint8, shape (H, W), or None. Links are not followed."""
    from PIL import Image

    if path.is_symlink():
        return None
    with suppress(OSError, ValueError, SyntaxError), Image.open(path) as picture:
        if max(picture.size) <= LARGEST_EDGE:
            return np.asarray(picture.convert("L"))
    return None
