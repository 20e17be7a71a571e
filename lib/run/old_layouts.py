"""Records of earlier versions and of other programs, as a record of today.

One function for each layout. What a layout does not hold is None.
"""

from lib.errors import ArtifactError
from lib.run.config import take
from lib.run.options import RunOptions
from lib.run.record import (
    SCHEMA_VERSION,
    HealthRecord,
    Lineage,
    Normalization,
    PickedFrom,
    RunRecord,
    TomogramRecord,
    as_tuple,
    part,
    read_record,
    take_all,
    take_tomograms,
)


def record_of_checkpoint(content, path):
    """Return the record in a checkpoint, of whatever version or program.

    Parameters
    ----------
    content : dict
        Of the file.
    path : path-like
        Named in messages.

    Raises
    ------
    ArtifactError
        When a later version wrote it, or the record cannot be read.
    """
    return _read(content, path, content.get("record"), _of_checkpoint_1)


def record_of_table(content, path):
    """Return the record in an npz or parquet, of whatever version or program.

    Parameters
    ----------
    content : dict
        From the json beside the columns; empty in files of other programs.
    path : path-like
        Named in messages.

    Raises
    ------
    ArtifactError
        As `record_of_checkpoint`.
    """
    noted = content if "schema" in content else None
    return _read(content, path, noted, _of_provenance_1)


def _read(content, path, noted, convert):
    try:
        if int(content.get("schema", 1)) > SCHEMA_VERSION:
            raise ArtifactError(f"{path} was written by a later version; update")
        return convert(content) if noted is None else read_record(noted)
    except (
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise ArtifactError(
            f"{path}: the record of its run cannot be read ({error})"
        ) from error


def _of_checkpoint_1(content):
    """Of a checkpoint before version 0.4, or of MiLoPYP, which has only the epoch.

    Ours had ``options`` (flat), ``normalization`` or ``normalisation``, ``seed``,
    ``health``, ``start``, ``orders``, and ``data`` with the ``tomograms`` (names),
    ``candidates`` (number) and ``files`` (by name).
    """
    options, data = part(content, "options"), part(content, "data")
    normalization = content.get("normalization") or content.get("normalisation")
    tomograms = None
    if data:
        files = take_tomograms(part(data, "files"))
        tomograms = {n: files.get(n, TomogramRecord()) for n in data["tomograms"]}
    return RunRecord(
        exp_id=options.get("exp_id"),
        options=RunOptions.of({**options, "seed": content.get("seed")}),
        normalization=take_all(Normalization, normalization),
        health=take(HealthRecord, part(content, "health")),
        tomograms=tomograms,
        n_candidates=data.get("candidates"),
        orders=as_tuple(content.get("orders")),
        lineage=Lineage(content.get("start"), options.get("exp_id")),
    )


def _of_provenance_1(content):
    """Of an npz or parquet before version 0.4, or of other programs: nothing.

    Ours had ``mode``, ``exp_id``, ``checkpoint``, ``epoch``, ``options`` (flat, with
    the ``exp_id`` of the training), ``tomograms`` and ``health``; in exports
    ``picked_from``.
    """
    options = part(content, "options")
    tomograms = content.get("tomograms")
    return RunRecord(
        exp_id=content.get("exp_id"),
        options=RunOptions.of({"mode": content.get("mode"), **options}),
        health=take(HealthRecord, part(content, "health")),
        tomograms=None if tomograms is None else take_tomograms(tomograms),
        lineage=Lineage(
            exp_id=options.get("exp_id"),
            checkpoint=content.get("checkpoint"),
            epoch=content.get("epoch"),
        ),
        picked_from=take_all(PickedFrom, content.get("picked_from")),
    )
