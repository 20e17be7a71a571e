"""Check that a tomogram is the one that the run read, before it is painted."""

import numpy as np

from lib.errors import InputError, warn_once
from lib.inputs.axis_order import is_likely
from lib.inputs.noted_files import SAME_VOXEL, is_noted_file


def check_job(job, table):
    """Compare the header of a tomogram with what the run recorded.

    Parameters
    ----------
    job : lib.overlay.jobs.OverlayJob
    table : EmbeddingTable

    Raises
    ------
    InputError
        If the size differs from the size that the run recorded, or a candidate lies
        outside: it is another tomogram, or another order.
    """
    order, shape = job.tomogram.order, job.tomogram.shape
    _compare_with_run(job)
    if not is_likely(job.tomogram.info.shape, order):
        warn_once(
            f"{job.path}: z is not the shortest axis with --order {order}, "
            "which the run recorded or you gave"
        )
    depth, height, width = shape
    size = np.array([width, height, (depth + 1) // 2 if is_paired(table) else depth])
    positions = table.coords[job.rows]
    outside = ((positions < 0) | (positions >= size)).any(axis=1)
    if outside.any():
        recorded = job.recorded.order or order
        reach = _listed(positions.max(axis=0))
        if recorded != order:
            reach += f", and the run read it as {recorded}"
        raise InputError(
            f"{outside.sum()} of {len(outside)} candidates of {job.name} lie "
            f"outside {job.path}, which has x, y, z = {_listed(size)} as --order "
            f"{order} (candidates reach {reach}); check "
            "that it is the tomogram of this run, and its --order"
        )


def is_paired(table):
    """Return whether z of the candidates counts pairs of slices (``--compress``)."""
    return bool(table.record.options.patches.compress)


def _compare_with_run(job):
    """Reject a tomogram of another size; warn of another voxel size."""
    order, found = job.tomogram.order, job.tomogram.shape
    recorded = job.recorded.shape
    if recorded and tuple(recorded) != found:
        raise InputError(
            f"{job.path} is not the tomogram {job.name} of this run, which "
            f"had x, y, z = {_listed(recorded[::-1])}: as --order {order} it has "
            f"{_listed(found[::-1])}; name the folder of the run's tomograms with "
            "--rec_dir, and give the --order of these files"
        )
    if is_noted_file(job.recorded, job.path):
        return  # the run took the voxel size of elsewhere: the option, or the images
    recorded, found = job.recorded.voxel_size, job.tomogram.voxel_size
    if recorded and found and max(recorded, found) > SAME_VOXEL * min(recorded, found):
        warn_once(
            f"{job.path} has voxels of {found:g} Angstrom, {recorded:g} when the run "
            "read it; check that it is the same tomogram"
        )


def _listed(values):
    return ", ".join(str(int(value)) for value in values)
