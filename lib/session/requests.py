"""What the page sends, read with care: another program may send anything."""

import json
import re

import numpy as np
from starlette.exceptions import HTTPException

from lib.errors import InputError
from lib.session.rows import is_index

LARGEST_REQUEST = 16 * 2**20  # bytes; a mask of a million rows takes 170 kB


async def read_object(request):
    """Return the object in the body of a request.

    Raises
    ------
    HTTPException
        If it is too large, or no object in json that only a page of this session sends.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "only JSON")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_REQUEST:
            raise HTTPException(413, f"larger than {LARGEST_REQUEST:,} bytes")
    try:
        asked = json.loads(bytes(content))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"not understood: {error}") from error
    if not isinstance(asked, dict):
        raise HTTPException(400, "not understood: expected an object")
    return asked


def read_index(value, stop):
    """Return a number from 0 to below `stop`, of text or json; None otherwise."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    return value if is_index(value, stop) else None


def read_rows(asked, key, n, most):
    """Return a list of rows, in the order and number that were asked for.

    Parameters
    ----------
    asked : dict
    key : str
        Of the list in it.
    n : int
        Rows of the table.
    most : int
        Rows in the list at most.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    InputError
        If it is anything else.
    """
    rows = asked.get(key)
    if not isinstance(rows, list) or len(rows) > most:
        raise InputError(f"{key} must be a list of at most {most:,} numbers")
    if not all(is_index(row, n) for row in rows):
        raise InputError(f"{key} must be numbers from 0 to {n - 1}")
    return np.array(rows, np.int64)


def read_share(asked, key):
    """Return a number from -1 to 1, such as a threshold of likeness."""
    value = asked.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{key} must be a number from -1 to 1")
    if not -1 <= value <= 1:
        raise InputError(f"{key} must be a number from -1 to 1")
    return float(value)
