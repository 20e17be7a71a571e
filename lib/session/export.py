"""What was picked in the interactive session, as files that outlive it."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from lib.errors import ArtifactError

EXPORT_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?")
FOLDER = "exports"


def home_of(path):
    """Return the folder of the run that an interactive table belongs to.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export below it: picking can go
        on from what was picked before.

    Returns
    -------
    Path
        Where ``imgs/`` and ``exports/`` are.
    """
    folder = Path(path).resolve().parent
    return folder.parent if folder.name == FOLDER else folder


def write_export(table, rows, folder, now=None):
    """Keep the picked rows of a table.

    Parameters
    ----------
    table : InteractiveTable
    rows : iterable of int
        Picked rows; order and repetition do not matter.
    folder : Path
        Of all exports; made when missing.
    now : datetime, optional
        Gives the name; the local time by default.

    Returns
    -------
    str
        Name of the file without its ending, such as ``2026-11-22_15-41-55``; one
        that exists already is never overwritten.

    Raises
    ------
    ArtifactError
        When no row was picked, or one is not in the table.
    """
    picked = sorted(set(rows))
    if not picked:
        raise ArtifactError("nothing is selected; click a cluster or draw a lasso")
    if picked[0] < 0 or picked[-1] >= len(table):
        raise ArtifactError(
            f"row {picked[-1] if picked[0] >= 0 else picked[0]} was picked, but the "
            f"table has rows 0 to {len(table) - 1}"
        )
    source = {"fingerprint": table.fingerprint, "rows": len(table)}
    columns = ("name", "coord", "embeddings", "label", "image")
    rows = np.arange(len(table)) if table.row is None else table.row
    chosen = replace(
        table,
        **{column: getattr(table, column)[picked] for column in columns},
        row=rows[picked],
        provenance={"picked_from": source, **table.provenance},
    )
    name = stem = f"{now or datetime.now():%Y-%m-%d_%H-%M-%S}"
    count = 1
    while not _save_new(chosen, folder / f"{name}.parquet"):
        count += 1  # of the same second, perhaps of another session
        name = f"{stem}_{count}"
    return name


def _save_new(table, path):
    """Save a table unless something is there; return whether it was saved."""
    try:
        table.save(path, new=True)
    except FileExistsError:
        return False
    return True


def find_export(folder, name):
    """Return the path of an export, or None when `name` is not one of ours.

    Nothing but a time-stamped name reaches the disk, and a link is not followed.
    """
    if not EXPORT_NAME.fullmatch(name):
        return None
    path = folder / f"{name}.parquet"
    return path if path.is_file() and not path.is_symlink() else None
