"""``all_output_info.npz``: written by inference, read by every plot."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts.files import atomic_write
from lib.artifacts.fingerprints import fingerprint_rows
from lib.artifacts.measures import read_measures
from lib.artifacts.npz_files import read_npz
from lib.errors import ArtifactError
from lib.run.old_layouts import record_of_table
from lib.run.record import SCHEMA_VERSION, RunRecord

_AXES = {"name": 1, "coords": 2, "pred": 2, "proj": 2, "subvol": 4, "subvols_2d": 4}
IN_PIECES = ("proj", "subvol", "subvols_2d")
_AXES |= {"given_score": 1, "given_label": 1}
_TEXTS = ("name", "given_label")


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
        Normalized patch of the tomogram. In a large file that was opened, this, `proj`
        and `subvols_2d` are read in slices: see `lib.artifacts.npz_files.StoredArray`.
    subvols_2d : ndarray of float32, shape (N, 1, H, W), or None
        Normalized patch of the tilt series; 2d3d only.
    measures : dict of str to ndarray of float32, shape (N,)
        See `lib.artifacts.measures`; a column each. Empty in earlier tables.
    given_score : ndarray of float32, shape (N,), or None
        Of candidates that a file gave (``--coords``): score in it, NaN without one.
    given_label : ndarray of str, shape (N,), or None
        The same: class or label in it, empty without one.
    record : lib.run.record.RunRecord
        Of the run; stored as ``provenance``. Nothing is known in files of other
        programs.
    """

    name: np.ndarray
    coords: np.ndarray
    pred: np.ndarray
    proj: np.ndarray
    subvol: np.ndarray
    subvols_2d: np.ndarray | None = None
    measures: dict = field(default_factory=dict)
    given_score: np.ndarray | None = None
    given_label: np.ndarray | None = None
    record: RunRecord = field(default_factory=RunRecord)

    def __post_init__(self):
        columns = self._columns()
        for key, value in columns.items():
            if value.ndim != _AXES[key]:
                raise ArtifactError(
                    f"{key} must have {_AXES[key]} axes, got shape {value.shape}"
                )
        rows = {key: len(value) for key, value in (columns | self.measures).items()}
        if len(set(rows.values())) != 1:
            raise ArtifactError(f"columns differ in length: {rows}")
        if self.coords.shape[1:] != (3,):
            raise ArtifactError(f"coords must be (N, 3), got {self.coords.shape}")

    def __len__(self):
        return len(self.name)

    def _columns(self):
        columns = {key: getattr(self, key) for key in _AXES}
        return {key: value for key, value in columns.items() if value is not None}

    @property
    def fingerprint(self):
        """Digest of the rows; see `fingerprint_rows`."""
        return fingerprint_rows(self.name, self.coords, self.pred)

    def save(self, path):
        """Write the table atomically."""
        with atomic_write(path) as stream:
            np.savez(
                stream,
                schema=SCHEMA_VERSION,
                provenance=json.dumps(self.record.plain()),
                **self._columns(),
                **self.measures,
            )

    @classmethod
    def load(cls, path):
        """Read a table of this project or of MiLoPYP, without executing anything in it.

        Raises
        ------
        ArtifactError
            When the file is missing, is not an npz, lacks a column, or was written by
            a later schema.
        """
        path = Path(path)
        if not path.is_file():
            raise ArtifactError(
                f"{path} does not exist; run simsiam_test_hm_2d3d.py or "
                "simsiam_test_hm_3d.py with the same --dataset and --exp_id first"
            )
        stored = read_npz(path, in_pieces=IN_PIECES)
        missing = sorted({"name", "coords", "pred", "proj", "subvol"} - set(stored))
        if missing:
            raise ArtifactError(
                f"{path} lacks {', '.join(missing)} (it has "
                f"{', '.join(sorted(stored)) or 'nothing'}); is it the output of "
                "simsiam_test_hm_2d3d.py or simsiam_test_hm_3d.py?"
            )
        try:
            schema = int(stored.pop("schema", SCHEMA_VERSION))
            noted = json.loads(str(stored.pop("provenance", "{}")))
            if not isinstance(noted, dict):
                raise ValueError(f"{noted!r} is not a dictionary")
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path}: schema or provenance cannot be read ({error}); embed again"
            ) from error
        if schema > SCHEMA_VERSION:
            raise ArtifactError(f"{path} was written by a later version; update")
        record = record_of_table(noted, path)
        try:
            return cls(
                **_as_columns(stored), measures=read_measures(stored), record=record
            )
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}; embed again") from error


def _as_columns(stored):
    """Return the columns of an npz in the dtypes of `EmbeddingTable`."""
    columns = {key: stored[key] for key in _AXES if key in stored}
    for key in columns.keys() & set(_TEXTS):
        if columns[key].dtype.kind not in "US":
            raise ArtifactError(f"{key} must hold text, got {columns[key].dtype}")
        columns[key] = columns[key].astype(str)
    for key in columns.keys() - set(_TEXTS):
        if columns[key].dtype.kind not in "iuf":
            raise ArtifactError(f"{key} must hold numbers, got {columns[key].dtype}")
    if not _are_integers(columns["coords"]):
        raise ArtifactError("coords must be whole numbers: x, y, z in voxels")
    require_finite(columns["pred"])
    columns["coords"] = columns["coords"].astype(np.int64)
    return columns


def _are_integers(values):
    """Return whether all values are finite integers of 32 bits."""
    return bool((np.abs(values) < 2**31).all() and (values == np.round(values)).all())


def require_finite(embeddings):
    """Raise an error if embeddings (N, D) are not finite: the model has diverged."""
    finite = np.isfinite(embeddings).all(axis=tuple(range(1, embeddings.ndim)))
    bad = np.count_nonzero(~finite)
    if bad:
        raise ArtifactError(
            f"the embeddings of {bad} of {len(finite)} candidates are not finite: the "
            "model has diverged; train again or use an earlier checkpoint"
        )
