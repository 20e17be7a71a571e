"""The probability of each candidate to be of a kind, from yes and no answers."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from lib.errors import InputError
from lib.picking.likeness import cosines

BACKGROUND = 2000  # candidates that stand for all others, which are mostly of no kind
EVEN = 50  # answers at which likeness and classifier count the same
FOLDS = 5
BINS = 400  # of the scores
SLOPES = np.geomspace(0.7, 20, 24)  # of the logistic curve, in standard deviations
N_EXPECTED = 48  # numbers of the kind that are tried
FEWEST = 2  # of them
LEAST = 1e-6  # probability: an answer against all others cannot decide alone


def teach(unit, yes, no, *, n_asked=0, seed):
    """Return the probability of every candidate to be of the kind of the examples.

    With few answers the order is that of the likeness to the examples, which a
    classifier of few answers does not reach; the more answers, the more the classifier
    counts: a logistic regression of the examples against the counterexamples and
    candidates at random. `lib.picking.teaching` turns the score into a probability.

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


def probabilities(score, example_score, yes_score, no_score):
    """Return the probability that each candidate is of the kind.

    The curve is logistic. Its slope and middle follow from two things: the examples are
    a sample of all candidates of the kind, so candidates weighted by their probability
    have scores spread like those of the examples; and the answers to questions say how
    likely the kind is at their scores. The average over all curves, weighted by
    how well they agree with both, is returned. A priori, all orders of magnitude of
    the slope and of the number of candidates of the kind are equally likely.

    Parameters
    ----------
    score : ndarray of float32, shape (N,)
        Larger is more likely.
    example_score : ndarray, shape (E,)
        Of candidates that the user found; as it would be if they had not been examples,
        like the others.
    yes_score, no_score : ndarray, shape (Y,) and (M,)
        Of candidates that the user was asked about.

    Returns
    -------
    ndarray of float32, shape (N,)
        0 to 1, in the order of the scores.
    """
    spread = float(score.std())
    if spread < 1e-9:
        return np.full(len(score), 0.5, np.float32)
    low, high = float(score.min()), float(score.max())
    edges = np.linspace(low, high, BINS + 1)
    centers = (edges[1:] + edges[:-1]) / 2
    counts = np.histogram(score, edges)[0]
    expected = np.geomspace(FEWEST, max(len(score) / 2, FEWEST + 1), N_EXPECTED)
    slope = (SLOPES / spread)[:, None, None]
    middle = np.array([_middles(s, centers, counts, expected) for s in slope[:, 0, 0]])
    middle = middle[:, :, None]
    curve = _logistic(slope * (centers - middle))  # (slopes, middles, bins)

    def log_curve(at, sign):
        at = np.clip(np.asarray(at, float), low, high)
        return np.log(_logistic(sign * slope * (at - middle)) + LEAST).sum(-1)

    agreement = log_curve(example_score, 1) - len(example_score) * np.log(expected)
    agreement += log_curve(yes_score, 1) + log_curve(no_score, -1)
    weight = np.exp(agreement - agreement.max())
    mean = np.tensordot(weight / weight.sum(), curve, 2)
    return np.interp(score, centers, mean).astype(np.float32)


def _middles(slope, centers, counts, expected):
    """Return where the middle of the curve lies for each expected number of a kind."""
    reach = np.log(counts.sum()) / slope  # beyond the scores, for few of a flat curve
    middle = np.linspace(centers[-1] + reach, centers[0] - reach, BINS)
    number = _logistic(slope * (centers - middle[:, None])) @ counts
    return np.interp(np.log(expected), np.log(number), middle)


def _logistic(x):
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))
