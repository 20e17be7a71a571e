"""Picked candidates from one or several exports, as one set without duplicates."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lib.artifacts import (
    parse_coordinates,
    read_given,
    read_integers,
    read_parquet,
    read_parquet_record,
    read_score,
    require_columns,
)
from lib.artifacts.measures import join_measures, measures_of, pick_measures
from lib.errors import ArtifactError
from lib.modes import MODES

COLUMNS = ("name", "coord", "label", "score", "given_score", "given_label")
# What must be equal in two runs to join their picks in a tomogram of one name.
SAME_IN_RUNS = ("rec_path", "shape", "voxel_size", "order")


@dataclass(frozen=True)
class Picks:
    """Candidates that were picked.

    Attributes
    ----------
    name : ndarray of str, shape (N,)
        Tomogram of each.
    coord : ndarray of int or float, shape (N, 3)
        (x, y, z) [voxels of the tomogram as read].
    label : ndarray of int, shape (N,), or None
        Over-cluster of each; None if one of the files has none.
    score : ndarray of float32, shape (N,), or None
        Of each, as it was exported; None if one of the files has none.
    measures : dict of str to ndarray of float32, shape (N,)
        See `lib.artifacts.measures`; NaN for those of a file without.
    given_score, given_label : ndarray of float32 or str, shape (N,), or None
        Of each, as the file of coordinates that it was given in has it.
    tomograms : dict of str to lib.run.record.TomogramRecord
        What the run recorded of them, by name.
    flipped : frozenset of str
        Tomograms whose tilt angles were read with the opposite sign.
    compressed : bool or None
        Whether z is halved (``--compress``); None if no file says.
    """

    name: np.ndarray
    coord: np.ndarray
    label: np.ndarray | None = None
    score: np.ndarray | None = None
    measures: dict = field(default_factory=dict)
    given_score: np.ndarray | None = None
    given_label: np.ndarray | None = None
    tomograms: dict = field(default_factory=dict)
    flipped: frozenset = frozenset()
    compressed: bool | None = None

    def __len__(self):
        return len(self.name)

    def only(self, rows):
        """Return the picks at `rows` (indices or mask)."""
        values = {column: getattr(self, column) for column in COLUMNS}
        kept = {k: None if v is None else v[rows] for k, v in values.items()}
        return replace(self, **kept, measures=pick_measures(self.measures, rows))


def find_exports(paths):
    """Return the given parquet files, and those in the given folders.

    Parameters
    ----------
    paths : list of path-like

    Returns
    -------
    list of Path
        Each once.

    Raises
    ------
    ArtifactError
        If a path does not exist, or a folder holds no ``*.parquet``.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            files += _exports_in(path)
        elif path.is_file():
            files.append(path)
        else:
            raise ArtifactError(
                f"{path} does not exist; give an export of the interactive session "
                "(exports/*.parquet), their folder, or interactive_info_parquet.gzip"
            )
    return list(dict.fromkeys(path.resolve() for path in files))


def _exports_in(folder):
    # Hidden are what macOS puts beside files on foreign disks, and partial files.
    found = sorted(path for path in folder.glob("[!.]*.parquet") if path.is_file())
    if not found:
        below = folder / "exports"
        hint = f"; did you mean {below}?" if below.is_dir() else ""
        raise ArtifactError(
            f"{folder} holds no *.parquet; export from the interactive session first, "
            f"or name interactive_info_parquet.gzip and --labels{hint}"
        )
    return found


def read_picks(paths):
    """Read exports, of this project or of MiLoPYP, into one set.

    Parameters
    ----------
    paths : list of Path
        At least one.

    Returns
    -------
    Picks
        In the order of the files, with duplicates.

    Raises
    ------
    ArtifactError
        If a file is unreadable or lacks ``name`` or ``coord``, or two files disagree
        about one tomogram.
    """
    parts = [_read_one(path) for path in paths]
    tomograms = _join_tomograms(paths, parts)
    said = {part.compressed for part in parts}
    if True in said and len(said) > 1:
        raise ArtifactError(
            "some of the files were read with --compress (z halved) and some without, "
            "or do not say; convert them separately"
        )
    columns = {column: [getattr(part, column) for part in parts] for column in COLUMNS}
    return Picks(
        **{
            column: None if any(v is None for v in values) else np.concatenate(values)
            for column, values in columns.items()
        },
        measures=join_measures(
            [part.measures for part in parts], [len(part) for part in parts]
        ),
        tomograms=tomograms,
        flipped=frozenset().union(*(part.flipped for part in parts)),
        compressed=next((value for value in said if value is not None), None),
    )


def _join_tomograms(paths, parts):
    """Join what the runs recorded by tomogram; raise an error where they disagree."""
    known, tomograms = {}, {}
    for path, part in zip(paths, parts, strict=True):
        for name, one in part.tomograms.items():
            known.setdefault(name, path)
            other = tomograms.setdefault(name, one)
            differing = [
                f"{key} {getattr(one, key)} and {getattr(other, key)}"
                for key in SAME_IN_RUNS
                if getattr(one, key) != getattr(other, key)
            ]
            if differing:
                raise ArtifactError(
                    f"{path} and {known[name]} are of two runs that read {name} "
                    f"differently ({'; '.join(differing)}); convert them separately"
                )
    return tomograms


def _read_one(path):
    table = read_parquet(path, made_by="the interactive session")
    require_columns(path, table.column_names, ("name", "coord"))
    record = read_parquet_record(path, table)
    patches, tomograms = record.options.patches, record.tomograms or {}
    mode = MODES.get(patches.mode)
    flipped = mode and mode.needs_tilts and patches.flip_tilt_angles
    labeled = "label" in table.column_names
    return Picks(
        name=np.array(table["name"].to_pylist(), dtype=str),
        coord=parse_coordinates(path, table["coord"].to_pylist()),
        label=read_integers(path, table, "label") if labeled else None,
        score=read_score(table),
        measures=measures_of(table),
        **read_given(table),
        tomograms={
            name: replace(known, rec_path=_real_path(known.rec_path))
            for name, known in tomograms.items()
        },
        flipped=frozenset(tomograms if flipped else ()),
        compressed=patches.compress,
    )


def _real_path(rec_path):
    """Return a path with links resolved, so that one file has one path; None stays."""
    return rec_path and str(Path(rec_path).resolve())


def drop_repeated(picks):
    """Return the picks with each position once, where it first occurs."""
    seen = {}
    keys = zip(picks.name.tolist(), map(tuple, picks.coord.tolist()), strict=True)
    for row, key in enumerate(keys):
        seen.setdefault(key, row)
    return picks.only(np.fromiter(seen.values(), dtype=np.int64, count=len(seen)))


def double_z(picks):
    """Return the picks with z doubled: for tomograms read with ``--compress``."""
    return replace(picks, coord=picks.coord * np.array([1, 1, 2]))
