"""What the value of an option may be: numbers within limits, lists of them, texts.

Each parses what is typed, and says in words what it expects.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

MOST = 1_000_000  # of what has no natural end, such as epochs


class UnfitError(ValueError):
    """A text that is no value of an option.

    Parameters
    ----------
    text : str
    expected : object
        What the option takes; its words are shown.
    """

    def __init__(self, text, expected):
        text = str(text)
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        super().__init__(f"{shown!r} given, expected {expected}")


@dataclass(frozen=True)
class Whole:
    """Whole numbers from `low` to `high`, or the even ones."""

    low: int
    high: int
    even: bool = False

    def __str__(self):
        kind = "an even" if self.even else "a whole"
        return f"{kind} number from {self.low:,} to {self.high:,}"

    def holds(self, value):
        """Return whether a number is one of these."""
        return self.low <= value <= self.high and not (self.even and value % 2)

    def parse(self, text):
        """Return the number in a text.

        Raises
        ------
        UnfitError
            When there is none, or none of these.
        """
        return _parse(self, int, text)


@dataclass(frozen=True)
class Real:
    """Numbers from `low`, or above it, to `high`."""

    low: float
    high: float
    above: bool = False

    def __str__(self):
        start = (
            f"above {self.low:,}, at most" if self.above else f"from {self.low:,} to"
        )
        return f"a number {start} {self.high:,}"

    def holds(self, value):
        """Return whether a number is one of these; nan is not."""
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def parse(self, text):
        """Return the number in a text, as `Whole.parse` does."""
        return _parse(self, float, text)


def _parse(limits, kind, text):
    try:
        value = kind(text)
    except ValueError:
        raise UnfitError(text, limits) from None
    if not limits.holds(value):
        raise UnfitError(text, limits)
    return value


@dataclass(frozen=True)
class Numbers:
    """Numbers with commas between.

    Attributes
    ----------
    each : Whole or Real
    least, most : int
        How many they are.
    ascending : bool
        Whether each is larger than the one before it.
    expected : str
        What is expected where they are too few or too many; of a wrong one as well,
        where it may be the only one.
    """

    each: object
    least: int = 1
    most: int = MOST
    ascending: bool = False
    expected: str = ""

    def parse(self, text):
        """Return the numbers in a text as a tuple; raise UnfitError as each does."""
        try:
            values = tuple(self.each.parse(part) for part in text.split(","))
        except UnfitError:
            if self.expected and self.least == 1:
                raise UnfitError(text, self.expected) from None
            raise
        if not self.least <= len(values) <= self.most:
            raise UnfitError(text, self.expected)
        if self.ascending and any(a >= b for a, b in pairwise(values)):
            raise UnfitError(text, "ascending numbers, such as 3,5")
        return values


@dataclass(frozen=True)
class Text:
    """Texts that a regular expression describes as a whole, `expected` in words."""

    pattern: str
    expected: str

    def parse(self, text):
        """Return the text; raise UnfitError when it is of another form."""
        if not re.fullmatch(self.pattern, text):
            raise UnfitError(text, self.expected)
        return text
