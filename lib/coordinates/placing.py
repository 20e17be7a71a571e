"""From the positions in a file to voxels of a tomogram as a run reads it.

The inverse of `lib.export.formats`: the same axes, directions and centers.
"""

from dataclasses import dataclass

import numpy as np

from lib.axis_orders import ORDERS, is_mirrored
from lib.coordinates.raw import (
    COPICK,
    FROM_RELION,
    IMOD,
    IN_ANGSTROM,
    PORTAL,
    RELION4,
    RELION5,
    VOXELS,
)
from lib.errors import InputError, format_shape
from lib.export.axes import CENTER_OF_PAIR, KNOWN_Z

DECIMALS = 3  # of a voxel; what lies behind them is rounding


@dataclass(frozen=True)
class Reading:
    """How the run reads tomograms, and what the user says of the files.

    Attributes
    ----------
    settings : lib.run.candidate_options.CoordinateSettings
    compress : bool
        Whether the run merges pairs of slices.
    flipped : bool
        Whether it reads the tilt angles with the opposite sign.
    """

    settings: object
    compress: bool = False
    flipped: bool = False


def place(raw, rows, tomogram, reading):
    """Return rows of a file as positions in voxels of the whole tomogram.

    Parameters
    ----------
    raw : lib.coordinates.raw.RawCoordinates
    rows : ndarray of int, shape (N,)
    tomogram : lib.inputs.tomogram.Tomogram
    reading : Reading

    Returns
    -------
    ndarray of float, shape (N, 3)
        (x, y, z) along the axes of the run, perhaps outside the tomogram.

    Raises
    ------
    InputError
        If a unit, a direction or a voxel size is not known.
    """
    positions = raw.positions[rows].copy()
    size = np.array(tomogram.shape[::-1], float)
    source = raw.tomograms.get(raw.name[rows[0]]) if raw.name else None
    shape = source.shape if source else None
    if raw.unit in IN_ANGSTROM:
        positions /= _voxel_size(raw, tomogram)
        if raw.unit == RELION5:
            positions += size / 2
    else:
        if raw.unit == VOXELS:
            depth = shape[0] if shape else tomogram.shape[0]
            positions = _whole(raw, positions, depth, reading)
            if _turns(source, tomogram):
                positions[:, 2] = depth - 1 - positions[:, 2]
        positions *= _scale(raw, rows, tomogram, shape, reading.settings)
    if raw.unit == IMOD:
        return positions[:, 2 - np.array(ORDERS[tomogram.order])][:, ::-1]
    if _is_reversed(raw, tomogram, reading):
        positions[:, 2] = size[2] - 1 - positions[:, 2]
    return positions


def unit_of(raw, settings):
    """Return what the positions of a file are taken to count, in words."""
    if settings.coords_voxel_size is None or raw.unit in IN_ANGSTROM:
        return raw.unit
    return f"units of {settings.coords_voxel_size:g} A, by --coords_voxel_size"


def to_voxels(positions, compress):
    """Return positions (N, 3) in a whole tomogram as voxels that a run reads."""
    voxels = np.floor(np.round(positions, DECIMALS) + 0.5).astype(np.int64)
    if compress:
        voxels[:, 2] //= 2
    return voxels


def _whole(raw, positions, depth, reading):
    """Return positions in the whole tomogram, where z counts pairs of slices."""
    halved = raw.halved
    if halved is None:
        halved = reading.settings.coords_halved
    if halved:
        first = 2 * positions[:, 2]
        positions[:, 2] = first + np.where(first == depth - 1, 0, CENTER_OF_PAIR)
    return positions


def _turns(source, tomogram):
    """Return whether one of two orders mirrors a file, so that z runs otherwise."""
    if source is None or source.order not in ORDERS:
        return False
    return is_mirrored(source.order) != is_mirrored(tomogram.order)


def _scale(raw, rows, tomogram, shape, settings):
    """Return voxels of the tomogram in one unit of the file, a number or (N, 1)."""
    if settings.coords_bin is not None:
        return 1 / settings.coords_bin
    if settings.coords_voxel_size is not None:
        return settings.coords_voxel_size / _voxel_size(raw, tomogram)
    if raw.binning:
        return 1 / raw.binning
    if raw.pixel_size is not None:
        return raw.pixel_size[rows][:, None] / _voxel_size(raw, tomogram)
    if raw.unit == RELION4:
        raise InputError(
            f"{raw.path} counts in pixels of the unbinned tilt series "
            "(rlnCoordinateX) and does not say their size: give --coords_bin, the "
            "voxel of the tomogram over that pixel, or --coords_voxel_size, the pixel "
            "in Angstrom"
        )
    if shape is not None and tuple(shape) != tuple(tomogram.shape):
        ratio = shape[2] / tomogram.shape[2]
        fits = np.allclose(shape, ratio * np.array(tomogram.shape), atol=max(1, ratio))
        advice = f"give --coords_bin {ratio:g}" if fits else "name the tomogram of then"
        raise InputError(
            f"{raw.path} was picked in a tomogram {tomogram.name} of "
            f"{format_shape(shape[::-1])} voxels (x, y, z), and {tomogram.rec_path} "
            f"has {format_shape(tomogram.shape[::-1])}: {advice}"
        )
    return 1.0


def _voxel_size(raw, tomogram):
    if not tomogram.voxel_size:
        raise InputError(
            f"{raw.path} is in units of length, and the header of {tomogram.rec_path} "
            "has no voxel size: give it with --voxel_size"
        )
    return tomogram.voxel_size


def _is_reversed(raw, tomogram, reading):
    """Return whether z of the file runs against that of the tomogram as read."""
    if raw.unit in (PORTAL, COPICK):
        return is_mirrored(tomogram.order)
    if raw.unit not in FROM_RELION:
        return False
    given = reading.settings.coords_z_axis
    known = None if reading.flipped else KNOWN_Z.get(tomogram.order)
    if given is None and known is None:
        why = " with --flip_tilt_angles" if reading.flipped else ""
        raise InputError(
            f"{raw.path}: the direction of z in {tomogram.rec_path}, read as "
            f"{tomogram.order}{why}, is not known against RELION's: give "
            "--coords_z_axis relion if it runs as after trimvol -rx, or "
            "--coords_z_axis reversed if the other way"
        )
    return (given or known) == "reversed"
