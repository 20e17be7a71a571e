"""Angle files (``.tlt``, ``.rawtlt``): one tilt a line, in degrees."""

import re
from pathlib import Path

import numpy as np

from lib.errors import InputError

# Of some hundred lines; whatever is larger is not an angle file.
LARGEST_FILE = 2**20
NUMBER = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.A | re.I
)


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
        within +-90, or all are equal.
    """
    path = Path(path)
    lines = enumerate(_read_text(path).splitlines(), start=1)
    angles = [_parse(path, number, line) for number, line in lines if line.strip()]
    if len(angles) != n_images:
        raise InputError(
            f"{path} has {len(angles)} angles, the tilt series {n_images} images; "
            "one angle a line and image is needed"
        )
    if n_images > 1 and min(angles) == max(angles):
        raise InputError(
            f"{path}: all {n_images} angles are {angles[0]:g} degrees; is it the "
            "right file?"
        )
    return np.array(angles, dtype=np.float64)


def _read_text(path):
    try:
        if not path.is_file():
            raise InputError(f"{path} does not exist, or is no plain file")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise InputError(
                f"{path} is no angle file: it is larger than {LARGEST_FILE:,} bytes"
            )
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as an angle file: {error}; expected text, one "
            "angle a line"
        ) from error


def _parse(path, number, line):
    first = line.split()[0].rstrip(",;")
    if not NUMBER.fullmatch(first):
        raise InputError(
            f"{path}, line {number}: {first[:40]!r} is not an angle; expected one "
            "number a line, in degrees"
        )
    angle = float(first)
    if not abs(angle) <= 90:
        raise InputError(
            f"{path}, line {number}: the angle {first[:40]} is not within +-90 degrees"
        )
    return angle + 0.0  # -0.00 becomes 0
