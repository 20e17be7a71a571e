"""The candidates of a table, scored by exports of it or of another one."""

from pathlib import Path

import numpy as np

from lib.artifacts import InteractiveTable
from lib.errors import ArtifactError, InputError
from lib.picking.likeness import LikenessSpace, cosines
from lib.picking.teaching import among, teach

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
        With counterexamples the probability to be of the kind, 0 to 1; without, the
        cosine to the examples, -1 to 1.

    Raises
    ------
    ArtifactError
        If a file is of other weights, box or voxel size.
    InputError
        If there are no examples, or one of them is a counterexample at once.
    """
    table = InteractiveTable.load(path)
    space = LikenessSpace.of(table.embeddings)
    parts = [_read(files, table, path, space) for files in (yes, no)]
    unit = space.unit(table.embeddings)
    if not len(no):
        return cosines(unit, parts[0])
    names = ", ".join(str(file) for file in (*yes, *no))
    if both := int(among(*parts).sum()):
        raise InputError(
            f"{names}: {both} candidates are examples and counterexamples at once; "
            "take them out of one of the two"
        )
    try:
        return teach(unit, *parts, seed=seed)
    except InputError as error:
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
    """Reject picks whose embeddings cannot be compared with those of a table.

    Picks of programs that do not note where they are from must be rows of the table.
    """
    origin = picked.record.picked_from
    if origin is not None and origin.fingerprint == table.fingerprint:
        return
    if among(picked.embeddings, table.embeddings).all():
        return
    there, here = _described(picked), _described(table)
    wrong = [
        f"{name} {there[name] or 'not noted'} there, {here[name] or 'not noted'} here"
        for name in here
        if not _equal(there[name], here[name])
    ]
    if wrong:
        raise ArtifactError(
            f"{file} was not picked in {path}, and cannot be compared with it: "
            f"{'; '.join(wrong)}. Embed both alike: with the same --load_model and "
            "--bbox, and tomograms of one voxel size"
        )


def _described(table):
    """Return what decides whether embeddings can be compared; None is not noted."""
    record = table.record
    weights, epoch = record.lineage.checkpoint, record.lineage.epoch
    if weights is not None and epoch is not None:
        weights = f"{weights} of epoch {epoch}"
    known = [t.voxel_size for t in (record.tomograms or {}).values() if t.voxel_size]
    return {
        "weights": weights,
        "length of the embedding": table.embeddings.shape[1],
        "--bbox": record.options.patches.box,
        "voxel size": float(np.median(known)) if known else None,
    }


def _equal(one, other):
    if one is None or other is None:
        return False
    if isinstance(one, float):
        return abs(one - other) <= SAME_VOXEL * max(one, other)
    return one == other
