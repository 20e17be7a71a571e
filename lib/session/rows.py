"""Sets of rows of a table: as the page sends them, and as the journal keeps them."""

import base64
import binascii
import zlib

import numpy as np

from lib.errors import InputError

FEW = 2000  # rows that are written one by one; more are a mask of all


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
