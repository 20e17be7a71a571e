"""What the user decides of the candidates: those given, and those left out."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Chosen:
    """Positions given by the user, by the name of their tomogram.

    Attributes
    ----------
    given : dict of str to ndarray of int32, shape (N, 3), or None
        (x, y, z) [voxels as read], each once; None where the search decides.
    excluded : dict of str to ndarray of int32, shape (M, 3)
        What lies near one of these is left out.
    distance : float
        [voxels of the whole tomogram].
    z_step : int
        Slices of the tomogram in one step of z: 2 with ``--compress``.
    """

    given: dict | None = None
    excluded: dict = field(default_factory=dict)
    distance: float = 0.0
    z_step: int = 1

    @property
    def is_given(self):
        """Whether the candidates are given, so that nothing is searched."""
        return self.given is not None

    def count(self, name):
        """Return how many candidates are given in a tomogram."""
        return len(self.given[name])

    def key(self, name):
        """Return what decides the candidates of a tomogram beside the search.

        Returns
        -------
        list
            In the types of json; empty where only the search decides.
        """
        parts = []
        if self.is_given:
            parts.append(["given", _digest(self.given[name])])
        if len(self.excluded.get(name, ())):
            excluded = _digest(self.excluded[name])
            parts.append(["excluded", excluded, self.distance])
        return parts

    def keeps(self, name, coords):
        """Return which candidates are far enough from what is excluded, (N,) bool."""
        excluded = self.excluded.get(name, ())
        if not len(excluded) or not len(coords):
            return np.ones(len(coords), bool)
        scale = np.array([1, 1, self.z_step])
        nearest, _ = cKDTree(excluded * scale).query(coords * scale)
        return nearest > self.distance


def _digest(coords):
    return hashlib.sha256(np.ascontiguousarray(coords, "<i4").tobytes()).hexdigest()


SEARCHED = Chosen()
