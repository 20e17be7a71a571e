"""Masks of a tomogram: which voxels belong to what a segmentation marks."""

import numpy as np

from lib.axis_orders import ORDERS
from lib.errors import InputError


def read_mask(tomogram):
    """Read the mask of a tomogram.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
        Whose companions have one.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        True where the file has a label, which is any number but 0.

    Raises
    ------
    InputError
        When the file holds other than whole numbers, or no border of a mask: nothing
        is marked, or everything.
    """
    info = tomogram.companions.mask_path
    voxels = tomogram.of_file(info).map_voxels()
    mask = np.empty(tomogram.shape, bool)
    # One section of the file at a time, whatever its axes.
    place = ORDERS[tomogram.order].index(0)
    for number, section in enumerate(np.moveaxis(voxels, place, 0)):
        if section.dtype.kind == "f":
            _require_whole(section, info.path, number)
        np.moveaxis(mask, place, 0)[number] = section != 0
    marked = np.count_nonzero(mask)
    if marked in (0, mask.size):
        found = "marks no voxel" if not marked else f"marks all {mask.size:,} voxels"
        raise InputError(
            f"mask_path {info.path} {found}; expected labels, or 1 inside and 0 "
            "outside. Is it the segmentation of this tomogram?"
        )
    return mask


def _require_whole(section, path, number):
    with np.errstate(invalid="ignore"):
        odd = section[~(section == np.rint(section))]
    if odd.size:
        raise InputError(
            f"mask_path {path} holds {odd.flat[0]:g} in section {number}, and "
            f"{odd.size:,} voxels like it there; expected whole numbers: labels, or 1 "
            "inside and 0 outside. Threshold a map of probabilities first"
        )
