"""Image lists that are written from what lies in folders."""

from pathlib import Path

from lib.artifacts.files import atomic_write
from lib.errors import InputError, OptionError
from lib.inputs.find_files import find_files
from lib.inputs.found_list import list_text, table_of, tomograms_for
from lib.inputs.plain_text import (
    LARGEST_TEXT,
    expand_path,
    find_image_list,
    is_file,
    is_folder,
)


def find_list_or_folder(name, project, path, *, needs_tilts, keep=False, quiet=False):
    """Return the path of an image list, which is written where a folder is given.

    Parameters
    ----------
    name : path-like
        See `lib.inputs.plain_text.find_image_list`; or a folder of tomograms.
    project : path-like
        Project folder.
    path : path-like
        Of the list of a folder.
    needs_tilts : bool
        Whether only tomograms with an aligned tilt series are listed.
    keep : bool
        Use the list of the folder that an earlier run wrote.
    quiet : bool
        Do not show what was found.
    """
    given, project = expand_path(str(name)), Path(project)
    folders = [place for place in (given, project / given) if is_folder(place)]
    if not folders or is_file(project / "data" / given):
        return find_image_list(name, project)
    if keep and is_file(path):
        return path
    return write_folder_list(folders[:1], path, needs_tilts=needs_tilts, quiet=quiet)


def write_folder_list(folders, path, *, needs_tilts, replace=True, quiet=False):
    """Find the tomograms below folders, show them, and write their image list.

    Parameters
    ----------
    folders : sequence of path-like
    path : path-like
        Of the list.
    needs_tilts : bool
        Whether only tomograms with an aligned tilt series are listed.
    replace : bool
        Whether a list at `path` may be replaced.
    quiet : bool
        Do not show them.

    Returns
    -------
    Path
        Of the list.

    Raises
    ------
    InputError
        When nothing is found that can be listed, or too much.
    OptionError
        When the list exists and may not be replaced, or is a folder.
    """
    path = Path(path)
    if is_folder(path):
        raise OptionError(f"--output {path} is a folder: name a file in it")
    if not replace and path.exists():
        raise OptionError(
            f"--output {path} exists: choose another name, or give --overwrite"
        )
    found = find_files(folders)
    tomograms = tomograms_for(found, needs_tilts=needs_tilts)
    if not quiet:
        print("\n".join(table_of(found, tomograms)))
    text = list_text(found, tomograms)
    if len(text.encode()) > LARGEST_TEXT:
        raise InputError(
            f"the list of {len(tomograms):,} tomograms would be larger than "
            f"{LARGEST_TEXT:,} bytes, the most that is read: give fewer folders"
        )
    with atomic_write(path, "w") as stream:
        stream.write(text)
    if not quiet:
        print(f"image list: {path}", flush=True)
    return path
