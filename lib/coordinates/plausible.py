"""Coordinates held against the size of their tomogram, and what may be wrong."""

import numpy as np

from lib.coordinates.raw import IN_ANGSTROM, RELION4, as_text
from lib.errors import InputError, format_shape

FEW = 0.1  # share outside the tomogram that is left out with a warning
CORNER = 0.35  # of each edge
ENOUGH = 20  # positions from which a corner is no chance
LARGEST_BINNING = 16


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
    if (positions[:, [0, 2, 1]] < size - 0.5).all():
        return (
            "y and z look exchanged: was the file written along the axes of the "
            "tomogram file? IMOD's points are x y z in each line, without a header"
        )
    factor = float((positions / np.maximum(size - 1, 1)).max())
    if voxel_size and 0.4 * voxel_size < factor <= voxel_size:
        return "these look like Angstrom: give --coords_voxel_size 1"
    if factor <= LARGEST_BINNING:
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
