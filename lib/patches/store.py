"""The patch store: what the network sees of every candidate, 8-bit, on disk.

The entries of the cache are memory-mapped, so that memory does not grow with the
number of tomograms.
"""

import numpy as np

from lib.artifacts.measures import join_measures


class PatchStore:
    """The patches of all tomograms of a list, as one table of candidates.

    Parameters
    ----------
    entries : list of lib.patches.entries.Entry
        With their patches, in the order of the image list.
    options : lib.patches.options.PatchOptions
    """

    def __init__(self, entries, options):
        self.entries = entries
        self.options = options
        self.starts = np.cumsum([0] + [len(entry.coords) for entry in entries])
        self.coords = np.concatenate([entry.coords for entry in entries])
        self.names = np.repeat(
            [entry.metadata.name for entry in entries], np.diff(self.starts)
        )

    def __len__(self):
        return int(self.starts[-1])

    @property
    def nbytes(self):
        """Bytes of all patches."""
        return sum(entry.patches.nbytes for entry in self.entries)

    def measures(self):
        """Return what is measured of each candidate; see `lib.artifacts.measures`."""
        return join_measures(
            [entry.measures for entry in self.entries], np.diff(self.starts)
        )

    def normalization(self):
        """Return mean and std of each view's pixels, scaled to 0..1.

        Returns
        -------
        mean, std : list of float, length V
        """
        pixels = sum(entry.metadata.pixels for entry in self.entries)
        total = np.sum([entry.metadata.total for entry in self.entries], axis=0)
        squares = np.sum([entry.metadata.squares for entry in self.entries], axis=0)
        mean = total / pixels
        std = np.sqrt(squares / pixels - mean**2)
        return (mean / 255).tolist(), (std / 255).tolist()

    def gather(self, rows, offsets):
        """Copy patches out of the store.

        Parameters
        ----------
        rows : ndarray of int, shape (B,)
            Candidates.
        offsets : ndarray of int, shape (B,)
            Indices of offsets, see `lib.patches.views.PositivePairs`; 0 is embedded.

        Returns
        -------
        ndarray of uint8, shape (B, V, S, S)
        """
        edge = self.options.edge
        batch = np.empty((len(rows), self.options.views, edge, edge), np.uint8)
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(owner):
            here = owner == number
            local = rows[here] - self.starts[number]
            batch[here] = self.entries[number].patches[local, offsets[here]]
        return batch
