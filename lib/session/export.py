"""Exports of the interactive session: picked rows, kept in ``exports/``."""

import re
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from lib.artifacts import InteractiveTable, atomic_write, file_states
from lib.errors import ArtifactError, InputError, OptionError
from lib.picking.likeness import similarity
from lib.run.record import PickedFrom
from lib.session.requests import read_rows, read_share, unpack_rows
from lib.session.teaching import taught_scores

# The ending of each format; those but parquet are written by `lib.export`.
FORMATS = {
    "parquet": ".parquet",
    "txt": ".txt",
    "csv": ".csv",
    "star": ".star",
    "star5": ".star",
    "imod": ".txt",
    "ndjson": ".ndjson",
}
EXPORT_NAME = re.compile(
    r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?(\.(parquet|txt|csv|star|ndjson|zip))?"
)
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
    rows = np.arange(len(table)) if table.row is None else table.row
    return save_picked(replace(table, row=rows).only(picked), source, folder, now)


def save_picked(picked, source, folder, now=None):
    """Write the picked rows of a table, and return the name: see `write_export`.

    Parameters
    ----------
    picked : InteractiveTable
        With ``row``.
    source : lib.run.record.PickedFrom
        The table that the rows are of.
    folder : Path
    now : datetime, optional
    """
    source = picked.record.picked_from or source
    picked = replace(picked, record=replace(picked.record, picked_from=source))
    name = stem = f"{now or datetime.now():%Y-%m-%d_%H-%M-%S}"
    count = 1
    while not _save_new(picked, folder / f"{name}.parquet"):
        count += 1  # an export of the same second, perhaps of another session
        name = f"{stem}_{count}"
    return name


def export_classes(candidates, classes, asked, most_similar):
    """Write what the page asks for, as parquet and in the format it asks for.

    Parameters
    ----------
    candidates : lib.session.candidates.Candidates
    classes : lib.session.classes.Classes
    asked : dict
        ``what``: "class" with ``class``, "rows" with ``rows``, or "scores", which is
        all candidates from ``threshold`` on; ``similar``: rows that the scores are
        of, or ``taught``: the class that was taught (neither with a class);
        ``format``; ``if_double``, see
        `interactive_to_training_coords.py`.
    most_similar : int
        Rows in ``similar`` at most.

    Returns
    -------
    path : Path
        In ``exports/``. The parquet file of the same name is beside it.
    count : int
        Candidates in it.
    """
    kind = asked.get("format", "parquet")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise InputError(f"{kind!r} is not a format: give one of {', '.join(FORMATS)}")
    score = _scores(candidates, classes, asked, most_similar)
    rows = _picked_rows(candidates, classes, asked, score)
    if not len(rows):
        raise InputError("nothing is selected: there are no candidates to export")
    table = InteractiveTable.load(candidates.path, rows=rows, finite=False)
    if file_states([candidates.path]) != candidates.state:
        raise ArtifactError(
            f"{candidates.path} was replaced since this session opened it: start the "
            "session again"
        )
    table = replace(
        table,
        row=rows if table.row is None else table.row,
        score=None if score is None else score[rows],
    )
    folder = candidates.run.exports
    source = PickedFrom(candidates.fingerprint, len(candidates))
    path = folder / f"{save_picked(table, source, folder)}.parquet"
    if kind != "parquet":
        try:
            path = _convert(path, kind, asked.get("if_double"))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path, len(rows)


def _scores(candidates, classes, asked, most):
    """Return the scores to write, or None; a class is not a list of scores."""
    if asked.get("what") == "class":
        return candidates.score
    if asked.get("taught") is not None:
        lesson = classes.lesson(asked["taught"])
        return taught_scores(candidates.columns.unit, lesson)
    if asked.get("similar") is None:
        return candidates.score
    similar = read_rows(asked, "similar", len(candidates), most)
    return similarity(candidates.columns.unit, similar)


def _picked_rows(candidates, classes, asked, score):
    """Return the rows that the page asks for, ascending."""
    what = asked.get("what")
    if what == "class":
        return np.flatnonzero(classes.of_row == classes.named(asked.get("class")).id)
    if what == "rows":
        return unpack_rows(asked.get("rows"), len(candidates))
    if what != "scores" or score is None:
        raise InputError("export a class, rows, or the scores of similar rows")
    # as the page compares what it was sent
    least = np.float16(read_share(asked, "threshold"))
    return np.flatnonzero(score.astype(np.float16) >= least)


def _convert(path, kind, double):
    """Write an export in another format beside it, and return the file to send."""
    from lib.export.formats import AS_READ, write_coordinates
    from lib.export.picks import double_z, drop_repeated, read_picks

    picks = drop_repeated(read_picks([path]))
    halved = bool(picks.compressed) if double is None else bool(double)
    if kind in AS_READ and halved:
        picks = double_z(picks)
    output = path.with_suffix(FORMATS[kind])
    try:
        written = write_coordinates(output, picks, kind=kind, halved=halved)
    except OptionError as error:  # this page has no such options
        raise ArtifactError(
            f"{error}: export parquet here, and convert it with "
            "interactive_to_training_coords.py, which has these options"
        ) from error
    if len(written) == 1:
        return written[0]
    packed = path.with_suffix(".zip")
    with atomic_write(packed) as stream, zipfile.ZipFile(stream, "w") as archive:
        for file in written:
            archive.write(file, file.name)
    return packed


def _save_new(table, path):
    """Save a table unless the file exists; return whether it was saved."""
    try:
        table.save(path, new=True)
    except FileExistsError:
        return False
    return True


def find_export(folder, name):
    """Return the path of an export, or None if `name` is not the name of one.

    Only time-stamped names reach the disk, and links are not followed. A name without
    an ending is that of a parquet file.
    """
    if not EXPORT_NAME.fullmatch(name):
        return None
    path = folder / (name if "." in name else f"{name}.parquet")
    return path if path.is_file() and not path.is_symlink() else None
