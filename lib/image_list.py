"""The user's list of tomograms (``data/*.txt``), with all its faults at once."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import InputError, Refusal, warn
from lib.tomo_io import inspect_mrc, read_tilt_angles

TOMOGRAM_COLUMNS = ("image_name", "rec_path")
TILT_COLUMNS = ("tilt_path", "angle_path")
LARGEST_LIST = 2**24
LONGEST_NAME = 200  # bytes: file systems stop at 255, and suffixes follow
MOST_FAULTS = 100
TOKEN = re.compile(r""""[^"]*"|'[^']*'|\S+""")


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
    given, project = Path(name).expanduser(), Path(project)
    in_data = project / "data" / given
    places = [given, in_data, project / given]
    if given.name == str(given):
        places = [in_data, given]
    for place in places:
        if _is_file(place):
            return place
    raise InputError(
        f"image list {name} is neither "
        f"{' nor '.join(str(place.absolute()) for place in places)}; put it into "
        f"{project / 'data'} or give its path"
    )


def read_image_list(path, *, project, needs_tilts):
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

    Returns
    -------
    list of ImageRow

    Raises
    ------
    InputError
        With all faults of the list: missing columns and files, files whose header
        cannot be read, names that repeat or cannot be file names, no rows.
    """
    path = Path(path)
    lines = _read_lines(path)
    if not lines:
        raise InputError(
            f"{path} is empty; it should begin with {_header(needs_tilts)}"
        )
    columns = _find_columns(path, lines[0], needs_tilts)
    faults, rows = [], []
    folders = (Path(project), path.absolute().parent)
    for number, line in lines[1:]:
        row = _read_row(line, columns, folders, found := [])
        if row is not None and row.name in {earlier.name for earlier in rows}:
            found.append(f"image_name {row.name} is there already; names must differ")
        faults += [f"line {number}: {fault}" for fault in found]
        if row is not None:
            rows.append(row)
    if len(lines) == 1:
        faults.append("no rows below the header")
    if faults:
        raise InputError(_join(path, faults))
    _warn_of_repeats(path, rows)
    return rows


def _header(needs_tilts):
    return " ".join(TOMOGRAM_COLUMNS + TILT_COLUMNS * needs_tilts)


def _read_lines(path):
    """Return (number, line) of the lines that say something."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_LIST + 1)
        if len(content) > LARGEST_LIST:
            raise InputError(
                f"{path} is no image list: it is larger than {LARGEST_LIST:,} bytes"
            )
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as an image list: {error}; expected UTF-8 text"
        ) from error
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    stripped = ((number, line.strip(" \t")) for number, line in lines)
    return [(n, line) for n, line in stripped if line and not line.startswith("#")]


def _find_columns(path, numbered_line, needs_tilts):
    """Return the place of each needed column, and how many columns there are."""
    names = [_unquote(cell).lower() for cell in TOKEN.findall(numbered_line[1])]
    needed = TOMOGRAM_COLUMNS + TILT_COLUMNS * needs_tilts
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(
            f"{path} lacks the column(s) {', '.join(missing)}: its header (line "
            f"{numbered_line[0]}) is {numbered_line[1][:200]!r}, expected "
            f"{_header(needs_tilts)}"
        )
    repeated = [name for name in needed if names.count(name) > 1]
    if repeated:
        raise InputError(f"{path} has the column(s) {', '.join(repeated)} twice")
    return {name: names.index(name) for name in needed}, len(names)


def _read_row(line, columns, folders, faults):
    """Return the row in `line`, or None; what is wrong with it goes to `faults`."""
    places, n_columns = columns
    if not line.replace("\t", " ").isprintable():
        faults.append("it has control characters; is it text?")
        return None
    cells = _split(line, n_columns, 1 + max(places.values()))
    if len(cells) <= max(places.values()):
        faults.append(
            f"it has {len(cells)} column(s), the header {n_columns}: {line[:200]}"
        )
        return None
    cells = {name: cells[place] for name, place in places.items()}
    name = cells.pop("image_name")
    faults += _faults_of_name(name)
    files = {key: _find_file(key, text, folders, faults) for key, text in cells.items()}
    _inspect(files, faults)
    return ImageRow(name=name, **files)


def _split(line, n_columns, n_needed):
    """Return the cells of a line: between tabs if that fits, else between blanks."""
    by_tab = [cell.strip() for cell in re.split(r"\t+", line)]
    ways = [_uncomment(by_tab), _uncomment(TOKEN.findall(line))]
    for fits in (lambda n: n == n_columns, lambda n: n >= n_needed):
        for cells in ways:
            if fits(len(cells)):
                return cells
    return ways[-1]


def _uncomment(cells):
    end = next((i for i, cell in enumerate(cells) if cell.startswith("#")), len(cells))
    return [_unquote(cell) for cell in cells[:end]]


def _unquote(cell):
    quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'"
    return cell[1:-1] if quoted else cell


def _faults_of_name(name):
    usable = name.strip(" .") and not re.search(r"[/\\]", name) and name.isprintable()
    if not usable:
        return [
            f"image_name {name!r} cannot be a file name: it becomes part of names "
            "such as <name>_rec3d.npy, without / and \\"
        ]
    if len(name.encode()) > LONGEST_NAME:
        return [f"image_name {name[:40]}... is longer than {LONGEST_NAME} bytes"]
    return []


def _find_file(column, text, folders, faults):
    """Return the first of the places of a path that has a file."""
    expanded = os.path.expandvars(text)
    try:
        path = Path(expanded).expanduser()
    except RuntimeError:  # no such user
        path = Path(expanded)
    places = [folder / path for folder in folders]  # an absolute path stays itself
    for place in places:
        if _is_file(place):
            return place
    unset = " ($VARIABLE is not set)" if "$" in expanded else ""
    looked = " nor ".join(dict.fromkeys(str(place) for place in places))
    faults.append(f"{column} {text}{unset} is no file: neither {looked}")
    return None


def _is_file(path):
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, forbidden, or with a NUL
        return False


def _inspect(files, faults):
    """Open every header; count the angles against the images."""
    shapes = {}
    for key in ("rec_path", "tilt_path"):
        if files.get(key) is not None:
            try:
                shapes[key] = inspect_mrc(files[key]).shape
            except Refusal as refusal:
                faults.append(f"{key}: {refusal}")
    if files.get("angle_path") is not None and "tilt_path" in shapes:
        try:
            read_tilt_angles(files["angle_path"], shapes["tilt_path"][0])
        except Refusal as refusal:
            faults.append(f"angle_path: {refusal}")


def _join(path, faults):
    more = len(faults) - MOST_FAULTS
    shown = faults[:MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
    plural = "fault" if len(faults) == 1 else "faults"
    return f"{path} has {len(faults)} {plural}:" + "".join(f"\n  {f}" for f in shown)


def _warn_of_repeats(path, rows):
    seen = {}
    for row in rows:
        other = seen.setdefault(row.rec_path.resolve(), row.name)
        if other != row.name:
            warn(f"{path}: {other} and {row.name} are the same file, {row.rec_path}")
