"""Which tomogram of the list a file of coordinates means."""

import re
from pathlib import Path, PurePath

from lib.errors import InputError, format_names

ENDINGS = (".mrc", ".rec", ".gz", ".tomostar", ".st", ".ali", ".map")


def match_names(raw, listed):
    """Return the tomogram of the list, or None, for each name in a file.

    Parameters
    ----------
    raw : lib.coordinates.raw.RawCoordinates
    listed : list of str
        Names in the image list.

    Returns
    -------
    dict of str to (str or None)

    Raises
    ------
    InputError
        If none of the names is in the list.
    """
    found = {name: _match(name, listed) for name in dict.fromkeys(raw.name)}
    if not any(found.values()):
        raise InputError(
            f"{raw.path} names no tomogram of the image list: it has "
            f"{format_names(list(found), 3)}, the list {format_names(listed, 3)}; "
            "rename them in the list (image_name) or in the file"
        )
    return found


def _match(name, listed):
    """A name is that of the list, perhaps with a folder before it, or an ending."""
    if name in listed:
        return name
    bare = PurePath(name).name
    while bare not in listed and PurePath(bare).suffix.lower() in ENDINGS:
        bare = PurePath(bare).stem
    return bare if bare in listed else None


def name_from_path(path, listed):
    """Return the tomogram that a file without names is of.

    It is the only one of the list; or the one whose name is that of the file, or its
    end after ``_``, as our exports write it; or that of a folder, as on the portal.

    Raises
    ------
    InputError
        If none of these is there.
    """
    if len(listed) == 1:
        return listed[0]
    path = Path(path)
    written = {re.sub(r"[^\w.+-]", "_", name): name for name in listed}
    exact = [name for text, name in written.items() if path.stem == text]
    ending = sorted(
        (text for text in written if path.stem.endswith(f"_{text}")), key=len
    )
    folders = [part for part in reversed(path.absolute().parts[:-1]) if part in listed]
    found = exact or [written[text] for text in ending[-1:]] or folders[:1]
    if not found:
        raise InputError(
            f"{path} does not say which of the {len(listed)} tomograms it is of "
            f"({format_names(listed, 3)}); rename it so that it ends with the name, "
            f"such as {path.stem}_{listed[0]}{path.suffix}"
        )
    return found[0]
