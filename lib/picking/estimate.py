"""How many above a threshold are right and how many below are missed, from checks.

The checked candidates are drawn at random, some above the threshold and some in bands
below it; nearest the threshold, where most of what is missed should be, a larger share
is checked.
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

# Below the threshold: as many as above it, twice as many, and all others.
BANDS = (1, 2)
LEVEL = 0.95
N_DRAWS = 40_000
# Missed in one band for each that was found, before any check: any order of magnitude
# in between.
MISSED_FOR_FOUND = (0.003, 10)


@dataclass(frozen=True)
class Estimate:
    """What checks say, with intervals that hold the truth 19 times of 20.

    Attributes
    ----------
    n_above : int
        Candidates above the threshold.
    precision, precision_low, precision_high : float
        Share of them that is of the kind, 0 to 1.
    missed, missed_low, missed_high : float
        Number of the kind below the threshold.
    checked_above, checked_below : int
    """

    n_above: int
    precision: float
    precision_low: float
    precision_high: float
    missed: float
    missed_low: float
    missed_high: float
    checked_above: int
    checked_below: int


def draw_checks(score, threshold, *, above, below, seed, known=()):
    """Return candidates to be checked, in random order.

    Parameters
    ----------
    score : ndarray, shape (N,)
    threshold : float
    above, below : int
        How many at or above, and below the threshold; fewer where there are no more.
    seed : int
    known : sequence of int
        Rows that are not drawn.

    Returns
    -------
    ndarray of int64
    """
    rng = np.random.default_rng(seed)
    bands = [np.setdiff1d(rows, known) for rows in _bands(score, threshold)]
    shares = [above, *_shares(below, [len(band) for band in bands[1:]])]
    drawn = [rng.permutation(band)[:n] for band, n in zip(bands, shares, strict=True)]
    return rng.permutation(np.concatenate(drawn)).astype(np.int64)


def estimate(score, threshold, rows, yes, *, known=(), known_yes=(), seed=0):
    """Return precision above and number missed below a threshold.

    The precision has the prior of Jeffreys. Before any check, the number missed in
    a band is of any order of magnitude, at most ten times what was found, and bands
    further down hold the kind no more densely. Ten checks of a hundred thousand
    candidates cannot say more than that: the interval is then wide.

    Parameters
    ----------
    score, threshold
        As in `draw_checks`.
    rows : sequence of int
        Of `draw_checks`, in any order: all that were drawn, or those answered so far.
    yes : sequence of bool
        Whether each is of the kind.
    known : sequence of int
        Rows that were not drawn from, whose answers are known.
    known_yes : sequence of bool
        Whether each of these is of the kind.
    seed : int
        Of the simulated draws.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        If nothing is above the threshold, or nothing there was checked.
    """
    bands = _bands(score, threshold)
    n_above = len(bands[0])
    if not n_above:
        raise InputError("no candidate is above the threshold")
    answers = np.full(len(score), -1, np.int8)
    answers[np.asarray(known, np.int64)] = np.asarray(known_yes, np.int8)
    sure = [int((answers[band] == 1).sum()) for band in bands]
    left = [int((answers[band] < 0).sum()) for band in bands]
    answers[:] = -1
    answers[np.asarray(rows, np.int64)] = np.asarray(yes, np.int8)
    checked = [answers[band][answers[band] >= 0] for band in bands]
    asked, said_yes = [len(c) for c in checked], [int(c.sum()) for c in checked]
    if not asked[0] and left[0]:
        raise InputError("nothing above the threshold was checked yet")

    rng = np.random.default_rng(seed)
    rate = rng.beta(said_yes[0] + 0.5, asked[0] - said_yes[0] + 0.5, N_DRAWS)
    right = sure[0] + said_yes[0] + rng.binomial(left[0] - asked[0], rate)
    missed, weight = np.zeros(N_DRAWS), np.ones(N_DRAWS)
    found = np.maximum(right, 1)
    for number in range(1, len(bands)):
        if not left[number]:
            missed += sure[number]
            continue
        low, high = np.log(MISSED_FOR_FOUND)
        unknown = found * np.exp(rng.uniform(low, high, N_DRAWS))
        density = unknown / left[number]
        weight *= density <= rate  # further down, no more densely
        rate = np.minimum(density, rate)
        n, k = asked[number], said_yes[number]
        weight *= rate**k * (1 - rate) ** (n - k)
        rest = rng.poisson(rate * (left[number] - n))
        missed += sure[number] + k + np.minimum(rest, left[number] - n)
    if not weight.any():  # answers that no prior foresees: each band alone
        weight = np.ones(N_DRAWS)
    even = np.ones(N_DRAWS)
    precision = _interval(right / n_above, even)
    return Estimate(
        n_above, *precision, *_interval(missed, weight), asked[0], sum(asked[1:])
    )


def _bands(score, threshold):
    """Return the rows above the threshold, and those of each band below it."""
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    n_above = int((np.asarray(score) >= threshold).sum())
    ends, width = [n_above], max(n_above, 1)
    for times in BANDS:
        ends.append(min(ends[-1] + times * width, len(order)))
    return np.split(order, ends)


def _shares(count, sizes):
    """Return how many of `count` checks fall on bands of these sizes, evenly."""
    shares = [0] * len(sizes)
    for _ in range(count):
        open_bands = [i for i, size in enumerate(sizes) if shares[i] < size]
        if not open_bands:
            break
        shares[min(open_bands, key=lambda i: (shares[i], i))] += 1
    return shares


def _interval(values, weight):
    """Return mean, lower and upper end of weighted draws."""
    order = np.argsort(values)
    at = np.cumsum(weight[order])
    low, high = np.interp(
        [(1 - LEVEL) / 2, (1 + LEVEL) / 2], at / at[-1], values[order]
    )
    return float(np.average(values, weights=weight)), float(low), float(high)
