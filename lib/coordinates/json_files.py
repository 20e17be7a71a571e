"""Points in json: of copick, and of the CryoET data portal, one a line."""

import json

import numpy as np

from lib.coordinates.raw import COPICK, PORTAL, RawCoordinates
from lib.errors import InputError


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
