"""Scores of all candidates from a few that are of a kind, and a few that are not."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from lib.errors import InputError
from lib.picking.likeness import cosines

BACKGROUND = 2000  # candidates that stand for all others, which are mostly of no kind
EVEN = 50  # answers at which likeness and classifier count the same


def teach(unit, yes, no, *, seed):
    """Return a score of every candidate from examples and counterexamples.

    With few answers it is the likeness to the examples, which a classifier of few
    answers does not reach; the more answers, the more the classifier counts: a logistic
    regression of the examples against the counterexamples and candidates at random.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
        Directions of all candidates; see `lib.picking.likeness`.
    yes, no : ndarray of float16, shape (Y, D) and (M, D)
        Directions of examples and counterexamples.
    seed : int
        Of the candidates at random.

    Returns
    -------
    ndarray of float32, shape (N,)
        -1 to 1. Its order counts: it is no probability.

    Raises
    ------
    InputError
        If there are no examples, or one of them is a counterexample, too.
    """
    if not len(yes):
        raise InputError("there is no example of the kind that is searched for")
    if both := int(among(yes, no).sum()):
        raise InputError(
            f"{both} candidates are examples and counterexamples at once; take them "
            "out of one of the two"
        )
    likeness = cosines(unit, yes)
    if not len(no):
        return likeness
    rng = np.random.default_rng(seed)
    others = unit[rng.permutation(len(unit))[:BACKGROUND]]
    others = others[~among(others, np.concatenate([yes, no]))]
    rows = np.concatenate([yes, no, others]).astype(np.float32)
    is_kind = np.arange(len(rows)) < len(yes)
    weight = np.ones(len(rows))
    weight[len(yes) + len(no) :] = len(yes) / max(len(others), 1)
    model = LogisticRegression(max_iter=300).fit(rows, is_kind, weight)
    share = (len(yes) + len(no)) / (len(yes) + len(no) + EVEN)
    taught = cosines(unit, model.coef_)
    mixed = (1 - share) * _scaled(likeness) + share * _scaled(taught)
    return np.clip(mixed / max(np.abs(mixed).max(), 1e-12), -1, 1).astype(np.float32)


def _scaled(score):
    """Return a score with mean 0 and standard deviation 1."""
    return (score - score.mean()) / max(float(score.std()), 1e-12)


def among(rows, others):
    """Return which rows (N, D) are equal to one of others (M, D), as bool (N,)."""
    known = {row.tobytes() for row in np.ascontiguousarray(others)}
    found = [row.tobytes() in known for row in np.ascontiguousarray(rows)]
    return np.array(found, bool)
