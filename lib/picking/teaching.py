"""The probability of each candidate to be of a kind, from yes and no answers."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from lib.errors import InputError
from lib.picking.calibration import probabilities
from lib.picking.likeness import cosines

BACKGROUND = 2000  # candidates that stand for all others, which are mostly of no kind
EVEN = 50  # answers at which likeness and classifier count the same
FOLDS = 5


def teach(unit, yes, no, *, n_asked=0, seed):
    """Return the probability of every candidate to be of the kind of the examples.

    With few answers the order is that of the likeness to the examples, which a
    classifier of few answers does not reach; the more answers, the more the classifier
    counts: a logistic regression of the examples against the counterexamples and
    candidates at random. `lib.picking.calibration` turns the score into a probability.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
        Directions of all candidates; see `lib.picking.likeness`.
    yes, no : ndarray of float16, shape (Y, D) and (M, D)
        Directions of examples and counterexamples.
    n_asked : int
        How many of the examples, from the end, are answers to questions: they were
        chosen by their scores, and the others by the user. Counterexamples are taken
        for answers.
    seed : int
        Of the candidates at random.

    Returns
    -------
    ndarray of float32, shape (N,)
        0 to 1.

    Raises
    ------
    InputError
        If there are no examples.
    """
    if not len(yes):
        raise InputError("there is no example of the kind that is searched for")
    others = np.random.default_rng(seed).permutation(len(unit))[:BACKGROUND]
    others = unit[np.sort(others)]
    others = others[~among(others, np.concatenate([yes, no]))]
    score = _score(unit, others, yes, no)
    yes_score, no_score = _as_if_unknown(unit, others, yes, no)
    found = len(yes) - n_asked
    return probabilities(score, yes_score[:found], yes_score[found:], no_score)


def _as_if_unknown(unit, others, yes, no):
    """Return the scores of examples and counterexamples by those of other folds."""
    if len(yes) == 1:  # as much alike as the likest to it, which are its kind
        alike = np.sort(_score(unit, others, yes, no[:0]))[-2:]
        return alike[:1], _score(unit, others, yes, no, no)
    folds = min(FOLDS, len(yes))
    found = [np.zeros(len(yes)), np.zeros(len(no))]
    for fold in range(folds):
        # every fold keeps an example, and perhaps no counterexample
        held = [np.arange(len(part)) % folds == fold for part in (yes, no)]
        kept = [part[~out] for part, out in zip((yes, no), held, strict=True)]
        for part, out, scores in zip((yes, no), held, found, strict=True):
            if out.any():
                scores[out] = _score(unit, others, *kept, part[out])
    return found


def _score(unit, others, yes, no, rows=None):
    """Return the scores of some directions, or of all, in standard deviations.

    Those of ``others`` are the scale, so that scores of several folds compare.
    """
    rows = unit if rows is None else rows
    scale = others if len(others) else unit
    likeness = _scaled(cosines(rows, yes), cosines(scale, yes))
    if not len(no):
        return likeness
    taught_by = np.concatenate([yes, no, others]).astype(np.float32)
    is_kind = np.arange(len(taught_by)) < len(yes)
    weight = np.ones(len(taught_by))
    weight[len(yes) + len(no) :] = len(yes) / max(len(others), 1)
    model = LogisticRegression(max_iter=300).fit(taught_by, is_kind, weight)
    taught = _scaled(cosines(rows, model.coef_), cosines(scale, model.coef_))
    share = (len(yes) + len(no)) / (len(yes) + len(no) + EVEN)
    return (1 - share) * likeness + share * taught


def _scaled(score, scale):
    """Return a score in units of another's mean and standard deviation."""
    return (score - scale.mean()) / max(float(scale.std()), 1e-12)


def among(rows, others):
    """Return which rows (N, D) are equal to one of others (M, D), as bool (N,)."""
    known = {row.tobytes() for row in np.ascontiguousarray(others)}
    found = [row.tobytes() in known for row in np.ascontiguousarray(rows)]
    return np.array(found, bool)
