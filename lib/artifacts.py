"""Names, keys and dtypes of everything under ``exp/<dataset>/<exp_id>/``.

Scripts meet only here: no other module spells one of these file names or keys.
Every file is written beside its place and moved into it, so that it appears
whole or not at all. Formats: ``formats.md`` of the project's documents.
"""

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.errors import ArtifactError
from lib.npz import read_npz

SCHEMA_VERSION = 1
EMBEDDING_DIM = 128


@dataclass(frozen=True)
class ExperimentDir:
    """Paths of one experiment."""

    root: Path

    @classmethod
    def of(cls, exp_root, dataset, exp_id):
        """Return the directory ``<exp_root>/<dataset>/<exp_id>``."""
        return cls(Path(exp_root).expanduser().resolve() / dataset / exp_id)

    @property
    def options(self):
        """Library versions, command line, every option (written by training)."""
        return self.root / "opts.txt"

    @property
    def log(self):
        """One line an epoch (written by training)."""
        return self.root / "log.txt"

    @property
    def lock(self):
        """Held by the process that writes into this experiment."""
        return self.root / ".lock"

    def checkpoint(self, epoch):
        """Return ``model_<epoch>.pth``; epoch may be ``"last"`` or ``"best"``."""
        return self.root / f"model_{epoch}.pth"

    def candidate_picture(self, tomogram):
        """Return the picture of the candidates over slices of one tomogram."""
        return self.root / f"candidates_{tomogram}.png"

    @property
    def embeddings(self):
        """Written by the inference scripts, read by every plotting script."""
        return self.root / "all_output_info.npz"

    @property
    def map_picture(self):
        """Written by plot_2d.py: the map with thumbnails."""
        return self.root / "2d_visualization_out.png"

    @property
    def label_picture(self):
        """Written by plot_2d.py: the map with cluster numbers."""
        return self.root / "2d_visualization_labels.png"

    @property
    def colors(self):
        """Written by plot_2d.py, read by visualize_3dhm.py."""
        return self.root / "all_colors.npy"

    @property
    def color_record(self):
        """Which rows the colours belong to: see `check_row_record`."""
        return row_record(self.colors)

    @property
    def interactive_table(self):
        """Written by plot_2d.py, read by the interactive session."""
        return self.root / "interactive_info_parquet.gzip"

    @property
    def patch_pictures(self):
        """Folder of ``<row>.png``, written by plot_2d.py."""
        return self.root / "imgs"

    @property
    def picture_record(self):
        """Which rows the patches belong to: see `check_row_record`."""
        return row_record(self.patch_pictures)

    @property
    def exports(self):
        """Folder of what was picked in the interactive session."""
        return self.root / "exports"

    def grey_volume(self, tomogram):
        """Return ``<tomo>_rec3d.npy``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_rec3d.npy"

    def heatmap_volume(self, tomogram):
        """Return ``<tomo>_hm3d_simsiam.npy``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_hm3d_simsiam.npy"

    def blended_picture(self, tomogram):
        """Return ``<tomo>_blend.png``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_blend.png"


@contextmanager
def whole_file(path, mode="wb"):
    """Open a file that appears at `path` when the block ends without error.

    Parameters
    ----------
    path : path-like
        Where the file shall appear; its folder is made when missing.
    mode : {"wb", "w"}
        Binary, or UTF-8 text.

    Yields
    ------
    file object
        Of a temporary file in the same folder, synchronised before the move.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    partial = Path(partial)
    encoding = None if "b" in mode else "utf-8"
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


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


def row_record(path):
    """Return where it is noted which rows an artifact without names belongs to.

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


def write_row_record(record, *, fingerprint, rows):
    """Note the fingerprint and number of rows; the note appears whole."""
    with whole_file(record, "w") as stream:
        json.dump({"fingerprint": fingerprint, "rows": rows}, stream)


def check_row_record(record, *, fingerprint, rows, of):
    """Refuse an artifact whose note names other rows.

    Parameters
    ----------
    record : path-like
        See `row_record`. A missing one passes: other programs write none.
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
    record = Path(record)
    if not record.is_file():
        return
    try:
        noted = json.loads(record.read_text(encoding="utf-8"))
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


_AXES = {"name": 1, "coords": 2, "pred": 2, "proj": 2, "subvol": 4, "subvols_2d": 4}


