"""``interactive_info_parquet.gzip`` and exports: the tables to pick from."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts.embedding_table import require_finite
from lib.artifacts.files import atomic_write
from lib.artifacts.fingerprints import fingerprint_rows
from lib.errors import ArtifactError
from lib.run.old_layouts import record_of_table
from lib.run.record import SCHEMA_VERSION, RunRecord


@dataclass(frozen=True)
class InteractiveTable:
    """``interactive_info_parquet.gzip``: what the interactive session shows.

    Attributes
    ----------
    name : ndarray of str, shape (N,)
    coord : ndarray of int, shape (N, 3)
        (x, y, z) as in `EmbeddingTable`; stored as a list of three strings.
    embeddings : ndarray of float32, shape (N, D)
    label : ndarray of int, shape (N,)
        Over-cluster of the candidate.
    image : ndarray of str, shape (N,)
        URL of the patch.
    record : lib.run.record.RunRecord
        As in `EmbeddingTable`; kept in the metadata of the parquet file.
    row : ndarray of int, shape (N,), or None
        In exports: the row each had in the table it was picked from.
    """

    name: np.ndarray
    coord: np.ndarray
    embeddings: np.ndarray
    label: np.ndarray
    image: np.ndarray
    record: RunRecord = field(default_factory=RunRecord)
    row: np.ndarray | None = None

    def __len__(self):
        return len(self.name)

    @property
    def fingerprint(self):
        """Digest of the rows; see `fingerprint_rows`."""
        return fingerprint_rows(self.name, self.coord, self.embeddings)

    def save(self, path, *, new=False):
        """Write the table as gzip parquet, atomically.

        Parameters
        ----------
        path : path-like
        new : bool
            Raise an error if the file exists, instead of replacing it.

        Raises
        ------
        FileExistsError
            With `new`, if the file exists.
        """
        import pyarrow as pa
        from pyarrow import parquet

        coord = pa.array([[str(v) for v in row] for row in self.coord.tolist()])
        flat = pa.array(self.embeddings.astype(np.float32).ravel())
        offsets = np.arange(len(self) + 1, dtype=np.int32) * self.embeddings.shape[1]
        columns = {
            "name": pa.array(self.name.astype(str).tolist()),
            "coord": coord,
            "embeddings": pa.ListArray.from_arrays(offsets, flat),
            "label": pa.array(self.label.astype(np.int64)),
            "image": pa.array(self.image.astype(str).tolist()),
        }
        if self.row is not None:
            columns["row"] = pa.array(self.row.astype(np.int64))
        table = pa.table(columns).replace_schema_metadata(
            {
                "schema": str(SCHEMA_VERSION),
                "provenance": json.dumps(self.record.plain()),
            }
        )
        with atomic_write(path, new=new) as stream:
            parquet.write_table(table, stream, compression="gzip")

    @classmethod
    def load(cls, path):
        """Read a table of this project or of MiLoPYP.

        Raises
        ------
        ArtifactError
            If the file is missing, is not a parquet, lacks a column, or its embeddings
            differ in length.
        """
        table = read_parquet(path, made_by="plot_2d.py")
        columns = ("name", "coord", "embeddings", "label", "image")
        require_columns(path, table.column_names, columns)
        row = read_integers(path, table, "row") if "row" in table.schema.names else None
        return cls(
            name=np.array(table["name"].to_pylist(), dtype=str),
            coord=parse_coordinates(path, table["coord"].to_pylist()),
            embeddings=_read_embeddings(path, table["embeddings"].combine_chunks()),
            label=read_integers(path, table, "label"),
            image=np.array(table["image"].to_pylist(), dtype=str),
            record=read_parquet_record(path, table),
            row=row,
        )


def _read_embeddings(path, column):
    """Return the float32 array (N, D) of a parquet column of lists."""
    again = "make the table again with plot_2d.py"
    if not len(column):
        raise ArtifactError(f"{path} has no rows; {again}")
    try:
        lengths = set(column.value_lengths().tolist())
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    except (AttributeError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: embeddings must be lists of numbers, got {column.type}; {again}"
        ) from error
    if len(lengths) != 1 or None in lengths:
        raise ArtifactError(
            f"{path}: embeddings differ in length "
            f"({', '.join(sorted(map(str, lengths)))}); {again}"
        )
    embeddings = flat.reshape(len(column), -1)
    try:
        require_finite(embeddings)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    return embeddings


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
    """Return the record of the run from the metadata of a pyarrow table.

    Nothing is known in files of MiLoPYP, and where the metadata are damaged.
    """
    try:
        noted = json.loads((table.schema.metadata or {}).get(b"provenance", b"{}"))
    except ValueError:
        return RunRecord()
    return record_of_table(noted if isinstance(noted, dict) else {}, path)


def read_parquet(path, made_by):
    """Return the pyarrow table in `path`, or say which program makes such a file."""
    from pyarrow import ArrowException, parquet

    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; it is made by {made_by}")
    try:
        return parquet.read_table(path, partitioning=None)
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
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
