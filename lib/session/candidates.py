"""The candidates that the explorer shows, as columns.

They are mapped from ``session_columns/`` where `plot_2d.py` wrote it. Tables of earlier
versions and of other programs have no layout: they are shown on the principal
components of their embeddings, which takes a second for 100,000 candidates.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts import (
    Columns,
    ExperimentDir,
    InteractiveTable,
    TableFooter,
    check_fingerprint,
    file_states,
)
from lib.artifacts.measures import shown_numbers
from lib.errors import ArtifactError
from lib.maps.averages import EXAMPLES, typical_rows
from lib.picking.likeness import unit_float16
from lib.run.record import PickedFrom, RunRecord
from lib.session.export import home_of
from lib.session.patches import NO_PATCHES, MappedPatches, PicturePatches

AGAIN = "run plot_2d.py on all_output_info.npz again"
BLOCK = 65_536  # rows at a time


@dataclass
class Candidates:
    """What is shown, and where it came from.

    Attributes
    ----------
    path : Path
        Of the table.
    run : ExperimentDir
    columns : lib.artifacts.Columns
    patches : object
        See `lib.session.patches`.
    fingerprint : str
        Of the rows of the table.
    record : lib.run.record.RunRecord
    notes : list of str
        What the user has to know.
    state : list of tuple
        Of the file, which tells whether it was replaced since.
    has_layout : bool
        Whether the layout is that of `plot_2d.py`.
    score : ndarray of float32, shape (N,), or None
        Of an export.
    """

    path: Path
    run: ExperimentDir
    columns: Columns
    patches: object
    fingerprint: str
    record: RunRecord
    state: list
    notes: list = field(default_factory=list)
    has_layout: bool = True
    score: np.ndarray | None = None

    def __len__(self):
        return len(self.columns)


def open_candidates(path):
    """Open the table to show, and check that the patches beside it belong to it.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export.

    Returns
    -------
    Candidates

    Raises
    ------
    ArtifactError
        If the table cannot be used, or the patches belong to other rows.
    """
    path = Path(path)
    run = ExperimentDir(home_of(path))
    state = file_states([path]) if path.is_file() else []
    footer = TableFooter.of(path)
    if footer.layout_id is not None and footer.record.picked_from is None:
        columns = Columns.load(run.columns, layout_id=footer.layout_id)
        if columns is not None and len(columns) == footer.rows:
            return Candidates(
                path=path,
                run=run,
                columns=columns,
                patches=MappedPatches.of(columns),
                fingerprint=footer.fingerprint,
                record=footer.record,
                state=state,
            )
    return _read_table(path, run, state)


def _read_table(path, run, state):
    """Read a whole table: an export, or one without columns beside it."""
    table = InteractiveTable.load(path, finite=False)
    fingerprint, notes = table.fingerprint, []
    origin = table.record.picked_from or PickedFrom(fingerprint, len(table))
    check_fingerprint(run.picture_record, **vars(origin), of=path)
    unit, n_bad = unit_float16(table.embeddings)
    if n_bad:
        notes.append(
            f"{n_bad:,} of {len(table):,} candidates have embeddings that are not "
            "finite: they lie in the middle of the map, and nothing is similar to them"
        )
    layout = {"map": "", "cloud": "umap"}  # the table does not say UMAP or t-SNE
    map_xy, cloud = table.map_xy, table.cloud
    has_layout = map_xy is not None and cloud is not None
    if not has_layout:
        found = principal_components(unit)
        map_xy, cloud, layout = found[:, :2], found, {"map": "pca", "cloud": "pca"}
        notes.append(
            "this table holds no map: candidates lie on the principal components of "
            f"their embeddings; for the map, {AGAIN}"
        )
    names, tomogram = np.unique(table.name, return_inverse=True)
    numbers, cluster = np.unique(table.label, return_inverse=True)
    if max(len(names), len(numbers)) > np.iinfo(np.uint16).max:
        raise ArtifactError(
            f"{path} has {len(names):,} tomograms and {len(numbers):,} labels; the "
            "session shows at most 65,535 of each"
        )
    patches = PicturePatches.of(run, table)
    if patches is NO_PATCHES:
        notes.append(f"there are no patches in {run.patch_pictures}; {AGAIN}")
    return Candidates(
        path=path,
        run=run,
        columns=Columns(
            names=names.tolist(),
            numbers=numbers.tolist(),
            tomogram=tomogram.astype(np.uint16),
            cluster=cluster.astype(np.uint16),
            coord=table.coord,
            map_xy=map_xy,
            cloud=cloud,
            unit=unit,
            examples=typical_rows(unit, cluster, len(numbers), EXAMPLES),
            means=None,
            layout=layout,
            measures=shown_numbers(table),
        ),
        patches=patches,
        fingerprint=fingerprint,
        record=table.record,
        state=state,
        notes=notes,
        has_layout=has_layout,
        score=table.score,
    )


def principal_components(unit):
    """Return the first three principal components, scaled to 0 to 1 each.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)

    Returns
    -------
    ndarray of float32, shape (N, 3)
        0.5 where there is no third, second or first component.
    """
    n, dim = unit.shape
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
    mean = sum(unit[b].sum(axis=0, dtype=np.float64) for b in blocks) / n
    squares = np.zeros((dim, dim))
    for block in blocks:
        centered = unit[block].astype(np.float32) - mean.astype(np.float32)
        squares += centered.T @ centered
    axes = np.linalg.eigh(squares)[1][:, ::-1][:, :3].astype(np.float32)
    # the sign of an axis is arbitrary: its largest part points up
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = np.full((n, 3), 0.5, np.float32)
    for block in blocks:
        centered = unit[block].astype(np.float32) - mean.astype(np.float32)
        found[block, : axes.shape[1]] = centered @ axes
    low, high = found.min(axis=0), found.max(axis=0)
    flat = high - low < 1e-6
    return np.where(flat, 0.5, (found - low) / np.where(flat, 1, high - low))
