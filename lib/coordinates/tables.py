"""Text tables of coordinates: ours, csv of other programs, and points of IMOD."""

import csv
import re

import numpy as np

from lib.artifacts.measures import given_name
from lib.coordinates.raw import IMOD, VOXELS, RawCoordinates
from lib.errors import InputError

# Names of a column, in the order of preference; case has no effect.
NAMES = ("image_name", "tomo_name", "tomogram", "tomo", "name")
NAMES += ("run_name", "run", "experiment")
LABELS = ("given_label", "label", "class", "particle_type", "pickable_object")
SCORES = ("given_score", "score", "confidence")
AXES = [
    (f"{axis}_coord", axis, f"coord_{axis}", f"rlncoordinate{axis}") for axis in "xyz"
]
IMOD_CENTER = (0.5, 0.5, 0.0)  # of the first voxel, in model2point's text


def read_table(path, lines):
    """Read a table with a header, or rows of three numbers without.

    Parameters
    ----------
    path : Path
    lines : list of (int, str)
        As of `lib.inputs.plain_text.read_lines`.

    Returns
    -------
    RawCoordinates

    Raises
    ------
    InputError
        If the header lacks a column, or a row does not fit it.
    """
    lines = [(number, text) for number, text in lines if text[0] != "#"]
    if not lines:
        return RawCoordinates(path, VOXELS, np.zeros((0, 3)))
    split = _splitter(lines[0][1])
    titles = [cell.strip() for cell in split(lines[0][1])]
    header = [title.lower() for title in titles]
    if all(_is_number(cell) for cell in header):
        return _points(path, lines, split)
    axes = [_find(header, names) for names in AXES]
    if None in axes:
        lacking = ", ".join(
            names[0] for names, at in zip(AXES, axes, strict=True) if at is None
        )
        raise InputError(
            f"{path} is no table of coordinates: its header (line {lines[0][0]}) is "
            f"{lines[0][1][:120]!r} and lacks {lacking}; expected image_name, x_coord, "
            "y_coord, z_coord (or name, x, y, z), separated by tabs or commas"
        )
    rows = [_row(path, number, split(text), header) for number, text in lines[1:]]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    name, label, score = (_find(header, keys) for keys in (NAMES, LABELS, SCORES))
    return RawCoordinates(
        path,
        VOXELS,
        _numbers(path, lines[1:], [columns[at] for at in axes]),
        name=None if name is None else [cell.strip() for cell in columns[name]],
        label=None if label is None else [cell.strip() for cell in columns[label]],
        score=None if score is None else _scores(columns[score]),
        more=_more(titles, columns, {*axes, name, label, score}),
    )


def _more(titles, columns, known):
    """Return the other columns of numbers, by the names that they get."""
    found = {}
    for at, (title, cells) in enumerate(zip(titles, columns, strict=True)):
        given = None if at in known else given_name(title)
        numbers = [_is_number(cell) or not cell.strip() for cell in cells]
        if given and all(numbers) and any(cell.strip() for cell in cells):
            found.setdefault(given, _scores(cells))
    return found


def _points(path, lines, split):
    rows = [split(text) for _, text in lines]
    odd = next((n for n, row in enumerate(rows) if len(row) != 3), None)
    if odd is not None:
        raise InputError(
            f"{path} has no header, and {len(rows[odd])} numbers in line "
            f"{lines[odd][0]}; expected x y z in each line, as model2point writes, or "
            "a header such as image_name x_coord y_coord z_coord"
        )
    found = _numbers(path, lines, list(zip(*rows, strict=True)))
    return RawCoordinates(path, IMOD, found - IMOD_CENTER)


def _splitter(header):
    """Return what splits a line: at tabs, commas or semicolons, else at blanks."""
    for mark in "\t,;":
        if mark in header:
            return lambda text: next(csv.reader([text], delimiter=mark))
    return str.split


def _row(path, number, cells, header):
    if len(cells) != len(header):
        raise InputError(
            f"{path}, line {number}: {len(cells)} columns where the header has "
            f"{len(header)}"
        )
    return cells


def _numbers(path, lines, columns):
    """Return columns of text as numbers (N, len(columns))."""
    found = np.empty((len(lines), len(columns)))
    for row, cells in enumerate(zip(*columns, strict=True)):
        try:
            found[row] = [float(cell) for cell in cells]
        except ValueError:
            raise InputError(
                f"{path}, line {lines[row][0]}: {' '.join(cells)[:80]!r} is not x, y, "
                "z; expected three numbers, with a point before their decimals"
            ) from None
    return found


def _scores(cells):
    return np.array([float(c) if _is_number(c) else np.nan for c in cells], np.float32)


def _find(header, names):
    """Return the index of the first of `names` in a header, or None."""
    return next((header.index(name) for name in names if name in header), None)


def _is_number(text):
    return bool(re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", text.lower()))
