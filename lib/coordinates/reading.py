"""Coordinates of any program, told apart by what is in the file."""

from pathlib import Path

import numpy as np

from lib.artifacts import read_parquet, read_parquet_record
from lib.artifacts.measures import MEASURES
from lib.coordinates.program_files import read_json, read_star
from lib.coordinates.raw import LARGEST, VOXELS, RawCoordinates
from lib.coordinates.tables import read_table
from lib.errors import InputError, user_files
from lib.export.picks import find_exports, read_picks
from lib.inputs.plain_text import is_file, read_lines
from lib.run.record import PickedFrom

PARQUET = b"PAR1"


def find_files(paths, option):
    """Return the given files, and the exports in the given folders, each once.

    Raises
    ------
    InputError
        If a path does not exist.
    """
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            files += find_exports([path])
        elif is_file(path):
            files.append(path)
        else:
            raise InputError(
                f"{option}: {path} does not exist; expected files of coordinates, or "
                "folders of exports"
            )
    return list({path.resolve(): path for path in files}.values())


def read_coordinates(path):
    """Read a file of coordinates.

    Parameters
    ----------
    path : Path
        An export of a session (parquet), a table (txt, csv), a STAR file, points of
        IMOD, of copick or of the CryoET data portal.

    Returns
    -------
    RawCoordinates

    Raises
    ------
    InputError, ArtifactError
        If it is none of these, is empty, or holds what is no number.
    """
    with user_files(path), path.open("rb") as stream:
        start = stream.read(len(PARQUET))
    if start == PARQUET:
        return _read_parquet(path)
    lines = read_lines(path, "a file of coordinates", largest=LARGEST)
    first = next((text for _, text in lines if text[0] != "#"), "")
    if first.startswith("{"):
        raw = read_json(path, "\n".join(text for _, text in lines))
    elif first.startswith("data_"):
        raw = read_star(path, "\n".join(text for _, text in lines))
    else:
        raw = read_table(path, lines)
    return _with_export(raw)


def _with_export(raw):
    """Add what the parquet file of the same export says of its run, if it is there."""
    beside = raw.path.with_suffix(".parquet")
    if beside == raw.path or not is_file(beside):
        return raw
    return _with_history(raw, read_parquet(beside, made_by="the interactive session"))


def _read_parquet(path):
    picks = read_picks([path])
    score = picks.given_score if picks.score is None else picks.score
    label = picks.given_label
    if label is None and picks.label is not None:
        label = picks.label.astype(str)
    raw = RawCoordinates(
        path,
        VOXELS,
        np.asarray(picks.coord, float),
        name=picks.name.tolist(),
        score=score,
        label=None if label is None else label.tolist(),
        more={k: v for k, v in picks.measures.items() if k not in MEASURES},
        tomograms=picks.tomograms,
        halved=picks.compressed,
    )
    return _with_history(raw, read_parquet(path, made_by="the interactive session"))


def _with_history(raw, table):
    from dataclasses import replace

    record = read_parquet_record(raw.path, table)
    metadata = table.schema.metadata or {}
    fingerprint = metadata.get(b"fingerprint", b"").decode("ascii", "replace")
    source = record.picked_from
    if source is None and fingerprint:
        source = PickedFrom(fingerprint, table.num_rows)
    return replace(
        raw,
        exp_id=record.exp_id,
        picked_from=source,
        earlier=record.lineage.given,
    )
