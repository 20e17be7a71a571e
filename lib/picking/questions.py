"""What the user is asked: the most doubtful candidates, and checks with what they tell.

The checked candidates are drawn at random, some above the threshold and some in bands
below it, which should hold equal numbers of what is missed: nearest the threshold,
where it is dense, a larger share is checked.
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

CHOICE = 20  # doubtful candidates considered for each one that is asked
TOO_ALIKE = 0.9  # cosine above which a second answer tells little
N_BANDS = 3  # below the threshold
LEVEL = 0.95
N_DRAWS = 40_000
# How far the probabilities may be off, before any check: standard deviation of
# the logarithm of what is missed, in all bands together and in each on its own.
OFF_TOGETHER, OFF_ALONE = 1.2, 0.6


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


def draw_checks(probability, threshold, *, above, below, seed, known=()):
    """Return candidates to be checked, in random order.

    Parameters
    ----------
    probability : ndarray, shape (N,)
        See `lib.picking.teaching.teach`.
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
    bands = [np.setdiff1d(rows, known) for rows in _bands(probability, threshold)]
    shares = [above, *_shares(below, [len(band) for band in bands[1:]])]
    drawn = [rng.permutation(band)[:n] for band, n in zip(bands, shares, strict=True)]
    return rng.permutation(np.concatenate(drawn)).astype(np.int64)


def estimate(probability, threshold, rows, yes, *, known=(), known_yes=(), seed=0):
    """Return precision above and number missed below a threshold.

    The precision has the prior of Jeffreys. The number missed in a band is, before any
    check, the sum of the probabilities there, give or take a factor (`OFF_TOGETHER`,
    `OFF_ALONE`). Ten checks of a hundred thousand candidates cannot say much more than
    that: the interval is then wide.

    Parameters
    ----------
    probability, threshold
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
    bands = _bands(probability, threshold)
    n_above = len(bands[0])
    if not n_above:
        raise InputError("no candidate is above the threshold")
    answers = np.full(len(probability), -1, np.int8)
    answers[np.asarray(known, np.int64)] = np.asarray(known_yes, np.int8)
    sure = [int((answers[band] == 1).sum()) for band in bands]
    is_known = answers >= 0
    left = [int((~is_known[band]).sum()) for band in bands]
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
    off = rng.normal(0, OFF_TOGETHER, N_DRAWS)
    for number in range(1, len(bands)):
        n, k = asked[number], said_yes[number]
        missed += sure[number] + k
        if left[number] > n:
            unknown = bands[number][~is_known[bands[number]]]
            mean = max(float(probability[unknown].mean()), 0.1 / len(unknown))
            odds = mean / (1 - min(mean, 0.999))
            odds = odds * np.exp(off + rng.normal(0, OFF_ALONE, N_DRAWS))
            rate = odds / (1 + odds)
            weight *= rate**k * (1 - rate) ** (n - k)
            missed += rng.binomial(left[number] - n, rate)
    even = np.ones(N_DRAWS)
    precision = _interval(right / n_above, even)
    return Estimate(
        n_above, *precision, *_interval(missed, weight), asked[0], sum(asked[1:])
    )


def _bands(probability, threshold):
    """Return the rows above the threshold, and those of each band below it."""
    probability = np.asarray(probability, np.float64)
    order = np.argsort(-probability, kind="stable")
    above, below = np.split(order, [int((probability >= threshold).sum())])
    expected = np.cumsum(probability[below])
    ends = np.linspace(0, expected[-1] if len(expected) else 0, N_BANDS + 1)[1:-1]
    return [above, *np.split(below, np.searchsorted(expected, ends, side="right"))]


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
