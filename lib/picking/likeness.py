"""Likeness of every candidate to some of them: the cosine of their embeddings.

What all candidates have in common says nothing about them, and a few directions in
which all differ, such as contrast, would decide every cosine. So embeddings are
centered and partly whitened first (benchmarks/RESULTS.md compares).
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

BLOCK = 65_536  # rows at a time
SHRINKAGE = 0.8  # of the covariance toward a sphere: 1 would not whiten at all
FEWEST = 10  # rows: of fewer, nothing is known about what they have in common


@dataclass(frozen=True)
class LikenessSpace:
    """What embeddings have in common, taken out before they are compared.

    Attributes
    ----------
    mean : ndarray, shape (D,)
        Of the embeddings scaled to length one.
    whiten : ndarray, shape (D, D)
    n_bad : int
        Embeddings that are not finite.
    """

    mean: np.ndarray
    whiten: np.ndarray
    n_bad: int

    @classmethod
    def of(cls, embeddings):
        """Return the space of embeddings (N, D)."""
        n, dim = embeddings.shape
        total, products, count = np.zeros(dim), np.zeros((dim, dim)), 0
        for start in range(0, n, BLOCK):
            part, good = _directions(embeddings[start : start + BLOCK])
            total += part.sum(axis=0)
            products += part.T @ part
            count += int(good.sum())
        if count < FEWEST:
            return cls(np.zeros(dim), np.eye(dim), n - count)
        mean = total / count
        covariance = products / count - np.outer(mean, mean)
        sphere = np.trace(covariance) / dim
        if sphere < 1e-12:  # all alike
            return cls(mean, np.eye(dim), n - count)
        values, vectors = np.linalg.eigh(covariance)
        values = (1 - SHRINKAGE) * values + SHRINKAGE * sphere
        return cls(mean, vectors / np.sqrt(values), n - count)

    def unit(self, embeddings):
        """Return embeddings as directions of this space.

        Parameters
        ----------
        embeddings : ndarray of float32, shape (M, D)

        Returns
        -------
        ndarray of float16, shape (M, D)
            Of length one; zero where an embedding is not finite.
        """
        unit = np.zeros(embeddings.shape, np.float16)
        for start in range(0, len(unit), BLOCK):
            part, good = _directions(embeddings[start : start + BLOCK])
            part[good] = (part[good] - self.mean) @ self.whiten
            lengths = np.linalg.norm(part, axis=1, keepdims=True)
            unit[start : start + BLOCK] = part / np.where(lengths > 1e-9, lengths, 1)
        return unit


def unit_float16(embeddings):
    """Return the directions (N, D) of embeddings in their own space, and `n_bad`."""
    space = LikenessSpace.of(embeddings)
    return space.unit(embeddings), space.n_bad


def _directions(part):
    """Return rows of length one in float64, and which are finite; others are 0."""
    part = part.astype(np.float64)
    lengths = np.linalg.norm(part, axis=1, keepdims=True)
    good = np.isfinite(lengths)
    scaled = np.where(good, part, 0) / np.where(good & (lengths > 0), lengths, 1)
    return scaled, good[:, 0]


def similarity(unit, rows):
    """Return the cosine between every row and the mean direction of some rows.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
        Embeddings of length one; perhaps a map, of which a block is read at a time.
    rows : sequence of int
        Of the candidates searched for.

    Returns
    -------
    ndarray of float32, shape (N,)
        -1 to 1; 0 for an embedding that is not known.

    Raises
    ------
    InputError
        If no row is given, or one is not in the table.
    """
    rows = np.unique(np.asarray(rows, np.int64))
    if not len(rows) or rows[0] < 0 or rows[-1] >= len(unit):
        raise InputError(
            f"similar candidates are searched for one or several of the rows 0 to "
            f"{len(unit) - 1}"
        )
    return cosines(unit, unit[rows])


def cosines(unit, examples):
    """Return the cosine between every row and the mean direction of examples.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
    examples : ndarray of float16, shape (K, D)

    Returns
    -------
    ndarray of float32, shape (N,)
        -1 to 1; 0 for an embedding that is not known.
    """
    mean = examples.astype(np.float32).mean(axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-12)
    score = np.empty(len(unit), np.float32)
    for start in range(0, len(unit), BLOCK):
        part = unit[start : start + BLOCK].astype(np.float32)
        score[start : start + len(part)] = part @ mean
    return score.clip(-1, 1)
