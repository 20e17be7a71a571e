"""Teaching: probabilities from answers, what is asked next, and checks at random."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.picking.likeness import unit_float16
from lib.picking.questions import draw_checks, estimate, most_doubtful
from lib.picking.teaching import probabilities, teach

DIM = 16


def table(seed, n=2000, share=0.1, apart=4.0):
    """Return directions (N, D) of a kind and of others, and which are of the kind."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < share
    embeddings = rng.normal(0, 1, (n, DIM))
    embeddings[kind, 0] += apart
    return unit_float16(embeddings.astype(np.float32))[0], kind


def lesson(unit, kind, n_asked, seed=0):
    """Return the probabilities after five examples and some questions, and answers."""
    found = np.random.default_rng(seed).permutation(np.flatnonzero(kind))[:5]
    known = dict.fromkeys(found.tolist(), True)
    for step in range(n_asked + 1):
        rows, yes = np.array(list(known)), np.array(list(known.values()))
        score = teach(
            unit, unit[rows[yes]], unit[rows[~yes]], n_asked=yes.sum() - 5, seed=0
        )
        if step < n_asked:
            row = int(most_doubtful(score, unit, rows, count=1)[0])
            known[row] = bool(kind[row])
    return score, known


def test_answers_make_the_probabilities_true():
    unit, kind = table(0)
    score, _ = lesson(unit, kind, 20)
    for low, high in ((0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        inside = (score >= low) & (score < high)
        # within what such a band can hold by chance, and a quarter
        error = 3 * np.sqrt(0.25 / inside.sum()) + 0.25
        assert abs(kind[inside].mean() - score[inside].mean()) < error
    assert score[kind].mean() > 2 * score[~kind].mean()


@pytest.mark.parametrize("n_yes", [1, 2, 40])
@pytest.mark.parametrize("n_no", [0, 1, 7])
def test_any_number_of_answers_gives_probabilities(n_yes, n_no):
    unit, kind = table(1)
    yes, no = unit[kind][:n_yes], unit[~kind][:n_no]
    score = teach(unit, yes, no, seed=0)
    assert score.shape == (len(unit),) and score.dtype == np.float32
    assert score.min() >= 0 and score.max() <= 1
    np.testing.assert_array_equal(score, teach(unit, yes, no, seed=0))
    assert score[kind].mean() > score[~kind].mean()


def test_tables_of_few_or_equal_rows_are_taught():
    few = unit_float16(np.eye(3, dtype=np.float32))[0]
    assert np.isfinite(teach(few, few[:1], few[1:2], seed=0)).all()
    equal = np.full((50, 4), 0.5, np.float16)
    assert np.isfinite(teach(equal, equal[:2], equal[:1], seed=0)).all()


def test_no_answers_where_the_kind_was_expected_lower_the_probability():
    score = np.random.default_rng(0).normal(0, 1, 1000).astype(np.float32)
    examples = np.array([2.0, 2.2, 2.4])
    before = probabilities(score, examples, [], [])
    after = probabilities(score, examples, [], [2.0, 2.1, 2.2, 2.3])
    top = score > 1.8
    assert after[top].mean() < before[top].mean()
    order = np.argsort(score)
    assert (np.diff(before[order]) >= 0).all()


def test_the_most_doubtful_are_nearest_one_half_and_not_alike():
    unit, _ = table(2, n=300)
    unit[7] = unit[3]
    score = np.linspace(0.5, 1, 300).astype(np.float32)
    score[[3, 7]] = 0.5
    asked = most_doubtful(score, unit, [0], count=4)
    assert 0 not in asked
    assert (3 in asked) != (7 in asked)
    assert score[asked].max() < 0.6


def test_no_candidate_is_asked_twice():
    unit, _ = table(3, n=20)
    score = np.full(20, 0.5, np.float32)
    assert set(most_doubtful(score, unit, range(15), count=50)) == set(range(15, 20))
    assert len(most_doubtful(score, unit, range(20), count=5)) == 0


def test_checks_are_drawn_on_both_sides_without_what_is_known():
    score = np.random.default_rng(0).random(1000)
    known = np.flatnonzero(score > 0.95)
    rows = draw_checks(score, 0.8, above=10, below=9, seed=1, known=known)
    assert len(set(rows.tolist())) == 19
    assert (score[rows] >= 0.8).sum() == 10
    assert not np.isin(rows, known).any()
    few = draw_checks(score, 0.999, above=10, below=4, seed=1)
    assert (score[few] >= 0.999).sum() == (score >= 0.999).sum()


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_intervals_hold_the_truth(share):
    """Whether a candidate is of the kind is drawn from its true probability."""
    held = []
    for session in range(40):
        rng = np.random.default_rng(session)
        probability = rng.beta(0.3, 0.3 / share, 4000)
        kind = rng.random(4000) < probability
        threshold = np.quantile(probability, 0.98)
        rows = draw_checks(probability, threshold, above=12, below=12, seed=session)
        said = estimate(probability, threshold, rows, kind[rows])
        above = probability >= threshold
        precision, missed = kind[above].mean(), kind[~above].sum()
        held.append(
            (
                said.precision_low - 1e-9 <= precision <= said.precision_high + 1e-9,
                said.missed_low - 1 <= missed <= said.missed_high + 1,
            )
        )
        assert said.n_above == above.sum()
        assert said.checked_above + said.checked_below == len(rows)
    # 19 of 20 are aimed at; fewer than 17 of 20 would be very unlikely
    assert (np.mean(held, axis=0) >= 0.85).all()


def test_when_all_are_known_the_estimate_is_exact():
    probability = np.linspace(0, 1, 40)
    kind = probability > 0.6
    said = estimate(probability, 0.5, [], [], known=range(40), known_yes=kind)
    n_above = int((probability >= 0.5).sum())
    assert said.precision_low == said.precision_high == kind.sum() / n_above
    assert said.missed_low == said.missed_high == 0


def test_an_estimate_needs_checks_above_the_threshold():
    probability = np.linspace(0, 0.9, 40)
    with pytest.raises(InputError, match="no candidate is above"):
        estimate(probability, 0.95, [1], [True])
    with pytest.raises(InputError, match="nothing above the threshold was checked"):
        estimate(probability, 0.5, [1], [True])
