"""``tomograms.star`` of RELION 5: the tomograms of a job, with their names."""

from dataclasses import dataclass
from pathlib import Path

from lib.errors import InputError
from lib.inputs.plain_text import is_file, is_folder, read_lines, split_blanks

NAME = "_rlnTomoName"
TOMOGRAM = "_rlnTomoReconstructedTomogram"
DENOISED = "_rlnTomoReconstructedTomogramDenoised"
HALVES = (f"{TOMOGRAM}Half1", f"{TOMOGRAM}Half2")


@dataclass(frozen=True)
class RelionTomogram:
    """A row of ``tomograms.star``.

    Attributes
    ----------
    name : str
    path : Path
        Of the whole tomogram, or the denoised one if the job wrote no other; it need
        not exist.
    halves : tuple of Path
        Both, or none.
    copies : tuple of Path
        The denoised one, where there is another.
    is_copy : bool
        Whether `path` is the denoised one.
    """

    name: str
    path: Path
    halves: tuple = ()
    copies: tuple = ()
    is_copy: bool = False


def read_relion_list(path):
    """Read the tomograms of a RELION job.

    Parameters
    ----------
    path : Path
        ``tomograms.star``; its paths start from RELION's project folder, one of those
        around it.

    Returns
    -------
    list of RelionTomogram

    Raises
    ------
    InputError
        When it cannot be read, or has no column of tomograms.
    """
    columns, rows = _first_loop(path)
    if NAME not in columns or not {TOMOGRAM, DENOISED, *HALVES} & set(columns):
        raise InputError(
            f"{path} has no column {TOMOGRAM[1:]}: it was written before RELION's job "
            "Reconstruct tomograms"
        )
    found = []
    for row in rows:
        cells = dict(zip(columns, row, strict=False))
        paths = {
            key: _locate(path, cells[key])
            for key in (TOMOGRAM, DENOISED, *HALVES)
            if cells.get(key)
        }
        whole = paths.pop(TOMOGRAM, None) or paths.pop(DENOISED, None)
        if whole is None:
            continue
        halves = tuple(paths.pop(key) for key in HALVES if key in paths)
        found.append(
            RelionTomogram(
                cells[NAME],
                whole,
                halves if len(halves) == len(HALVES) else (),
                tuple(paths.values()),
                is_copy=not cells.get(TOMOGRAM),
            )
        )
    return found


def _first_loop(path):
    """Return the columns and rows of the first table that names tomograms."""
    columns, rows = [], []
    for _, line in read_lines(path, "a STAR file"):
        if line.startswith(("data_", "loop_")):
            if NAME in columns:
                break
            columns, rows = [], []
        elif line.startswith("_"):
            columns.append(line.split()[0])
        elif not line.startswith("#"):
            rows.append(split_blanks(line))
    return columns, rows


def _locate(star, text):
    """Return a path from the project folder, which is one of those around the list."""
    places = [folder / text for folder in star.absolute().parents]
    likely = [place for place in places if is_folder(place.parent)] or places
    return next((place for place in places if is_file(place)), likely[0])
