"""The user's list of tomograms (``data/*.txt``), all its faults reported at once."""

from contextlib import contextmanager
from pathlib import Path

from lib.axis_orders import DEFAULT_ORDER, ORDERS
from lib.errors import InputError
from lib.inputs.companions import COLUMNS, NONE, VIEW
from lib.inputs.list_warnings import warn_of_list
from lib.inputs.plain_text import (
    can_be_named,
    expand_path,
    find_image_list,
    is_file,
    read_lines,
    split_blanks,
    split_cells,
)
from lib.inputs.tomogram import Tomogram

TOMOGRAM_COLUMNS = ("image_name", "rec_path")
TILT_COLUMNS = ("tilt_path", "angle_path")
LONGEST_NAME = 200  # bytes: file systems stop at 255, and suffixes follow
LONGEST_PATH = 4096
MOST_FAULTS = 100


def read_image_list(
    path,
    *,
    project,
    needs_tilts,
    order=DEFAULT_ORDER,
    order_is_given=False,
    voxel_size=None,
    optional=(),
):
    """Read an image list: every header and every angle file it names, once.

    Parameters
    ----------
    path : path-like
        Text with a header line; columns by name, separated by blanks or tabs.
    project : path-like
        Relative paths are looked up here, then in the folder of the list.
    needs_tilts : bool
        Whether tilt series and angles are needed; their columns are ignored
        otherwise.
    order, order_is_given
        See `lib.inputs.axis_order.resolve_order`.
    voxel_size : float, optional
        Of all tomograms, as the user gives it; their headers are then not held
        against each other [Angstrom].
    optional : sequence of str
        Of `lib.inputs.companions.COLUMNS`, those that are read where the list has
        them; other columns are ignored.

    Returns
    -------
    list of Tomogram

    Raises
    ------
    InputError
        With all faults of the list: missing columns and files, files whose header
        cannot be read, angles or axes that do not fit, names that repeat or cannot
        be file names, no entries.
    """
    if order not in (*ORDERS, "auto"):
        raise InputError(f"--order {order} is none of {', '.join(ORDERS)}, auto")
    reader = _EntryReader(path, project, needs_tilts, optional)
    tomograms = [
        Tomogram.from_files(
            order=order,
            order_is_given=order_is_given,
            name=name,
            voxel_size=voxel_size,
            noting=reader.noting,
            **files,
        )
        for name, files in reader.entries()
    ]
    reader.raise_faults()
    warn_of_list(
        reader.path,
        tomograms,
        order=order,
        order_is_given=order_is_given,
        voxel_size=voxel_size,
    )
    return tomograms


def listed_tomograms(image_txt, project):
    """Return the paths of an image list by name, or None without a list."""
    if image_txt is None:
        return None
    return find_listed_files(find_image_list(image_txt, project), project=project)


def find_listed_files(path, *, project):
    """Return the tomogram files that an image list names; none of them is opened.

    Where it names a copy to look at (``view_path``), that.

    Parameters
    ----------
    path, project
        See `read_image_list`.

    Returns
    -------
    dict of str to Path
        By name.

    Raises
    ------
    InputError
        With all faults of the list, except those of the files.
    """
    reader = _EntryReader(path, project, needs_tilts=False, optional=VIEW)
    found = {
        name: files.get("view_path", files["rec_path"])
        for name, files in reader.entries()
    }
    reader.raise_faults()
    return found


