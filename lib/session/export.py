"""Exports of the interactive session: the picked rows, as parquet files."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from lib.errors import ArtifactError
from lib.run.record import PickedFrom

EXPORT_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?")
FOLDER = "exports"


def home_of(path):
    """Return the folder of the run that an interactive table belongs to.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export below it, to pick from
        earlier picks.

    Returns
    -------
    Path
        The folder that contains ``imgs/`` and ``exports/``.
    """
    folder = Path(path).resolve().parent
    return folder.parent if folder.name == FOLDER else folder


def write_export(table, rows, folder, now=None):
    """Write the picked rows of a table.

    Parameters
    ----------
    table : InteractiveTable
    rows : iterable of int
        Picked rows; order and duplicates have no effect.
    folder : Path
        Folder of all exports; created if missing.
    now : datetime, optional
        Time for the file name; by default the local time.

    Returns
    -------
    str
        Name of the file without its ending, such as ``2026-11-22_15-41-55``. An
        existing file is never overwritten.

    Raises
    ------
    ArtifactError
        If no row was picked, or a row is not in the table.
    """
    picked = sorted(set(rows))
    if not picked:
        raise ArtifactError("nothing is selected; click a cluster or draw a lasso")
    if picked[0] < 0 or picked[-1] >= len(table):
        raise ArtifactError(
            f"row {picked[-1] if picked[0] >= 0 else picked[0]} was picked, but the "
            f"table has rows 0 to {len(table) - 1}"
        )
    source = PickedFrom(table.fingerprint, len(table))
    columns = ("name", "coord", "embeddings", "label", "image")
    rows = np.arange(len(table)) if table.row is None else table.row
    chosen = replace(
        table,
        **{column: getattr(table, column)[picked] for column in columns},
        row=rows[picked],
        record=replace(table.record, picked_from=table.record.picked_from or source),
    )
    name = stem = f"{now or datetime.now():%Y-%m-%d_%H-%M-%S}"
    count = 1
    while not _save_new(chosen, folder / f"{name}.parquet"):
        count += 1  # an export of the same second, perhaps of another session
        name = f"{stem}_{count}"
    return name


def _save_new(table, path):
    """Save a table unless the file exists; return whether it was saved."""
    try:
        table.save(path, new=True)
    except FileExistsError:
        return False
    return True


def find_export(folder, name):
    """Return the path of an export, or None if `name` is not the name of one.

    Only time-stamped names reach the disk, and links are not followed.
    """
    if not EXPORT_NAME.fullmatch(name):
        return None
    path = folder / f"{name}.parquet"
    return path if path.is_file() and not path.is_symlink() else None
