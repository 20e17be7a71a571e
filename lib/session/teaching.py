"""Teach, on the page: scores of a lesson, what to ask next, and what checks say."""

import threading
from dataclasses import asdict, dataclass

import numpy as np

from lib.errors import InputError
from lib.picking.questions import draw_checks, estimate, most_doubtful

SEED = 0  # of the candidates at random that stand for all others
CHECKED_ABOVE = CHECKED_BELOW = 10


def taught_scores(unit, lesson):
    """Return the probability of every candidate to be of the kind of a lesson.

    Examples and answers are certain: 1 or 0. So are the answers of a check, which
    change no other score while it is the last thing that was done.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
        See `lib.picking.likeness`.
    lesson : lib.session.lessons.Lesson

    Returns
    -------
    ndarray of float32, shape (N,)
    """
    return _with_answers(_scores(unit, lesson.learned), lesson)


def _scores(unit, lesson):
    # scikit-learn takes a second, in which the page opens
    from lib.picking.teaching import teach

    yes, no = lesson.answered(True), lesson.answered(False)
    examples = unit[[*lesson.examples, *yes]]
    return teach(unit, examples, unit[no], n_asked=len(yes), seed=SEED)


def _with_answers(score, lesson):
    score = score.copy()
    score[[*lesson.examples, *lesson.answered(True)]] = 1
    score[lesson.answered(False)] = 0
    return score


@dataclass(frozen=True)
class Taught:
    """What a lesson gives.

    Attributes
    ----------
    score : ndarray of float32, shape (N,)
        See `taught_scores`.
    told : dict
        What the page shows of it, in the types of json: ``row`` to be asked next, or
        None; numbers of ``examples``, ``yes``, ``no`` and ``unsure``; ``check``.
    """

    score: np.ndarray
    told: dict


class Teacher:
    """Teaches from the candidates of a table; keeps the scores of one lesson.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
    """

    def __init__(self, unit):
        self.unit = unit
        self._kept = (None, None)  # the lesson that was learned, and its scores
        self._learning = threading.Lock()

    def taught(self, lesson):
        """Return what a lesson gives, as `Taught`."""
        score = self._learn(lesson)
        open_rows = lesson.open_check
        if open_rows:
            row = open_rows[0]
        else:
            doubtful = most_doubtful(score, self.unit, lesson.known, count=1)
            row = int(doubtful[0]) if len(doubtful) else None
        told = {
            "row": row,
            "examples": len(lesson.examples),
            "yes": len(lesson.answered(True)),
            "no": len(lesson.answered(False)),
            "unsure": len(lesson.answered(None)),
            "check": self._describe_check(lesson, score),
        }
        return Taught(_with_answers(score, lesson), told)

    def draw(self, lesson, threshold, *, seed):
        """Return candidates to be checked above and below a threshold, as a list.

        Raises
        ------
        InputError
            If all of them have an answer, or nothing is above the threshold.
        """
        score = _with_answers(self._learn(lesson.finished), lesson)
        if not (score >= threshold).any():
            raise InputError(
                f"no candidate has a probability of {threshold:.2f} or more: move the "
                "threshold down"
            )
        drawn = draw_checks(
            score,
            threshold,
            above=CHECKED_ABOVE,
            below=CHECKED_BELOW,
            seed=seed,
            known=lesson.known,
        )
        if not len(drawn):
            raise InputError("every candidate has an answer: there is nothing to check")
        return drawn.tolist()

    def _learn(self, lesson):
        with self._learning:
            learned = lesson.learned
            if self._kept[0] != learned:
                self._kept = (learned, _scores(self.unit, learned))
            return self._kept[1]

    def _describe_check(self, lesson, score):
        check = lesson.check
        if check is None:
            return None
        said = {row: yes for row, yes in lesson.answers if yes is not None}
        rows = [row for row in check.rows if row in said]
        known = lesson.learned
        known_rows = [*known.examples, *known.answered(True), *known.answered(False)]
        n_yes = len(known_rows) - len(known.answered(False))
        try:
            found = estimate(
                _with_answers(score, known),
                check.threshold,
                rows,
                [said[row] for row in rows],
                known=known_rows,
                known_yes=[k < n_yes for k in range(len(known_rows))],
            )
        except InputError:  # nothing above the threshold has been answered yet
            found = None
        return {
            "threshold": check.threshold,
            "total": len(check.rows),
            "open": len(lesson.open_check),
            "estimate": None if found is None else asdict(found),
        }
