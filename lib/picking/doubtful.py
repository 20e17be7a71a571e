"""What to ask next: candidates whose answers would teach most."""

import numpy as np

CHOICE = 20  # doubtful candidates considered for each one that is asked
TOO_ALIKE = 0.9  # cosine above which a second answer tells little


def most_doubtful(probability, unit, answered, *, count):
    """Return candidates whose probability is nearest one half, and that differ.

    Parameters
    ----------
    probability : ndarray of float32, shape (N,)
        See `lib.picking.teaching.teach`.
    unit : ndarray of float16, shape (N, D)
        Directions of all candidates; see `lib.picking.likeness`.
    answered : sequence of int
        Rows that are not asked again.
    count : int

    Returns
    -------
    ndarray of int64, shape (at most count,)
        Rows, the most doubtful first. Those too much alike one before them come last.
    """
    doubt = np.abs(probability.astype(np.float64) - 0.5)
    doubt[np.asarray(answered, np.int64)] = np.inf
    n_left = int(np.isfinite(doubt).sum())
    choice = min(n_left, CHOICE * count)
    if not choice or count < 1:
        return np.zeros(0, np.int64)
    nearest = np.argpartition(doubt, choice - 1)[:choice]
    # equal doubts in the order of the rows: the same answers ask the same next
    nearest = nearest[np.lexsort((nearest, doubt[nearest]))].astype(np.int64)
    alike = unit[nearest].astype(np.float32)
    alike = alike @ alike.T > TOO_ALIKE
    chosen = []
    for index in range(choice):
        if not alike[index, chosen].any():
            chosen.append(index)
        if len(chosen) == count:
            break
    rest = np.setdiff1d(np.arange(choice), chosen)
    return nearest[np.concatenate([chosen, rest]).astype(int)[:count]]
