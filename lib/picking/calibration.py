"""Scores turned into probabilities, from answers and from how all scores are spread."""

import numpy as np

BINS = 400  # of the scores
SLOPES = np.geomspace(0.7, 20, 24)  # of the logistic curve, in standard deviations
N_EXPECTED = 48  # numbers of the kind that are tried
FEWEST = 2  # of them
LEAST = 1e-6  # probability: an answer against all others cannot decide alone


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