@dataclass(frozen=True)
class EmbeddingTable:
    """``all_output_info.npz``: one row per candidate.

    Attributes
    ----------
    name : ndarray of str, shape (N,)
        Tomogram the candidate was found in.
    coords : ndarray of int, shape (N, 3)
        Candidate (x, y, z) [voxels of the tomogram as read; z is halved where it
        was read with ``--compress``].
    pred, proj : ndarray of float32, shape (N, 128)
        Predictor and projector outputs of the network.
    subvol : ndarray of float32, shape (N, 1, H, W)
        Normalised patch of the tomogram.
    subvols_2d : ndarray of float32, shape (N, 1, H, W), or None
        Normalised patch of the tilt series; 2d3d only.
    provenance : dict
        What the run knew: options, voxel sizes, tomogram shapes, health of the
        model. Empty in files of other programs.
    """

    name: np.ndarray
    coords: np.ndarray
    pred: np.ndarray
    proj: np.ndarray
    subvol: np.ndarray
    subvols_2d: np.ndarray | None = None
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        columns = self._columns()
        for key, value in columns.items():
            if value.ndim != _AXES[key]:
                raise ArtifactError(
                    f"{key} must have {_AXES[key]} axes, got shape {value.shape}"
                )
        rows = {key: len(value) for key, value in columns.items()}
        if len(set(rows.values())) != 1:
            raise ArtifactError(f"columns differ in length: {rows}")
        if self.coords.shape[1:] != (3,):
            raise ArtifactError(f"coords must be (N, 3), got {self.coords.shape}")

    def __len__(self):
        return len(self.name)

    def _columns(self):
        columns = {key: getattr(self, key) for key in _AXES}
        if self.subvols_2d is None:
            del columns["subvols_2d"]
        return columns

    @property
    def fingerprint(self):
        """Digest of the rows; see `fingerprint_rows`."""
        return fingerprint_rows(self.name, self.coords, self.pred)

    def save(self, path):
        """Write the table; the file appears whole or not at all."""
        with whole_file(path) as stream:
            np.savez(
                stream,
                schema=SCHEMA_VERSION,
                provenance=json.dumps(self.provenance),
                **self._columns(),
            )

    @classmethod
    def load(cls, path):
        """Read a table of ours or of a peer, without executing anything in it.

        Raises
        ------
        ArtifactError
            When the file is missing, is no npz, lacks a column, or was written by
            a later schema.
        """
        path = Path(path)
        if not path.is_file():
            raise ArtifactError(
                f"{path} does not exist; run simsiam_test_hm_2d3d.py or "
                "simsiam_test_hm_3d.py with the same --dataset and --exp_id first"
            )
        stored = read_npz(path)
        missing = sorted({"name", "coords", "pred", "proj", "subvol"} - set(stored))
        if missing:
            raise ArtifactError(
                f"{path} lacks {', '.join(missing)} (it has "
                f"{', '.join(sorted(stored)) or 'nothing'}); is it the output of "
                "simsiam_test_hm_2d3d.py or simsiam_test_hm_3d.py?"
            )
        try:
            schema = int(stored.pop("schema", SCHEMA_VERSION))
            provenance = json.loads(str(stored.pop("provenance", "{}")))
            if not isinstance(provenance, dict):
                raise ValueError(f"{provenance!r} is no set of keys and values")
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path}: schema or provenance cannot be read ({error}); embed again"
            ) from error
        if schema > SCHEMA_VERSION:
            raise ArtifactError(f"{path} was written by a later version; update")
        try:
            return cls(**_as_columns(stored), provenance=provenance)
        except ArtifactError as refusal:
            raise ArtifactError(f"{path}: {refusal}; embed again") from refusal


def _as_columns(stored):
    """Return the columns of an npz in the dtypes of `EmbeddingTable`."""
    columns = {key: stored[key] for key in _AXES if key in stored}
    if columns["name"].dtype.kind not in "US":
        raise ArtifactError(f"name must hold text, got {columns['name'].dtype}")
    for key in columns.keys() - {"name"}:
        if columns[key].dtype.kind not in "iuf":
            raise ArtifactError(f"{key} must hold numbers, got {columns[key].dtype}")
    if not _are_whole(columns["coords"]):
        raise ArtifactError("coords must be whole numbers: x, y, z in voxels")
    require_finite(columns["pred"])
    columns["name"] = columns["name"].astype(str)
    columns["coords"] = columns["coords"].astype(np.int64)
    return columns


def _are_whole(values):
    """Tell whether all values are finite, without a fraction, and fit an integer."""
    return bool((np.abs(values) < 2**31).all() and (values == np.round(values)).all())


def require_finite(embeddings):
    """Refuse embeddings (N, D) of a model that has diverged."""
    finite = np.isfinite(embeddings).all(axis=tuple(range(1, embeddings.ndim)))
    bad = np.count_nonzero(~finite)
    if bad:
        raise ArtifactError(
            f"the embeddings of {bad} of {len(finite)} candidates are not finite: the "
            "model has diverged, train again or take an earlier one"
        )


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
    provenance : dict
        As in `EmbeddingTable`; kept in the metadata of the parquet file.
    row : ndarray of int, shape (N,), or None
        In exports: the row each had in the table it was picked from.
    """

    name: np.ndarray
    coord: np.ndarray
    embeddings: np.ndarray
    label: np.ndarray
    image: np.ndarray
    provenance: dict = field(default_factory=dict)
    row: np.ndarray | None = None

    def __len__(self):
        return len(self.name)

    @property
    def fingerprint(self):
        """Digest of the rows; see `fingerprint_rows`."""
        return fingerprint_rows(self.name, self.coord, self.embeddings)

    def save(self, path):
        """Write the table as gzip parquet; it appears whole or not at all."""
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
            {"schema": str(SCHEMA_VERSION), "provenance": json.dumps(self.provenance)}
        )
        with whole_file(path) as stream:
            parquet.write_table(table, stream, compression="gzip")

    @classmethod
    def load(cls, path):
        """Read a table of ours or of a peer.

        Raises
        ------
        ArtifactError
            When the file is missing, is no parquet, lacks a column, or its
            embeddings differ in length.
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
            provenance=read_provenance(table),
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
    except ArtifactError as refusal:
        raise ArtifactError(f"{path}: {refusal}") from refusal
    return embeddings


def read_integers(path, table, column):
    """Return a column of a pyarrow table as int64; refuse anything but integers."""
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


def read_provenance(table):
    """Return what the run knew from the metadata of a parquet; {} in peers' files."""
    try:
        known = json.loads((table.schema.metadata or {}).get(b"provenance", b"{}"))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


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
    """Refuse a table that lacks a column."""
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
        Named in the refusal.
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
