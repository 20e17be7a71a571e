"""The records that a training, a resumption and an embedding write of their run."""

from dataclasses import asdict, replace

from lib.run.fields import known, take
from lib.run.options import PatchSettings
from lib.run.record import Lineage, Normalization, RunRecord, TomogramRecord


def training_record(store, options, recipe, *, exp_id, precision, start):
    """Return the record of a training that begins now.

    Parameters
    ----------
    store : lib.patches.store.PatchStore
    options : lib.run.options.RunOptions
        Of the command line.
    recipe : lib.training.recipes.Recipe
        With the schedule that is used.
    exp_id : str
    precision : {"fp32", "bf16"}
    start : str
        Weights that the training starts from, in words.

    Returns
    -------
    lib.run.record.RunRecord
    """
    training = replace(
        options.training,
        recipe=recipe.name,
        cosine=recipe.cosine,
        steps=recipe.steps,
        warm=recipe.warm,
        precision=precision,
    )
    return RunRecord(
        exp_id=exp_id,
        options=replace(options, patches=_settings(store), training=training),
        normalization=Normalization(*store.normalization()),
        lineage=Lineage(start=start, exp_id=exp_id),
        **_data(store),
    )


def resumed_record(record, noted):
    """Return the record of a resumed run, with what its first start noted.

    Parameters
    ----------
    record, noted : lib.run.record.RunRecord
        Of this start, and of the checkpoint.
    """
    return replace(
        record,
        normalization=noted.normalization,
        tomograms=noted.tomograms or record.tomograms,
        n_candidates=noted.n_candidates or record.n_candidates,
        lineage=replace(record.lineage, start=noted.lineage.start or "not noted"),
    )


def embedding_record(run, store, exp_id):
    """Return the record of an embedding: of its training, with its own tomograms.

    Parameters
    ----------
    run : lib.training.inference.TrainedRun
    store : lib.patches.store.PatchStore
        That is embedded.
    exp_id : str

    Returns
    -------
    lib.run.record.RunRecord
    """
    data = _data(store)
    if run.voxel_size:  # what the user typed stands above the header
        data["tomograms"] = {
            name: replace(tomogram, voxel_size=run.voxel_size)
            for name, tomogram in data["tomograms"].items()
        }
    record = run.record
    return replace(
        record,
        exp_id=exp_id,
        options=replace(record.options, patches=_settings(store)),
        lineage=replace(record.lineage, checkpoint=str(run.path)),
        **data,
    )


def tomograms_of(store):
    """Return the records of the tomograms in a patch store, by name."""
    metadata = [entry.metadata for entry in store.entries]
    return {read.name: take(TomogramRecord, asdict(read)) for read in metadata}


def _settings(store):
    return PatchSettings(**known(store.options))


def _data(store):
    tomograms = tomograms_of(store)
    return {
        "tomograms": tomograms,
        "n_candidates": len(store),
        "orders": tuple(sorted({known.order for known in tomograms.values()})),
    }
