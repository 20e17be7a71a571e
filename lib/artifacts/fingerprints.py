"""Fingerprints of table rows, files and source code.

They keep the files of two runs apart, and name what is stored for later runs.
"""

import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from lib.artifacts.files import atomic_write
from lib.errors import ArtifactError, user_files

LIBRARY = Path(__file__).resolve().parents[1]
HEAD = 4096  # bytes of a file that tell it from others of its length


def digest_of(*content):
    """Return a digest of content in the types of json, 24 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


def file_states(paths):
    """Return resolved path, bytes and time [ns] of files, which tell changed ones.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    list of tuple
    """
    with user_files():
        stats = [(str(path.resolve()), path.stat()) for path in paths]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def file_marks(paths):
    """Return what `file_states` does, and a digest of how each file begins.

    Some disks keep no times, and copying may set them. The header of a tomogram holds
    the range and the mean of its voxels, and an angle file is read as a whole.
    """
    with user_files():
        heads = [_head(path) for path in paths]
    states = file_states(paths)
    return [(*state, head) for state, head in zip(states, heads, strict=True)]


def _head(path):
    with path.open("rb") as stream:
        return hashlib.sha256(stream.read(HEAD)).hexdigest()[:16]


@cache
def code_digest(patterns):
    """Return a digest of source files of the library, 24 hexadecimal digits.

    Parameters
    ----------
    patterns : tuple of str
        Relative to ``lib/``.
    """
    paths = sorted({path for text in patterns for path in LIBRARY.glob(text)})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(LIBRARY)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def fingerprint_rows(names, coords, pred):
    """Return a short digest that identifies the rows of one inference run.

    Parameters
    ----------
    names : sequence of str, length N
    coords : array-like of int, shape (N, 3)
    pred : array-like of float32, shape (N, D)

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    digest.update("\n".join(map(str, names)).encode())
    digest.update(np.ascontiguousarray(coords, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(pred, dtype="<f4").tobytes())
    return digest.hexdigest()[:16]


def fingerprint_path(path):
    """Return the file that stores which rows an artifact belongs to.

    Parameters
    ----------
    path : path-like
        ``all_colors.npy`` has ``all_colors.json``; a folder has ``index.json``.

    Returns
    -------
    Path
    """
    path = Path(path)
    return path.with_suffix(".json") if path.suffix else path / "index.json"


def write_fingerprint(record, *, fingerprint, rows):
    """Write the fingerprint and the number of rows atomically."""
    with atomic_write(record, "w") as stream:
        json.dump({"fingerprint": fingerprint, "rows": rows}, stream)


def check_fingerprint(record, *, fingerprint, rows, of):
    """Raise an error if an artifact belongs to other rows.

    Parameters
    ----------
    record : path-like
        See `fingerprint_path`. A missing file passes: other programs write none.
    fingerprint : str
        Of the table at hand.
    rows : int
        Of the table at hand.
    of : path-like
        The table at hand, for the message.

    Raises
    ------
    ArtifactError
    """
    record, text = Path(record), None
    try:
        with user_files(record), suppress(FileNotFoundError, NotADirectoryError):
            text = record.read_text(encoding="utf-8")
        if text is None:
            return
        noted = json.loads(text)
        same = (noted["fingerprint"], noted["rows"]) == (fingerprint, rows)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{record} cannot be read ({error}); run plot_2d.py again"
        ) from error
    if not same:
        raise ArtifactError(
            f"{record} belongs to another run ({noted['rows']} rows) than {of} "
            f"({rows} rows); run plot_2d.py again on the present all_output_info.npz"
        )