class _EntryReader:
    """Reads the lines of a list and collects all faults."""

    def __init__(self, path, project, needs_tilts, optional=()):
        self.path = Path(path)
        self.folders = (Path(project), self.path.absolute().parent)
        self.faults = []
        self.line, self.missing = 0, set()  # the columns whose files are missing
        lines = read_lines(self.path, "an image list")
        self.lines = [(n, text) for n, text in lines if text[0] != "#"]
        needed = TOMOGRAM_COLUMNS + TILT_COLUMNS * needs_tilts
        expected = " ".join(needed)
        if not self.lines:
            raise InputError(f"{path} is empty; expected the header {expected}")
        number, header = self.lines[0]
        names = [cell.lower() for cell in split_blanks(header)]
        missing = [name for name in needed if name not in names]
        if missing:
            raise InputError(
                f"{path} lacks the column(s) {', '.join(missing)}: its header (line "
                f"{number}) is {header[:200]!r}, expected {expected}"
            )
        needed += tuple(name for name in optional if name in names)
        repeated = [name for name in needed if names.count(name) > 1]
        if repeated:
            raise InputError(f"{path} has the column(s) {', '.join(repeated)} twice")
        self.columns = {name: names.index(name) for name in needed}
        self.n_columns = len(names)

    def entries(self):
        """Yield the name and, by column, the path of each file, existing or not."""
        line_of_name = {}
        for line, text in self.lines[1:]:
            self.line, self.missing = line, set()
            cells = self._split(text)
            if cells is None:
                continue
            name = cells.pop("image_name")
            self._check_name(name)
            earlier = line_of_name.setdefault(name, line)
            if earlier != line:
                self.note(
                    f"image_name {name} is in line {earlier} too; names must differ"
                )
            yield (
                name,
                {
                    key: self._find(key, cell)
                    for key, cell in cells.items()
                    if not (key in COLUMNS and cell == NONE)
                },
            )
        if len(self.lines) == 1:
            self.faults.append("no rows below the header; expected one per tomogram")

    def note(self, fault):
        """Note a fault of the line that was read last."""
        self.faults.append(f"line {self.line}: {fault}")

    @contextmanager
    def noting(self, column):
        """Note that a file cannot be used, unless it is missing, and go on."""
        try:
            yield
        except InputError as error:
            if column not in self.missing:
                self.note(f"{column}: {error}")

    def raise_faults(self):
        """Raise all faults at once, if there are any."""
        if not self.faults:
            return
        more = len(self.faults) - MOST_FAULTS
        shown = self.faults[:MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
        count = "a fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        raise InputError(
            f"{self.path} has {count}:" + "".join(f"\n  {fault}" for fault in shown)
        )

    def _split(self, line):
        """Return the cells of a line by column, or None."""
        if not line.replace("\t", " ").isprintable():
            self.note(f"control characters in {line[:80]!r}; is it text?")
            return None
        n_needed = 1 + max(self.columns.values())
        cells = split_cells(line, self.n_columns, n_needed)
        if not n_needed <= len(cells) <= self.n_columns:
            self.note(
                f"{len(cells)} column(s) where the header has {self.n_columns} "
                "(paths with blanks: put tabs between the columns, or quotes around "
                f"the path): {line[:200]}"
            )
            return None
        return {name: cells[index] for name, index in self.columns.items()}

    def _check_name(self, name):
        if not (name.strip(" .") and name.isprintable()) or set(name) & set("/\\"):
            self.note(
                f"image_name {name!r} cannot be a file name: it becomes part of names "
                "such as <image_name>_rec3d.npy, without / and \\"
            )
        elif len(name.encode()) > LONGEST_NAME:
            self.note(f"image_name {name[:40]}... is longer than {LONGEST_NAME} bytes")

    def _find(self, column, text):
        """Return the first of the places of a path that has a file."""
        path = expand_path(text)
        places = [folder / path for folder in self.folders]  # absolute stays itself
        for place in places:
            if is_file(place):
                return place
        unset = " ($VARIABLE is not set)" if "$" in str(path) else ""
        looked = " and ".join(dict.fromkeys(str(place) for place in places))
        fault = f"{text}{unset} does not exist; looked for {looked}"
        if not can_be_named(path):
            fault += " (this locale lacks some of its letters: export PYTHONUTF8=1)"
        if len(text) > LONGEST_PATH:
            fault = f"{text[:80]}... is too long for a path"
        self.missing.add(column)
        self.note(f"{column} {fault}")
        return path
