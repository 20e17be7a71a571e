"""``neighbors.npz``: the nearest rows of every row, searched once for all maps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.artifacts.files import atomic_write
from lib.artifacts.npz_files import read_npz
from lib.errors import ArtifactError


@dataclass(frozen=True)
class Neighbors:
    """The k nearest of N rows, each row itself first.

    Attributes
    ----------
    indices : ndarray of int32, shape (N, k)
    distances : ndarray of float32, shape (N, k)
        Euclidean, of embeddings of length one.
    recall : float
        Share of the true neighbors that are among them; 1 where the search was exact.
    """

    indices: np.ndarray
    distances: np.ndarray
    recall: float = 1.0

    def save(self, path, *, fingerprint):
        """Write them atomically.

        Parameters
        ----------
        path : path-like
        fingerprint : str
            Of the table that the rows belong to.
        """
        with atomic_write(path) as stream:
            np.savez(
                stream,
                fingerprint=fingerprint,
                indices=self.indices,
                distances=self.distances,
                recall=self.recall,
            )

    @classmethod
    def load(cls, path, *, fingerprint, rows, count):
        """Read the `count` neighbors of a table of `rows` rows.

        Returns
        -------
        Neighbors or None
            None if there are none, those of another table or number, or unusable ones:
            they are searched again.
        """
        path = Path(path)
        if not path.is_file():
            return None
        try:
            stored = read_npz(path)
            indices, distances = stored["indices"], stored["distances"]
            same = str(stored["fingerprint"]) == fingerprint
            found = cls(indices, distances, float(stored["recall"]))
        except (ArtifactError, KeyError, TypeError, ValueError):
            return None
        shape = (rows, count)
        if not same or indices.shape != shape or distances.shape != shape:
            return None
        kinds = indices.dtype == np.int32 and distances.dtype == np.float32
        return found if kinds and indices.min() >= -1 and indices.max() < rows else None
