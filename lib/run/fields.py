"""Fields of dataclasses that are options: default, limits and help, stated once.

The command line is made from them. Nothing heavy is imported, so that ``--help``
answers at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


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
        """Return the number in `text`; raise ValueError when it is not one of these."""
        return _require(self, int(text))


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
        """Return the number in `text`; raise ValueError when it is not one of these."""
        return _require(self, float(text))


def _require(limits, value):
    if not limits.holds(value):
        raise ValueError(str(limits))
    return value


@dataclass(frozen=True)
class About:
    """What the command line needs to know of a field.

    Attributes
    ----------
    help : str
    name : str or None
        Option on the command line; that of the field by default.
    limits : Whole, Real or tuple of str, optional
        What the value may be; of switches and texts none.
    otherwise : str
        What decides an option that is not given, where that is not the default of
        the field.
    """

    help: str
    name: str | None = None
    limits: object = None
    otherwise: str = ""


def option(default, help, **about):
    """Return a dataclass field with what the command line needs to know of it."""
    return field(default=default, metadata={"about": About(help, **about)})


def options_of(cls):
    """Return name on the command line and field of each option of a dataclass."""
    abouts = ((f, f.metadata.get("about")) for f in fields(cls))
    return {about.name or f.name: f for f, about in abouts if about is not None}


def known(options):
    """Return the values of a dataclass that are not None, by field."""
    values = {f.name: getattr(options, f.name) for f in fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def take(cls, values):
    """Return a dataclass from the values that a mapping holds of it, else None."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{values!r} is no set of keys and values")
    return cls(**{f.name: values.get(f.name) for f in fields(cls)})
