"""Tilt angles of a series, from the text file that lists them."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import InputError, warn_once
from lib.inputs.plain_text import read_lines
from lib.inputs.tilt_scheme import (
    FEWEST,
    describe_misfit_of_angles,
    find_break,
    is_one_signed,
)

# No nested repeats: a megabyte of digits must not take a year to reject.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def read_tilt_angles(path, n_images):
    """Read the tilt angle of each image.

    Parameters
    ----------
    path : path-like
        Text; the first column counts, blank lines do not.
    n_images : int
        Images of the tilt series.

    Returns
    -------
    ndarray of float64, shape (n_images,)
        [degrees].

    Raises
    ------
    InputError
        When there are more or fewer angles than images, or one is not a number
        within +-90, or all are equal, or together they are no tilt scheme.
    """
    path = Path(path)
    lines = read_lines(path, "an angle file")
    try:
        angles = [_parse(path, number, line) for number, line in lines]
    except InputError as error:
        raise InputError(f"{error}{_describe_other_column(lines)}") from None
    if len(angles) != n_images:
        raise InputError(
            f"{path} has {len(angles)} angles, the tilt series {n_images} images; "
            "expected one angle for each image, one per line"
        )
    if n_images > 1 and min(angles) == max(angles):
        raise InputError(
            f"{path}: all {n_images} angles are {angles[0]:g} degrees; is it the "
            "right file?"
        )
    angles = np.array(angles, dtype=np.float64)
    misfit = describe_misfit_of_angles(angles)
    if misfit:
        raise InputError(
            f"{path} is not a list of tilt angles: {misfit}; give the .tlt or .rawtlt "
            "file of this series: one angle per image, in degrees"
            f"{_describe_other_column(lines)}"
        )
    if is_one_signed(angles):
        warn_once(
            f"{path}: its {len(angles)} angles, {angles.min():g} to {angles.max():g}, "
            "never change sign; is it a list of doses or numbers?"
        )
    if (row := find_break(angles)) is not None:
        number, text = lines[row]
        warn_once(
            f"{path}, line {number}: {text.split()[0]} stands between "
            f"{angles[row - 1]:g} and {angles[row + 1]:g}, while the other angles only "
            "rise or only fall; is it a mistake?"
        )
    return angles


def _describe_other_column(lines):
    """Return where else in the lines of a file the angles seem to be, or nothing."""
    rows = [line.replace(",", " ").replace(";", " ").split() for _, line in lines]
    columns = zip(*rows, strict=False)
    for number, column in enumerate(columns, start=1):
        if number == 1 or not all(map(NUMBER.fullmatch, column)):
            continue
        angles = np.array(column, dtype=np.float64)
        crosses = angles.min() < 0 < angles.max() and np.abs(angles).max() <= 90
        if len(angles) >= FEWEST and crosses and not describe_misfit_of_angles(angles):
            return (
                f" (its column {number}, {angles.min():g} to {angles.max():g}, looks "
                "like them: make it the first)"
            )
    return ""


def _parse(path, number, line):
    first = (line.split() or [line])[0].rstrip(",;")
    where = f"{path}, line {number}: {first[:40]!r}"
    if first.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise InputError(f"{where} is not finite; expected degrees within +-90")
    if not NUMBER.fullmatch(first):
        raise InputError(
            f"{where} is not an angle; expected one number per line, in degrees"
        )
    angle = float(first)
    if abs(angle) > 90:
        raise InputError(f"{where} is not within +-90 degrees")
    return angle + 0.0  # -0.00 becomes 0


@dataclass(frozen=True)
class TiltSeries:
    """The images of a tilt series that can be used.

    Attributes
    ----------
    images : ndarray of float32, shape (T, Y, X)
    angles : ndarray of float64, shape (T,)
        [degrees].
    """

    images: np.ndarray
    angles: np.ndarray
