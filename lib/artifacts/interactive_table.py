"""``interactive_info_parquet.gzip`` and exports: the tables to pick from."""

import hashlib
import json
from dataclasses import dataclass, field, replace

import numpy as np

from lib.artifacts.embedding_table import require_finite
from lib.artifacts.files import atomic_write
from lib.artifacts.fingerprints import digest_of, fingerprint_rows
from lib.artifacts.measures import measures_of, pick_measures
from lib.artifacts.parquet_files import (
    _read_layout,
    opened_parquet,
    parse_coordinates,
    read_given,
    read_integers,
    read_parquet,
    read_parquet_record,
    read_score,
    require_columns,
)
from lib.errors import ArtifactError
from lib.run.record import SCHEMA_VERSION, RunRecord

LAYOUTS = {"map_xy": ("map_x", "map_y"), "cloud": ("cloud_x", "cloud_y", "cloud_z")}
OPTIONAL = ("row", "score", "given_score", "given_label", *LAYOUTS)  # columns
ROW_GROUP = 65_536  # rows that are read together, also where a few are asked for


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
    map_xy : ndarray of float32, shape (N, 2), or None
        Positions on the map, 0 to 1; stored as ``map_x`` and ``map_y``. None in tables
        of earlier versions and of other programs, and so is the next.
    cloud : ndarray of float32, shape (N, 3), or None
        Positions in the 3-D layout, 0 to 1; ``cloud_x``, ``cloud_y`` and ``cloud_z``.
    score : ndarray of float32, shape (N,), or None
        In exports: likeness to the candidates that were searched for, -1 to 1.
    measures : dict of str to ndarray of float32, shape (N,)
        See `lib.artifacts.measures`; a column each. Empty in earlier tables.
    given_score, given_label : ndarray of float32 or str, shape (N,), or None
        As in `EmbeddingTable`.
    """

    name: np.ndarray
    coord: np.ndarray
    embeddings: np.ndarray
    label: np.ndarray
    image: np.ndarray
    record: RunRecord = field(default_factory=RunRecord)
    row: np.ndarray | None = None
    map_xy: np.ndarray | None = None
    cloud: np.ndarray | None = None
    score: np.ndarray | None = None
    measures: dict = field(default_factory=dict)
    given_score: np.ndarray | None = None
    given_label: np.ndarray | None = None

    def __len__(self):
        return len(self.name)

    @property
    def fingerprint(self):
        """Digest of the rows; see `fingerprint_rows`."""
        return fingerprint_rows(self.name, self.coord, self.embeddings)

    @property
    def layout_id(self):
        """Digest of the rows, their labels and layout, None without a layout.

        It is kept in the metadata of the file, where it is read at once.
        """
        if self.map_xy is None or self.cloud is None:
            return None
        parts = (self.label.astype("<i8"), self.map_xy, self.cloud)
        digests = (hashlib.sha256(part.tobytes()).hexdigest() for part in parts)
        return digest_of(self.fingerprint, *digests)

    def only(self, rows):
        """Return the table of some rows, in that order."""
        columns = ("name", "coord", "embeddings", "label", "image", *OPTIONAL)
        values = {column: getattr(self, column) for column in columns}
        kept = {k: None if v is None else v[rows] for k, v in values.items()}
        return replace(self, **kept, measures=pick_measures(self.measures, rows))

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
        for key, parts in LAYOUTS.items():
            if (layout := getattr(self, key)) is not None:
                for part, values in zip(parts, layout.T, strict=True):
                    columns[part] = pa.array(np.ascontiguousarray(values, np.float32))
        for key in ("score", "given_score"):
            if (scores := getattr(self, key)) is not None:
                columns[key] = pa.array(scores.astype(np.float32))
        if self.given_label is not None:
            columns["given_label"] = pa.array(self.given_label.astype(str).tolist())
        for key, values in self.measures.items():
            columns[key] = pa.array(values.astype(np.float32))
        metadata = {
            "schema": str(SCHEMA_VERSION),
            "provenance": json.dumps(self.record.plain()),
            "fingerprint": self.fingerprint,
        }
        if (layout_id := self.layout_id) is not None:
            metadata["layout"] = layout_id
        table = pa.table(columns).replace_schema_metadata(metadata)
        with atomic_write(path, new=new) as stream:
            parquet.write_table(
                table, stream, compression="gzip", row_group_size=ROW_GROUP
            )

    @classmethod
    def load(cls, path, *, rows=None, finite=True):
        """Read a table of this project or of MiLoPYP.

        Parameters
        ----------
        path : path-like
        rows : ndarray of int, optional
            Ascending; read only these. The default is all.
        finite : bool
            Reject embeddings that are not finite.

        Raises
        ------
        ArtifactError
            If the file is missing, is not a parquet, lacks a column, or its embeddings
            differ in length.
        """
        table = read_parquet(path, made_by="plot_2d.py", rows=rows)
        columns = ("name", "coord", "embeddings", "label", "image")
        require_columns(path, table.column_names, columns)
        row = read_integers(path, table, "row") if "row" in table.schema.names else None
        return cls(
            name=np.array(table["name"].to_pylist(), dtype=str),
            coord=parse_coordinates(path, table["coord"].to_pylist()),
            embeddings=_read_embeddings(
                path, table["embeddings"].combine_chunks(), finite
            ),
            label=read_integers(path, table, "label"),
            image=np.array(table["image"].to_pylist(), dtype=str),
            record=read_parquet_record(path, table),
            row=row,
            score=read_score(table),
            measures=measures_of(table),
            **read_given(table),
            **{key: _read_layout(table, parts) for key, parts in LAYOUTS.items()},
        )


@dataclass(frozen=True)
class TableFooter:
    """What the footer of a table says, without reading a row.

    Attributes
    ----------
    rows : int
    fingerprint, layout_id : str or None
        See `InteractiveTable`; None in files of earlier versions and other programs.
    record : lib.run.record.RunRecord
    """

    rows: int
    fingerprint: str | None
    layout_id: str | None
    record: RunRecord

    @classmethod
    def of(cls, path):
        """Read the footer of the table at `path`."""
        with opened_parquet(path, "plot_2d.py") as file:
            noted = file.schema_arrow.metadata or {}
            texts = {k: v.decode("utf-8", "replace") for k, v in noted.items()}
            return cls(
                rows=file.metadata.num_rows,
                fingerprint=texts.get(b"fingerprint"),
                layout_id=texts.get(b"layout"),
                record=read_parquet_record(path, file.schema_arrow),
            )


def _read_embeddings(path, column, finite):
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
        if finite:
            require_finite(embeddings)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    return embeddings
