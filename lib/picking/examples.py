"""The candidates of a table, scored by exports of it or of another one."""

from pathlib import Path

import numpy as np

from lib.artifacts import InteractiveTable
from lib.errors import ArtifactError, InputError
from lib.picking.likeness import LikenessSpace
from lib.picking.teaching import teach

SAME_VOXEL = 0.02  # relative difference of two voxel sizes that are called equal


def score_by_examples(path, yes, no=(), *, seed):
    """Return a score of every candidate of a table, from exports.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``.
    yes, no : sequence of path-like
        Exports of examples and of counterexamples: of this table, or of another one
        that was embedded with the same weights, box and voxel size.
    seed : int

    Returns
    -------
    ndarray of float32, shape (N,)
        -1 to 1; see `lib.picking.teaching.teach`.

    Raises
    ------
    ArtifactError
        If a file is of other weights, box or voxel size.
    InputError
        If a candidate is an example and a counterexample at once.
    """
    table = InteractiveTable.load(path)
    space = LikenessSpace.of(table.embeddings)
    parts = [_read(files, table, path, space) for files in (yes, no)]
    try:
        return teach(space.unit(table.embeddings), *parts, seed=seed)
    except InputError as error:
        names = ", ".join(str(file) for file in (*yes, *no))
        raise InputError(f"{names}: {error}") from error


def _read(files, table, path, space):
    """Return the directions (K, D) of the candidates in some exports."""
    parts = [np.zeros((0, table.embeddings.shape[1]), np.float16)]
    for file in map(Path, files):
        picked = InteractiveTable.load(file)
        _check_same_run(picked, table, file, path)
        parts.append(space.unit(picked.embeddings))
    return np.concatenate(parts)


def _check_same_run(picked, table, file, path):
    """Reject picks whose embeddings cannot be compared with those of a table."""
    origin = picked.record.picked_from
    if origin is not None and origin.fingerprint == table.fingerprint:
        return
    wrong = [
        f"{name} {theirs} there, {ours} here"
        for name, theirs, ours in zip(
            ("weights", "--bbox", "voxel size"),
            _facts(picked),
            _facts(table),
            strict=True,
        )
        if theirs != ours and not _nearly(theirs, ours)
    ]
    if wrong:
        raise ArtifactError(
            f"{file} was not picked in {path}, and cannot be compared with it: "
            f"{'; '.join(wrong)}. Embed both alike: with the same --load_model and "
            "--bbox, and tomograms of one voxel size"
        )


def _facts(table):
    """Return weights, box and voxel size of a table; what is not known says so."""
    record = table.record
    lineage = record.lineage
    weights = "not noted"
    if lineage.checkpoint is not None:
        weights = lineage.checkpoint
        if lineage.epoch is not None:
            weights += f" of epoch {lineage.epoch}"
    known = [t.voxel_size for t in (record.tomograms or {}).values() if t.voxel_size]
    return weights, record.options.patches.box, float(np.median(known)) if known else 0


def _nearly(one, other):
    if not isinstance(one, float) or not isinstance(other, float):
        return False
    return abs(one - other) <= SAME_VOXEL * max(one, other)
