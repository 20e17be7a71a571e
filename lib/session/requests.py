"""What the page sends, read with care: another program may send anything.

Sets of rows are read here as the page sends them and as the journal keeps them.
"""

import base64
import binascii
import json
import re
import zlib

import numpy as np
from starlette.exceptions import HTTPException

from lib.errors import InputError

LARGEST_REQUEST = 16 * 2**20  # bytes; a mask of a million rows takes 170 kB
FEW = 2000  # rows that are written one by one; more are a mask of all


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


def unpack_rows(rows, n):
    """Return rows as ascending indices.

    Parameters
    ----------
    rows : dict
        ``{"list": [...]}``; or ``{"mask": text}``, base64 of n bits, least significant
        bit first; or ``{"packed": text}``, the same compressed by zlib.
    n : int
        Rows of the table.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    InputError
        If it is not of that form, or a row is not in the table.
    """
    wrong = "rows must be a list of row numbers, or a mask of all candidates"
    if not isinstance(rows, dict):
        raise InputError(wrong)
    if "list" in rows:
        listed = rows["list"]
        if not isinstance(listed, list) or not all(is_index(row, n) for row in listed):
            raise InputError(f"{wrong}; the table has rows 0 to {n - 1}")
        return np.unique(np.array(listed, np.int64))
    n_bytes = -(-n // 8)
    try:
        bits = base64.b64decode(rows.get("mask", rows.get("packed")), validate=True)
        if "packed" in rows:
            bits = zlib.decompressobj().decompress(bits, n_bytes + 1)
    except (binascii.Error, TypeError, ValueError, zlib.error) as error:
        raise InputError(wrong) from error
    if len(bits) != n_bytes:
        raise InputError(f"{wrong}; the mask has {len(bits)} bytes, expected {n_bytes}")
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    if mask[n:].any():
        raise InputError(f"{wrong}; the table has rows 0 to {n - 1}")
    return np.flatnonzero(mask)


def pack_rows(rows, n):
    """Return rows in the form that the journal keeps; see `unpack_rows`."""
    if len(rows) <= FEW:
        return {"list": rows.tolist()}
    mask = np.zeros(n, bool)
    mask[rows] = True
    bits = np.packbits(mask, bitorder="little").tobytes()
    return {"packed": base64.b64encode(zlib.compress(bits)).decode()}


def is_index(value, stop):
    """Return whether a value of json is a whole number from 0 to below `stop`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < stop
