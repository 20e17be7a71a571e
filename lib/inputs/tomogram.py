"""Tomograms, tilt series and tilt angles, in the one order of axes used in memory.

Volumes are (Z, Y, X), tilt series (T, Y, X), angles degrees. How the axes of a
file are named: ``--order`` of the options, `ORDERS` here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import InputError, warn_once
from lib.inputs.axis_order import ORDERS, describe_misfit, resolve_order, z_sign
from lib.inputs.mrc_byte_order import as_text
from lib.inputs.mrc_header import MrcInfo, inspect_mrc
from lib.inputs.mrc_voxels import (
    Extremes,
    block_ranges,
    map_voxels,
    merge_pairs,
    read_sections,
)
from lib.inputs.tilt_angles import read_tilt_angles

__all__ = [
    "ORDERS",
    "MrcInfo",
    "TiltSeries",
    "Volume",
    "inspect_mrc",
    "open_tomogram",
    "read_tilt_angles",
    "read_tilt_series",
    "read_tomogram",
    "resolve_order",
    "z_sign",
]


@dataclass(frozen=True)
class Volume:
    """A tomogram whose voxels may still be on the disk.

    Attributes
    ----------
    path : Path
    array : ndarray, shape (Z, Y, X)
        In the type of the file: a view of its map, or of the decompressed file.
    voxel_size : float or None
        [Angstrom].
    order : str
        Key of `ORDERS`, never ``auto``.
    z_sign : {1, -1}
        See `z_sign`.
    """

    path: Path
    array: np.ndarray
    voxel_size: float | None
    order: str
    z_sign: int


@dataclass(frozen=True)
class TiltSeries:
    """The images of a tilt series that can be used.

    Attributes
    ----------
    images : ndarray of float32, shape (T, Y, X)
    angles : ndarray of float64, shape (T,)
        [degrees].
    """

    images: np.ndarray
    angles: np.ndarray


def open_tomogram(path, order):
    """Map a tomogram, to be read slice by slice.

    Parameters
    ----------
    path : path-like
        MRC file.
    order : str
        Key of `ORDERS`, which is believed, or ``auto``.

    Returns
    -------
    Volume

    Raises
    ------
    InputError
        When the file cannot be read, or ``auto`` finds no order, or several.
    """
    return _open(inspect_mrc(path), order)


def _open(info, order, tilt_shape=None):
    order = resolve_order(info, order, tilt_shape)
    if info.spacing is None:
        warn_once(
            f"{info.path} has no voxel size in its header; it stays unknown, unless "
            "given with --voxel_size"
        )
    elif max(info.spacing) > 1.01 * min(info.spacing):
        warn_once(
            f"{info.path} has voxels of {as_text(info.spacing)} Angstrom; they are "
            f"taken as cubes of {info.voxel_size:g}"
        )
    return Volume(
        path=info.path,
        array=map_voxels(info).transpose(ORDERS[order]),
        voxel_size=info.voxel_size,
        order=order,
        z_sign=z_sign(order),
    )


def read_tomogram(path, order, *, compress=False, tilt_shape=None):
    """Read a tomogram into memory and check its voxels.

    Parameters
    ----------
    path, order
        As in `open_tomogram`.
    compress : bool
        Merge slice pairs along z into their maximum; an odd last slice stays.
    tilt_shape : tuple of int, optional
        (T, Y, X) of the tilt series, which the order must fit.

    Returns
    -------
    array : ndarray of float32, shape (Z, Y, X)
        Contiguous; ``(Z + 1) // 2`` slices with `compress`.
    volume : Volume
        The file as `open_tomogram` gives it, never compressed.

    Raises
    ------
    InputError
        Also when voxels are not finite, or all equal.
    """
    info = inspect_mrc(path)
    volume = _open(info, order, tilt_shape)
    axes = ORDERS[volume.order]
    to_file = np.argsort(axes)
    depth, height, width = volume.array.shape
    array = np.empty((-(-depth // 2) if compress else depth, height, width), np.float32)
    in_file = array.transpose(to_file)  # our array, with the axes of the file
    ranges = block_ranges(info)
    if info.gzipped:
        decoded = volume.array.transpose(to_file)
        blocks = (decoded[start:stop] for start, stop in ranges)
    else:
        blocks = read_sections(info, ranges)
    extremes = Extremes()
    for (start, stop), block in zip(ranges, blocks, strict=True):
        extremes.update(block)
        if compress:
            block = merge_pairs(block, axes[0])
            if axes[0] == 0:
                start, stop = start // 2, -(-stop // 2)
        with np.errstate(invalid="ignore"):  # a NaN is refused below, with its count
            in_file[start:stop] = block
    if extremes.fault:
        raise InputError(
            f"{info.path} cannot be used: of {volume.array.size:,} voxels, "
            f"{extremes.fault}; reconstruct it again"
        )
    return array, volume


def read_tilt_series(
    tilt_path, angle_path, *, tomogram_xy=None, max_tilt=None, flip=False
):
    """Read the images of an aligned tilt series and their angles.

    Parameters
    ----------
    tilt_path : path-like
        MRC file, array (T, Y, X).
    angle_path : path-like
        Text, one angle a line.
    tomogram_xy : tuple of int, optional
        (X, Y) of the tomogram [voxels], which the images must have.
    max_tilt : float, optional
        Only images within +- this angle are read [degrees].
    flip : bool
        Change the sign of the angles.

    Returns
    -------
    TiltSeries
        Without blank and non-finite images, which are left out with a warning.

    Raises
    ------
    InputError
        When a file cannot be read, or sizes or counts do not fit, or no image is
        left.
    """
    info = inspect_mrc(tilt_path)
    if tomogram_xy is not None:
        wanted = (tomogram_xy[1], tomogram_xy[0])
        if info.shape[1:] != wanted:
            misfit = describe_misfit(info.shape[1:], wanted)
            raise InputError(f"{info.path} does not fit its tomogram: {misfit}")
    angles = read_tilt_angles(angle_path, info.shape[0])
    kept = np.arange(info.shape[0])
    if max_tilt is not None:
        kept = kept[np.abs(angles) <= max_tilt]
        if not len(kept):
            raise InputError(
                f"{angle_path} has no angle within +-{max_tilt:g} degrees (smallest: "
                f"{np.abs(angles).min():g}); raise --tilt_range"
            )
    images, kept = _read_images(info, kept, angles)
    angles = angles[kept]
    return TiltSeries(images=images, angles=0.0 - angles if flip else angles)


def _read_images(info, kept, angles):
    """Return the usable ones of the images `kept`, and their indices."""
    images = np.empty((len(kept), *info.shape[1:]), np.float32)
    usable, left_out = [], []
    sections = read_sections(info, [(index, index + 1) for index in kept])
    for index, section in zip(kept, sections, strict=True):
        extremes = Extremes()
        extremes.update(section)
        if extremes.fault:
            where = f"image {index + 1} at {angles[index]:g} degrees"
            left_out.append(f"{where} (pixels {extremes.fault})")
        else:
            images[len(usable)] = section[0]
            usable.append(index)
    told = f"{len(left_out)} of {len(kept)} images: {', '.join(left_out)}"
    if not usable:
        raise InputError(f"{info.path} cannot be used; unusable are {told}")
    if left_out:
        warn_once(f"{info.path}: left out {told}")
    return images[: len(usable)], np.array(usable)
