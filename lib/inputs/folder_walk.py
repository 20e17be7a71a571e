"""All files below some folders that a list may need, in one walk."""

import os
from dataclasses import dataclass, field

from lib.errors import InputError
from lib.inputs.naming import RECORDED, STAR, FileName, parse_name
from lib.inputs.plain_text import expand_path, is_folder

LARGEST_FOLDERS = 200_000  # below one folder; a whole disk was given by mistake


@dataclass
class Walk:
    """What lies below the folders.

    Attributes
    ----------
    roots : list of Path
    named : list of (Path, FileName)
        Files whose names mean something here, in the order of their paths.
    stars : list of Path
    recorded : set of Path
        Files of a microscope, whose names end in ``.mdoc``.
    n_files : int
        All of them.
    notes : list of (str, str)
        What could not be read, and why.
    """

    roots: list = field(default_factory=list)
    named: list = field(default_factory=list)
    stars: list = field(default_factory=list)
    recorded: set = field(default_factory=set)
    n_files: int = 0
    notes: list = field(default_factory=list)


def walk_folders(folders):
    """Walk through folders, links included; no file is opened.

    Parameters
    ----------
    folders : sequence of path-like
        Hidden folders below them are left out.

    Returns
    -------
    Walk

    Raises
    ------
    InputError
        When one of the folders is none, or cannot be read.
    """
    walk, seen = Walk(), set()
    for folder in folders:
        root = expand_path(str(folder)).absolute()
        if not is_folder(root):
            raise InputError(
                f"{folder} is not a folder that can be read; expected one with "
                "tomograms in it, or below it"
            )
        walk.roots.append(root)
        waiting = [root]
        while waiting:
            waiting += _read_folder(waiting.pop(), walk, seen, root)
            if len(seen) > LARGEST_FOLDERS:
                raise InputError(
                    f"{folder} has more than {LARGEST_FOLDERS:,} folders below it; "
                    "name the folders of the tomograms"
                )
    walk.named.sort(key=lambda found: str(found[0]))
    walk.stars.sort()
    return walk


def _read_folder(folder, walk, seen, root):
    """Add the files of a folder to a walk; return the folders in it."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:  # by a link, or given twice
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise InputError(f"{folder} cannot be read: {error.strerror}") from error
        walk.notes.append((str(folder), f"cannot be read: {error.strerror}"))
        return []
    below = []
    for entry in entries:
        try:
            if entry.is_dir():
                below += [folder / entry.name] * (not entry.name.startswith("."))
                continue
            whole = entry.is_file()
        except OSError:
            whole = False
        _add_file(folder, entry.name, whole, walk)
    return below[::-1]


def _add_file(folder, name, whole, walk):
    walk.n_files += whole
    path = folder / name
    lowered = name.lower()
    if whole and lowered.endswith(RECORDED):
        walk.recorded.add(path.with_name(name[: -len(RECORDED)]))
    elif whole and lowered.endswith(STAR):
        walk.stars.append(path)
    elif meaning := parse_name(name, folder.name):
        if not whole:
            walk.notes.append((str(path), "a link to nothing, or no plain file"))
        elif not str(path).isprintable():
            walk.notes.append(
                (repr(str(path)), "characters in its path that a list cannot hold")
            )
        else:
            walk.named.append((path, meaning))


def is_series_name(meaning: FileName):
    """Return whether a file is a tilt series by its name, aligned or not."""
    return meaning.is_aligned or (meaning.is_stack and not meaning.is_reconstruction)
