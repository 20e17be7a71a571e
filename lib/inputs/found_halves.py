"""Half tomograms that belong to the tomograms which were found."""

from dataclasses import replace

from lib.errors import InputError
from lib.inputs.mrc import inspect_mrc
from lib.inputs.naming import base_folder

SIDES = ("even", "odd")
A_HALF = "a half"  # begins the reason why one is left out


def with_halves(tomograms, volumes, found):
    """Return the tomograms with their halves, where both are of the same shape.

    Parameters
    ----------
    tomograms : list of lib.inputs.found.FoundTomogram
        With their headers; those of RELION's lists know their halves.
    volumes : list of (Path, lib.inputs.naming.FileName)
        All volumes by their names.
    found : lib.inputs.found.FoundFiles
        Gets the halves that are left out.
    """
    halves = {}
    for path, name in volumes:
        if name.half:
            key = (base_folder(path.parent), name.name, name.sampling.lower())
            halves.setdefault(key, {}).setdefault(name.half, []).append((path, name))
    complete, used = [], set()
    for tomogram in tomograms:
        key = (
            base_folder(tomogram.path.parent),
            tomogram.series_name,
            tomogram.sampling,
        )
        pair = tomogram.halves or _pair(halves.get(key, {}))
        if not _have_shape(pair, tomogram.info.shape):
            pair = ()
        used.update(pair)
        complete.append(replace(tomogram, halves=pair))
    for path, name in volumes:
        if name.half and path not in used:
            found.left_out.append((str(path), f"{A_HALF} ({name.half} images)"))
    return complete


def _pair(sides):
    """Return the even and the odd half of a tomogram, reconstructions before others."""
    if set(sides) != set(SIDES):
        return ()
    return tuple(
        min(
            sides[side], key=lambda file: (not file[1].is_reconstruction, str(file[0]))
        )[0]
        for side in SIDES
    )


def _have_shape(paths, shape):
    try:
        return all(inspect_mrc(path).shape == shape for path in paths)
    except InputError:
        return False
