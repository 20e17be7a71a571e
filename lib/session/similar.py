"""Likeness of every candidate to some of them: the cosine of their embeddings."""

import numpy as np

from lib.errors import InputError

BLOCK = 65_536  # rows at a time


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
    mean = unit[rows].astype(np.float32).mean(axis=0)
    mean /= max(float(np.linalg.norm(mean)), 1e-12)
    score = np.empty(len(unit), np.float32)
    for start in range(0, len(unit), BLOCK):
        part = unit[start : start + BLOCK].astype(np.float32)
        score[start : start + len(part)] = part @ mean
    return score.clip(-1, 1)
