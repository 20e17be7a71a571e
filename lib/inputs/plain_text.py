"""Text files that people wrote by hand, from any system and any editor."""

import os
import re
from pathlib import Path

from lib.errors import InputError

# Thousands of rows; whatever is larger was given by mistake.
LARGEST_TEXT = 2**20
TOKEN = re.compile(r""""[^"]*"|'[^']*'|\S+""")


def read_lines(path, what, *, largest=LARGEST_TEXT):
    """Return the lines of a small UTF-8 text, with their numbers.

    Parameters
    ----------
    path : path-like
    what : str
        What it should be, for the error: ``an angle file``.
    largest : int
        Bytes it may have.

    Returns
    -------
    list of (int, str)
        Numbers count from 1; lines that are blank are left out, blanks at both
        ends stripped.

    Raises
    ------
    InputError
        When it does not exist, is too large or not UTF-8 text.
    """
    path = Path(path)
    if not is_file(path):
        raise InputError(f"{path} does not exist, or is no plain file")
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not {what}: it is not UTF-8 text (byte {error.start:,})"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > largest:
        raise InputError(f"{path} is not {what}: it is larger than {largest:,} bytes")
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line.strip(" \t")) for number, line in lines if line.strip(" \t")]


def is_file(path):
    """Return whether there is a plain file; False where one may not even look."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # forbidden, too long, or with a NUL
        return False


def is_folder(path):
    """Return whether there is a folder; False where one may not even look."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def can_be_named(path):
    """Return whether the locale can write the name of a file."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def expand_path(text):
    """Return a path with its variables and the home folder replaced."""
    path = Path(os.path.expandvars(text))
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def split_cells(line, n_columns, n_needed):
    """Return the cells of a line: between tabs if that fits, else between blanks.

    Parameters
    ----------
    line : str
    n_columns : int
        Cells that the header promises.
    n_needed : int
        Fewest cells that will do.

    Returns
    -------
    list of str
        Without quotes; a cell that begins with ``#`` ends the line.
    """
    by_tab = [cell.strip(" ") for cell in re.split(r"\t+", line)]
    ways = [_clean(by_tab), split_blanks(line)]
    for fits in (lambda n: n == n_columns, lambda n: n_needed <= n < n_columns):
        for cells in ways:
            if fits(len(cells)):
                return cells
    return ways[-1]


def split_blanks(line):
    """Return the cells of a line between blanks; quotes keep a cell together."""
    return _clean(TOKEN.findall(line))


def _clean(cells):
    end = next((i for i, cell in enumerate(cells) if cell.startswith("#")), len(cells))
    return [_unquote(cell) for cell in cells[:end]]


def _unquote(cell):
    quoted = len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'"
    return cell[1:-1] if quoted else cell


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
    given, project = expand_path(str(name)), Path(project)
    in_data = project / "data" / given
    places = [given, in_data, project / given]
    if given.name == str(given):
        places = [in_data, given]
    for place in places:
        if is_file(place):
            return place
    looked = " nor ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise InputError(
        f"image list {name} does not exist: neither {looked} is a file; put it "
        f"into {project / 'data'} or give its path"
    )
