"""Coordinates held against the list: which tomogram they mean, and whether they fit."""

import re
from pathlib import Path, PurePath

import numpy as np

from lib.coordinates.raw import IN_ANGSTROM, RELION4, as_text
from lib.errors import InputError, format_names, format_shape

ENDINGS = (".mrc", ".rec", ".gz", ".tomostar", ".st", ".ali", ".map")
FEW = 0.1  # share outside the tomogram that is left out with a warning
CORNER = 0.35  # of each edge
ENOUGH = 20  # positions from which a corner is no chance
LARGEST_BINNING = 16


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
    end after ``_``, as our exports write it, or its beginning before one; or that of a
    folder, as on the portal.

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
    ends = [text for text in written if path.stem.endswith(f"_{text}")]
    ends = ends or [text for text in written if path.stem.startswith(f"{text}_")]
    folders = [part for part in reversed(path.absolute().parts[:-1]) if part in listed]
    longest = sorted(ends, key=len)[-1:]
    found = exact or [written[text] for text in longest] or folders[:1]
    if not found:
        raise InputError(
            f"{path} does not say which of the {len(listed)} tomograms it is of "
            f"({format_names(listed, 3)}); let its name end or begin with that, "
            f"such as {path.stem}_{listed[0]}{path.suffix}"
        )
    return found[0]


def keep_inside(raw, tomogram, positions, option):
    """Return which positions lie in the tomogram; reject a file of another unit.

    Parameters
    ----------
    raw : lib.coordinates.raw.RawCoordinates
    tomogram : lib.inputs.tomogram.Tomogram
    positions : ndarray of float, shape (N, 3)
        As of `lib.coordinates.placing.place`.
    option : str
        Named in messages.

    Returns
    -------
    inside : ndarray of bool, shape (N,)
    warning : str
        On those that are not, empty without any.

    Raises
    ------
    InputError
        If more than a tenth lie outside, naming the likely reason.
    """
    size = np.array(tomogram.shape[::-1], float)
    inside = ((positions >= -0.5) & (positions < size - 0.5)).all(axis=1)
    outside = int((~inside).sum())
    if not outside:
        return inside, ""
    row = int(np.flatnonzero(~inside)[0])
    found = (
        f"{raw.path}: {outside:,} of {len(inside):,} positions lie outside "
        f"{tomogram.name} of x, y, z = {as_text(size)} voxels, such as "
        f"{as_text(positions[row])} (read as {raw.unit})"
    )
    if outside > FEW * len(inside):
        remedy = likely_remedy(raw, positions, size, tomogram.voxel_size)
        raise InputError(f"{option} {found}; {remedy}")
    return inside, f"{option} {found}; left out"


def likely_remedy(raw, positions, size, voxel_size):
    """Return what would bring positions (N, 3) into a tomogram, in words."""
    if raw.unit in IN_ANGSTROM:
        return f"check the voxel size, {voxel_size:g} Angstrom: give --voxel_size"
    if raw.unit == RELION4:
        return "check --coords_bin or --coords_voxel_size"
    if (positions < -0.5).mean() > 2 * FEW:
        return (
            "many are negative: these look like Angstrom from the center of the "
            "tomogram, which only a STAR file with rlnCenteredCoordinateXAngst says"
        )
    exchanged = positions[:, [0, 2, 1]]
    if ((exchanged >= -0.5) & (exchanged < size - 0.5)).all():
        return (
            "y and z look exchanged: was the file written along the axes of the "
            "tomogram file? IMOD's points are x y z in each line, without a header"
        )
    factor = float((positions / np.maximum(size - 1, 1)).max())
    if voxel_size and 0.4 * voxel_size < factor <= voxel_size:
        return "these look like Angstrom: give --coords_voxel_size 1"
    if 1 < factor <= LARGEST_BINNING:
        return (
            f"these look like positions in a tomogram about {np.ceil(factor):g} times "
            f"as large: give --coords_bin {np.ceil(factor):g}, or --coords_voxel_size"
        )
    return (
        "check that the file is of this tomogram, and its unit (--coords_voxel_size, "
        "--coords_bin)"
    )


def warn_of_unit(raw, placed, option, alarm):
    """Reject fractions, and warn of positions that all lie in one corner.

    Parameters
    ----------
    raw : lib.coordinates.raw.RawCoordinates
    placed : list of (lib.inputs.tomogram.Tomogram, ndarray)
        Positions (N, 3) [voxels], by tomogram.
    option : str
        Named in messages.
    alarm : callable
        Called with the warning.

    Raises
    ------
    InputError
        If all coordinates are between 0 and 1.
    """
    count = sum(len(positions) for _, positions in placed)
    given = raw.positions
    if count > 1 and given.min() >= 0 and given.max() <= 1 and (given % 1).any():
        raise InputError(
            f"{option} {raw.path}: all coordinates are between 0 and 1, which look "
            "like shares of the edges; multiply them by the size of the tomogram"
        )
    if count < ENOUGH:
        return
    used = np.max([(p / t.shape[::-1]).max(axis=0) for t, p in placed if len(p)], 0)
    if (used < CORNER).all():
        factor = max(2, round(1 / used.max()))
        example = format_shape(placed[0][0].shape[::-1])
        alarm(
            f"{option} {raw.path}: all {count:,} positions lie in one corner, within "
            f"{used.max():.0%} of the edges ({example} voxels); if they were picked in "
            f"a tomogram binned further, give --coords_bin {1 / factor:g} or "
            "--coords_voxel_size"
        )
