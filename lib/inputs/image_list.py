"""The user's list of tomograms (``data/*.txt``), with all its faults at once."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import InputError
from lib.inputs.list_warnings import warn_of_list
from lib.inputs.plain_text import is_file, read_lines, split_blanks, split_cells
from lib.inputs.tomogram import inspect_mrc, read_tilt_angles

TOMOGRAM_COLUMNS = ("image_name", "rec_path")
TILT_COLUMNS = ("tilt_path", "angle_path")
LONGEST_NAME = 200  # bytes: file systems stop at 255, and suffixes follow
LONGEST_PATH = 4096
MOST_FAULTS = 100


@dataclass(frozen=True)
class ImageRow:
    """One tomogram of the list.

    Attributes
    ----------
    name : str
        Usable as a file name.
    rec_path : Path
        Tomogram.
    tilt_path, angle_path : Path or None
        Aligned tilt series and its angles; None where they are not needed.
    """

    name: str
    rec_path: Path
    tilt_path: Path | None = None
    angle_path: Path | None = None


def find_image_list(name, project):
    """Return the path of an image list.

    Parameters
    ----------
    name : path-like
        A bare name is looked up in ``data/`` of the project before the current
        folder; any other path is taken as it is when it exists.
    project : path-like
        Project folder.

    Raises
    ------
    InputError
        When it is in none of the places, which are named.
    """
    given, project = _expand(str(name)), Path(project)
    in_data = project / "data" / given
    places = [given, in_data, project / given]
    if given.name == str(given):
        places = [in_data, given]
    for place in places:
        if is_file(place):
            return place
    looked = " nor ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise InputError(
        f"image list {name} is not to be found: neither {looked} is a file; put it "
        f"into {project / 'data'} or give its path"
    )


def read_image_list(path, *, project, needs_tilts, voxel_size=None):
    """Read an image list and inspect every file it names.

    Parameters
    ----------
    path : path-like
        Text with a header line; columns by name, separated by blanks or tabs.
    project : path-like
        Relative paths are looked up here, then in the folder of the list.
    needs_tilts : bool
        Whether tilt series and angles are needed; their columns are ignored
        otherwise.
    voxel_size : float, optional
        Of all tomograms, as the user says; their headers are then not held against
        each other [Angstrom].

    Returns
    -------
    list of ImageRow

    Raises
    ------
    InputError
        With all faults of the list: missing columns and files, files whose header
        cannot be read, angles that do not fit, names that repeat or cannot be
        file names, no rows.
    """
    path = Path(path)
    lines = [(n, t) for n, t in read_lines(path, "an image list") if t[0] != "#"]
    if not lines:
        raise InputError(f"{path} is empty; expected the header {_header(needs_tilts)}")
    reader = _RowReader(path, Path(project), lines[0], needs_tilts)
    rows = [reader.read(number, line) for number, line in lines[1:]]
    if not rows:
        reader.faults.append("no rows below the header; expected one a tomogram")
    if reader.faults:
        raise InputError(_join(path, reader.faults))
    warn_of_list(path, rows, voxel_size=voxel_size)
    return rows


def _header(needs_tilts):
    return " ".join(TOMOGRAM_COLUMNS + TILT_COLUMNS * needs_tilts)


class _RowReader:
    """Reads rows and collects what is wrong with them."""

    def __init__(self, path, project, header, needs_tilts):
        names = [cell.lower() for cell in split_blanks(header[1])]
        needed = TOMOGRAM_COLUMNS + TILT_COLUMNS * needs_tilts
        missing = [name for name in needed if name not in names]
        if missing:
            raise InputError(
                f"{path} lacks the column(s) {', '.join(missing)}: its header (line "
                f"{header[0]}) is {header[1][:200]!r}, expected {_header(needs_tilts)}"
            )
        repeated = [name for name in needed if names.count(name) > 1]
        if repeated:
            raise InputError(f"{path} has the column(s) {', '.join(repeated)} twice")
        self.places = {name: names.index(name) for name in needed}
        self.n_columns = len(names)
        self.folders = (project, path.absolute().parent)
        self.faults = []
        self.line_of_name = {}

    def read(self, number, line):
        """Return the row in `line`, or None."""
        found = []
        row = self._parse(line, found)
        if row is not None:
            earlier = self.line_of_name.setdefault(row.name, number)
            if earlier != number:
                found.append(
                    f"image_name {row.name} is in line {earlier} too; names must differ"
                )
        self.faults += [f"line {number}: {fault}" for fault in found]
        return row

    def _parse(self, line, faults):
        if not line.replace("\t", " ").isprintable():
            faults.append(f"control characters in {line[:80]!r}; is it text?")
            return None
        n_needed = 1 + max(self.places.values())
        cells = split_cells(line, self.n_columns, n_needed)
        if not n_needed <= len(cells) <= self.n_columns:
            faults.append(
                f"{len(cells)} column(s) where the header has {self.n_columns} "
                "(paths with blanks: put tabs between the columns, or quotes around "
                f"the path): {line[:200]}"
            )
            return None
        texts = {name: cells[place] for name, place in self.places.items()}
        name = texts.pop("image_name")
        faults += _faults_of_name(name)
        files = {
            column: self._find(column, text, faults) for column, text in texts.items()
        }
        _inspect(files, faults)
        return ImageRow(name=name, **files)

    def _find(self, column, text, faults):
        """Return the first of the places of a path that has a file, or None."""
        if len(text) > LONGEST_PATH:
            faults.append(f"{column} {text[:80]}... is too long for a path")
            return None
        path = _expand(text)
        places = [folder / path for folder in self.folders]  # absolute stays itself
        for place in places:
            if is_file(place):
                return place
        unset = " ($VARIABLE is not set)" if "$" in str(path) else ""
        looked = " and ".join(dict.fromkeys(str(place) for place in places))
        faults.append(f"{column} {text}{unset} is no file; looked for {looked}")
        return None


def _expand(text):
    path = Path(os.path.expandvars(text))
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def _faults_of_name(name):
    usable = name.strip(" .") and not re.search(r"[/\\]", name) and name.isprintable()
    if not usable:
        return [
            f"image_name {name!r} cannot be a file name: it becomes part of names "
            "such as <image_name>_rec3d.npy, without / and \\"
        ]
    if len(name.encode()) > LONGEST_NAME:
        return [f"image_name {name[:40]}... is longer than {LONGEST_NAME} bytes"]
    return []


def _inspect(files, faults):
    """Open every header; hold the angles against the images."""
    shapes = {}
    for column in ("rec_path", "tilt_path"):
        if files.get(column) is not None:
            try:
                shapes[column] = inspect_mrc(files[column]).shape
            except InputError as refusal:
                faults.append(f"{column}: {refusal}")
    if files.get("angle_path") is not None and "tilt_path" in shapes:
        try:
            read_tilt_angles(files["angle_path"], shapes["tilt_path"][0])
        except InputError as refusal:
            faults.append(f"angle_path: {refusal}")


def _join(path, faults):
    more = len(faults) - MOST_FAULTS
    shown = faults[:MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{path} has {count}:" + "".join(f"\n  {fault}" for fault in shown)
