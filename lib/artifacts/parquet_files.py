"""Parquet files that anybody may have made: their rows, numbers and record."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lib.errors import NO_FURTHER, ArtifactError, ResourceError
from lib.run.old_layouts import record_of_table
from lib.run.record import RunRecord


def read_integers(path, table, column):
    """Return a column of integers of a pyarrow table as int64."""
    values = table[column].to_pylist()
    try:
        numbers = np.array([float(value) for value in values])
        if not np.equal(numbers, np.round(numbers)).all():
            raise ValueError("not whole")
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: {column} must be a whole number in each row, got such as "
            f"{values[:3]}"
        ) from error
    return numbers.astype(np.int64)


def read_parquet_record(path, table):
    """Return the record of the run from the metadata of a pyarrow table or schema.

    Nothing is known in files of MiLoPYP, and where the metadata are damaged.
    """
    try:
        schema = getattr(table, "schema", table)
        noted = json.loads((schema.metadata or {}).get(b"provenance", b"{}"))
    except ValueError:
        return RunRecord()
    return record_of_table(noted if isinstance(noted, dict) else {}, path)


def read_parquet(path, made_by, *, rows=None, columns=None):
    """Return the pyarrow table in `path`, or say which program makes such a file.

    Parameters
    ----------
    path : path-like
    made_by : str
        Program, for the error message.
    rows : ndarray of int, optional
        Ascending; the default is all.
    columns : list of str, optional
        The default is all.
    """
    with opened_parquet(path, made_by) as file:
        if rows is None:
            return file.read(columns)
        return _read_rows(file, np.asarray(rows), columns)


def _read_rows(file, rows, columns):
    """Read some rows of a parquet file, one row group at a time."""
    import pyarrow as pa

    parts, start = [], 0
    for group in range(file.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        first, last = np.searchsorted(rows, (start, stop))
        if last > first:
            part = file.read_row_group(group, columns)
            # from its bytes, because to look at an array pyarrow imports pandas: 0.2 s
            taken = (rows[first:last] - start).astype(np.int64)
            buffers = [None, pa.py_buffer(taken)]
            parts.append(
                part.take(pa.Array.from_buffers(pa.int64(), len(taken), buffers))
            )
        start = stop
    if not parts:
        return file.schema_arrow.empty_table()
    return pa.concat_tables(parts)


@contextmanager
def opened_parquet(path, made_by):
    """Yield a pyarrow ParquetFile; its faults become an `ArtifactError`."""
    from pyarrow import ArrowException, parquet

    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; it is made by {made_by}")
    try:
        # pyarrow opens by name only what is UTF-8, and the bytes of any name are kept.
        with path.open("rb") as stream, parquet.ParquetFile(stream) as file:
            yield file
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        if "worker thread" in reason:
            raise ResourceError(NO_FURTHER) from error
        raise ArtifactError(
            f"{path} is not a parquet file ({reason}); expected what {made_by} writes"
        ) from error


def require_columns(path, found, wanted):
    """Raise an error if a table lacks a column."""
    missing = [column for column in wanted if column not in found]
    if missing:
        raise ArtifactError(
            f"{path} lacks the column(s) {', '.join(missing)}; "
            f"it has {', '.join(found) or 'none'}"
        )


def parse_coordinates(path, column):
    """Return positions from any of the ways they are stored.

    Parameters
    ----------
    path : path-like
        Named in the error message.
    column : list
        Each a list of three strings or numbers, or the text ``"x,y,z"``.

    Returns
    -------
    ndarray, shape (N, 3)
        int64 when every value is whole, else float64.
    """
    rows = [entry.split(",") if isinstance(entry, str) else entry for entry in column]
    try:
        values = np.array([[float(v) for v in row] for row in rows], dtype=np.float64)
        values = values.reshape(len(rows), 3)
        if not (np.abs(values) < 2**31).all():  # NaN is not below it either
            raise ValueError("not three numbers of voxels")
    except (TypeError, ValueError) as error:
        bad = next((row for row in column if not _is_position(row)), column[:1])
        raise ArtifactError(
            f"{path}: coord {bad!r} is not x, y, z; expected three numbers a row"
        ) from error
    whole = np.equal(values, np.round(values)).all()
    return values.astype(np.int64) if whole else values


def _is_position(entry):
    try:
        row = entry.split(",") if isinstance(entry, str) else list(entry)
        return len(row) == 3 and all(abs(float(v)) < 2**31 for v in row)
    except (TypeError, ValueError):
        return False


def read_score(table, column="score"):
    """Return the scores (N,), or None where there are none or they are no numbers."""
    if column not in table.column_names:
        return None
    try:
        return table[column].to_numpy().astype(np.float32)
    except (TypeError, ValueError):
        return None


def read_given(table):
    """Return ``given_score`` and ``given_label`` (N,), None where there are none."""
    label = None
    if "given_label" in table.column_names:
        label = np.array([str(text) for text in table["given_label"].to_pylist()], str)
    return {"given_score": read_score(table, "given_score"), "given_label": label}


def _read_layout(table, parts):
    """Return positions (N, 2) or (N, 3), or None where they are not all there."""
    if not set(parts) <= set(table.column_names):
        return None
    try:
        columns = [table[part].to_numpy().astype(np.float32) for part in parts]
    except (TypeError, ValueError):
        return None
    positions = np.stack(columns, axis=1)
    inside = (positions >= 0) & (positions <= 1)
    return positions if inside.all() else None
