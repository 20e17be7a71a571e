"""Lessons: what the user showed and answered, from which a class is taught.

A lesson begins with examples. Answers to questions follow, and checks: candidates drawn
at random above and below a threshold, whose answers tell how good the scores are.
"""

from dataclasses import dataclass, replace

from lib.errors import InputError
from lib.session.requests import is_index

MOST_EXAMPLES = 1000
MOST_CHECKED = 1000


@dataclass(frozen=True)
class Check:
    """A draw of candidates that the user is asked about.

    Attributes
    ----------
    threshold : float
        Probability, 0 to 1.
    rows : tuple of int
        What was drawn, in the order of the questions.
    n_before : int
        Answers that had been given: the scores of that moment are checked.
    """

    threshold: float
    rows: tuple
    n_before: int


@dataclass(frozen=True)
class Lesson:
    """What a class is taught from.

    Attributes
    ----------
    examples : tuple of int
        Rows that the user found.
    answers : tuple of (int, bool or None)
        Row, and whether it is of the kind; None if the user cannot tell.
    check : Check or None
        The last one, while nothing else was answered after it.
    """

    examples: tuple
    answers: tuple = ()
    check: Check | None = None

    @property
    def learned(self):
        """The lesson that the scores are computed from: without the open check."""
        if self.check is None:
            return self
        return replace(self, answers=self.answers[: self.check.n_before], check=None)

    @property
    def finished(self):
        """The lesson whose scores count the answers of the check, too."""
        return replace(self, check=None)

    def answered(self, yes):
        """Return the rows with that answer, in the order in which they were given."""
        return [row for row, answer in self.answers if answer is yes]

    @property
    def known(self):
        """Rows that are not asked about: examples, and all that were answered."""
        return [*self.examples, *(row for row, _ in self.answers)]

    @property
    def open_check(self):
        """Rows of the check that have no answer yet."""
        if self.check is None:
            return []
        answered = {row for row, _ in self.answers}
        return [row for row in self.check.rows if row not in answered]


def lesson_after(lesson, change, n_rows):
    """Return a lesson after a change.

    Parameters
    ----------
    lesson : Lesson or None
    change : dict
        ``op`` "teach" with ``examples``; "answer" with ``row`` and ``yes``; or "check"
        with ``threshold`` and ``drawn``.
    n_rows : int
        Of the table.

    Returns
    -------
    Lesson

    Raises
    ------
    InputError
        If it cannot be carried out.
    """
    if change["op"] == "teach":
        examples = _rows(change.get("examples"), n_rows, MOST_EXAMPLES, "examples")
        return Lesson(tuple(sorted(examples)))
    if lesson is None:
        raise InputError("this class has no lesson yet: begin with a few examples")
    if change["op"] == "check":
        drawn = _rows(change.get("drawn"), n_rows, MOST_CHECKED, "drawn")
        if set(drawn) & set(lesson.known):
            raise InputError("a check asks about candidates without an answer")
        threshold = read_probability(change)
        return replace(lesson, check=Check(threshold, drawn, len(lesson.answers)))
    return _answer(lesson, change, n_rows)


def _answer(lesson, change, n_rows):
    row, yes = change.get("row"), change.get("yes")
    if not is_index(row, n_rows):
        raise InputError(f"there is no candidate {row!r}")
    if yes is not None and not isinstance(yes, bool):
        raise InputError(f"{yes!r} is no answer: true, false, or null if unsure")
    if row in lesson.examples:
        raise InputError(
            f"candidate {row} is an example of this class and cannot be answered"
        )
    check = lesson.check
    if any(row == asked for asked, _ in lesson.answers):
        raise InputError(f"candidate {row} is answered already; undo takes that back")
    if check is not None and row not in check.rows:
        check = None  # what was asked in it teaches from here on
    return replace(lesson, answers=(*lesson.answers, (row, yes)), check=check)


def read_probability(asked):
    """Return the threshold of a request or change, 0 to 1."""
    value = asked.get("threshold")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError("threshold must be a number from 0 to 1")
    if not 0 <= value <= 1:
        raise InputError(f"threshold must be a number from 0 to 1, not {value!r}")
    return float(value)


def _rows(rows, n_rows, most, name):
    if not isinstance(rows, list) or not 0 < len(rows) <= most:
        raise InputError(f"{name} must be a list of 1 to {most:,} rows")
    if not all(is_index(row, n_rows) for row in rows) or len(set(rows)) < len(rows):
        raise InputError(f"{name} must be different numbers from 0 to {n_rows - 1}")
    return tuple(rows)
