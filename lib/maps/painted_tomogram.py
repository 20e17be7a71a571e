"""The tomogram that is painted, held against what the run noted of it."""

import numpy as np

from lib.errors import InputError, warn
from lib.inputs.axis_order import is_likely, require_likely
from lib.inputs.tomo_io import inspect_mrc, open_tomogram

SAME_VOXEL = 1.01  # voxel sizes of headers are rounded


def open_painting(painting, table):
    """Map a tomogram, and check that its candidates lie in it.

    Parameters
    ----------
    painting : lib.maps.painting_plan.Painting
    table : EmbeddingTable

    Returns
    -------
    volume : lib.inputs.tomo_io.Volume
    paired : bool
        The candidates count slices in pairs.

    Raises
    ------
    InputError
        When the tomogram has another size than the run noted, or a candidate lies
        outside: another tomogram, or another order; and when nobody said the order
        and z would not be the shortest axis.
    """
    info = inspect_mrc(painting.path)
    if not painting.told:
        require_likely(info, painting.order)
    volume = open_tomogram(painting.path, painting.order)
    _compare_with_run(painting, volume)
    if not is_likely(info.shape, volume.order):
        warn(
            f"{painting.path}: z is not the shortest axis with --order {volume.order}, "
            "which the run noted, or you gave"
        )
    paired = bool(table.provenance.get("options", {}).get("compress"))
    depth, height, width = volume.array.shape
    size = np.array([width, height, (depth + 1) // 2 if paired else depth])
    positions = table.coords[painting.rows]
    outside = ((positions < 0) | (positions >= size)).any(axis=1)
    if outside.any():
        noted = painting.facts.get("order", volume.order)
        reach = _listed(positions.max(axis=0))
        if noted != volume.order:
            reach += f", and the run read it as {noted}"
        raise InputError(
            f"{outside.sum()} of {len(outside)} candidates of {painting.name} lie "
            f"outside {painting.path}, which has x, y, z = {_listed(size)} as --order "
            f"{volume.order} (candidates reach {reach}); is it the "
            "tomogram of this run, and its --order?"
        )
    return volume, paired


def _compare_with_run(painting, volume):
    """Refuse a tomogram of another size than the run read; warn of other voxels."""
    noted, found = painting.facts.get("shape"), volume.array.shape
    if noted and tuple(noted) != found:
        raise InputError(
            f"{painting.path} is not the tomogram {painting.name} of this run, which "
            f"had x, y, z = {_listed(noted[::-1])}: as --order {volume.order} it has "
            f"{_listed(found[::-1])}; name the folder of the run's tomograms with "
            "--rec_dir, and give the --order of these files"
        )
    noted, found = painting.facts.get("voxel_size"), volume.voxel_size
    if noted and found and max(noted, found) > SAME_VOXEL * min(noted, found):
        warn(
            f"{painting.path} has voxels of {found:g} Angstrom, {noted:g} when the run "
            "read it; is it the same tomogram?"
        )


def _listed(values):
    return ", ".join(str(int(value)) for value in values)
