"""STAR files of RELION 4, RELION 5 and Warp; json of copick and the CryoET portal."""

import json
import re

import numpy as np

from lib.artifacts.measures import given_name
from lib.coordinates.raw import COPICK, PORTAL, RELION4, RELION5, RawCoordinates
from lib.errors import InputError

CENTERED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
PIXELS = tuple(f"rlnCoordinate{axis}" for axis in "XYZ")
NAMES = ("rlnTomoName", "rlnMicrographName")
PIXEL_SIZE, GROUP = "rlnTomoTiltSeriesPixelSize", "rlnOpticsGroup"
SCORE, LABEL = "rlnAutopickFigureOfMerit", "rlnClassNumber"
KNOWN = {*CENTERED, *PIXELS, *NAMES, PIXEL_SIZE, GROUP, SCORE, LABEL}
# What lib.export.star writes above its files of RELION 4.
BINNING = re.compile(r"^# Positions in pixels .*: voxel x ([\d.]+), ", re.MULTILINE)


def read_star(path, text):
    """Read the block of a STAR file that holds coordinates.

    Parameters
    ----------
    path : Path
    text : str
        Its content.

    Returns
    -------
    RawCoordinates

    Raises
    ------
    InputError
        If it is no STAR file, or holds neither kind of coordinates.
    """
    import starfile

    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(NAMES))
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} cannot be read as a STAR file ({reason})") from error
    tables = [block for block in blocks.values() if hasattr(block, "columns")]
    for columns, unit in ((CENTERED, RELION5), (PIXELS, RELION4)):
        for table in tables:
            if set(columns) <= set(table.columns):
                return _read_block(path, text, table, columns, unit, tables)
    seen = [column for table in tables for column in table.columns]
    raise InputError(
        f"{path} has no coordinates: expected {CENTERED[0]} (RELION 5) or {PIXELS[0]} "
        f"(RELION 4), with Y and Z; it has {', '.join(seen[:8]) or 'no table'}. Give "
        "the file of the particles, such as particles.star"
    )


def _read_block(path, text, table, columns, unit, tables):
    try:
        positions = table[list(columns)].to_numpy(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {columns[0]} holds no numbers ({error})") from error
    names = next((key for key in NAMES if key in table), None)
    found = BINNING.search(text) if unit == RELION4 else None
    return RawCoordinates(
        path,
        unit,
        positions,
        name=None if names is None else [str(name) for name in table[names]],
        score=_score(table),
        label=None if LABEL not in table else [str(label) for label in table[LABEL]],
        more={
            name: table[column].to_numpy(np.float32)
            for column in table.columns
            if column not in KNOWN and table[column].dtype.kind in "iuf"
            if (name := given_name(column))
        },
        pixel_size=_pixel_size(table, tables) if unit == RELION4 else None,
        binning=float(found.group(1)) if found else None,
    )


def _score(table):
    if SCORE not in table:
        return None
    try:
        return table[SCORE].to_numpy(np.float32)
    except (TypeError, ValueError):
        return None


def _pixel_size(table, tables):
    """Return the pixel size of each row [Angstrom], or None where it is not there."""
    if PIXEL_SIZE in table:
        return table[PIXEL_SIZE].to_numpy(float)
    for optics in tables:
        if {PIXEL_SIZE, GROUP} <= set(optics.columns) and GROUP in table:
            sizes = dict(zip(optics[GROUP], optics[PIXEL_SIZE], strict=True))
            found = [sizes.get(group) for group in table[GROUP]]
            return None if None in found else np.array(found, float)
    return None


def read_json(path, text):
    """Read picks of copick (one object), or points of the portal (one a line).

    Parameters
    ----------
    path : Path
    text : str
        Its content.

    Returns
    -------
    RawCoordinates

    Raises
    ------
    InputError
        If it is neither, or a point has no location.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and "points" in content:
        return _read_copick(path, content)
    return _read_portal(path, text)


def _read_copick(path, content):
    points = content["points"] or []
    unit = content.get("unit") or "angstrom"
    if not isinstance(points, list) or unit != "angstrom":
        raise InputError(
            f"{path}: its points are no list in Angstrom (unit {unit!r}); write them "
            "again with copick, or as csv"
        )
    found = [_location(path, f"point {n}", p) for n, p in enumerate(points, 1)]
    run, label = content.get("run_name"), content.get("pickable_object_name")
    scored = bool(points) and all("score" in point for point in points)
    return RawCoordinates(
        path,
        COPICK,
        np.array(found, float).reshape(-1, 3),
        name=None if not run else [str(run)] * len(points),
        score=np.array([_number(p["score"]) for p in points], "f4") if scored else None,
        label=None if not label else [str(label)] * len(points),
    )


def _read_portal(path, text):
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            point = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not json ({error}); expected a point of the "
                'portal in each line, such as {"type": "point", "location": {"x": 1, '
                '"y": 2, "z": 3}}, or a file of copick with "points"'
            ) from error
        found.append(_location(path, f"line {number}", point))
    return RawCoordinates(path, PORTAL, np.array(found, float).reshape(-1, 3))


def _location(path, where, point):
    """Return (x, y, z) of a point."""
    try:
        return [float(point["location"][axis]) for axis in "xyz"]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}, {where}: {str(point)[:80]} has no location with x, y and z as "
            "numbers"
        ) from None


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
