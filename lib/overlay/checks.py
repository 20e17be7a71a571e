"""The tomogram that is painted, held against what the run noted of it."""

import numpy as np

from lib.errors import InputError, warn_once
from lib.inputs.axis_order import is_likely
from lib.inputs.noted_files import SAME_VOXEL


def check_job(job, table):
    """Hold a tomogram against what the run noted of it, by its header.

    Parameters
    ----------
    job : lib.overlay.jobs.OverlayJob
    table : EmbeddingTable

    Raises
    ------
    InputError
        When the tomogram has another size than the run noted, or a candidate lies
        outside: another tomogram, or another order.
    """
    order, shape = job.tomogram.order, job.tomogram.shape
    _compare_with_run(job)
    if not is_likely(job.tomogram.info.shape, order):
        warn_once(
            f"{job.path}: z is not the shortest axis with --order {order}, "
            "which the run noted, or you gave"
        )
    depth, height, width = shape
    size = np.array([width, height, (depth + 1) // 2 if is_paired(table) else depth])
    positions = table.coords[job.rows]
    outside = ((positions < 0) | (positions >= size)).any(axis=1)
    if outside.any():
        noted = job.facts.get("order", order)
        reach = _listed(positions.max(axis=0))
        if noted != order:
            reach += f", and the run read it as {noted}"
        raise InputError(
            f"{outside.sum()} of {len(outside)} candidates of {job.name} lie "
            f"outside {job.path}, which has x, y, z = {_listed(size)} as --order "
            f"{order} (candidates reach {reach}); is it the "
            "tomogram of this run, and its --order?"
        )


def is_paired(table):
    """Tell whether the candidates of a table count slices in pairs."""
    return bool(table.provenance.get("options", {}).get("compress"))


def _compare_with_run(job):
    """Reject a tomogram of another size than the run read; warn of other voxels."""
    order, found = job.tomogram.order, job.tomogram.shape
    noted = job.facts.get("shape")
    if noted and tuple(noted) != found:
        raise InputError(
            f"{job.path} is not the tomogram {job.name} of this run, which "
            f"had x, y, z = {_listed(noted[::-1])}: as --order {order} it has "
            f"{_listed(found[::-1])}; name the folder of the run's tomograms with "
            "--rec_dir, and give the --order of these files"
        )
    noted, found = job.facts.get("voxel_size"), job.tomogram.voxel_size
    if noted and found and max(noted, found) > SAME_VOXEL * min(noted, found):
        warn_once(
            f"{job.path} has voxels of {found:g} Angstrom, {noted:g} when the run "
            "read it; is it the same tomogram?"
        )


def _listed(values):
    return ", ".join(str(int(value)) for value in values)
