"""What a run notes of itself: its record, opts.txt, log.txt, and a line an epoch."""

import platform
import shlex
import sys
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib import __version__
from lib.artifacts import atomic_write
from lib.run.candidate_options import PatchSettings
from lib.run.config import given_values, take, write_config
from lib.run.record import Lineage, Normalization, RunRecord, TomogramRecord

LIBRARIES = ("torch", "numpy", "scipy", "mrcfile", "scikit-learn", "umap-learn")
COLUMNS = (
    ("epoch", "d"),
    ("loss", ".6f"),
    ("cosine_loss", ".6f"),
    ("output_std", ".5f"),
    ("effective_rank", ".1f"),
    ("lr", ".3e"),
    ("time", ".1f"),
)


def training_record(store, options, recipe, *, exp_id, precision, start, given=()):
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
    given : tuple of lib.run.history.GivenFile
        Files of coordinates that decided the candidates.

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
        lineage=Lineage(start=start, exp_id=exp_id, given=given),
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


def embedding_record(run, store, exp_id, given=()):
    """Return the record of an embedding: of its training, with its own tomograms.

    Parameters
    ----------
    run : lib.training.inference.TrainedRun
    store : lib.patches.store.PatchStore
        That is embedded.
    exp_id : str
    given : tuple of lib.run.history.GivenFile
        Files of coordinates that decided the candidates.

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
        options=replace(
            record.options,
            patches=_settings(store),
            particle_diameter=run.particle_diameter,
        ),
        lineage=replace(
            record.lineage,
            checkpoint=str(run.path),
            given=(*given, *record.lineage.given),
        ),
        **data,
    )


def tomograms_of(store):
    """Return the records of the tomograms in a patch store, by name."""
    metadata = [entry.metadata for entry in store.entries]
    return {read.name: take(TomogramRecord, asdict(read)) for read in metadata}


def _settings(store):
    return PatchSettings(**given_values(store.options))


def _data(store):
    tomograms = tomograms_of(store)
    return {
        "tomograms": tomograms,
        "n_candidates": len(store),
        "orders": tuple(sorted({known.order for known in tomograms.values()})),
    }


def write_options(experiment, options, found, config):
    """Write versions, command line and every option, and the file that repeats them.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    options : dict
    found : dict
        What the run found out: device, start of the trunk, number of candidates.
    config : dict
        The options by name on the command line.
    """
    with atomic_write(experiment.config, "w") as stream:
        write_config(stream, config)
    with atomic_write(experiment.options, "w") as stream:
        for line in _session():
            print(line, file=stream)
        print(f"version: {__version__}", file=stream)
        print(f"python: {platform.python_version()}", file=stream)
        for library in LIBRARIES:
            print(f"{library}: {_version(library)}", file=stream)
        for group, content in (("found", found), ("options", options)):
            print(f"\n==> {group}", file=stream)
            for key, value in sorted(content.items()):
                print(f"{key}: {value}", file=stream)


def note_resumption(path, epoch):
    """Add to opts.txt that the run was resumed; what it says already stays.

    Parameters
    ----------
    path : path-like
    epoch : int
        Finished epochs.
    """
    path = Path(path)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    with atomic_write(path, "w") as stream:
        stream.write(before)
        print(f"\n==> resumed after epoch {epoch}", file=stream)
        for line in _session():
            print(line, file=stream)


def _session():
    yield f"# {datetime.now():%Y-%m-%d %H:%M:%S} on {platform.node()}"
    yield f"command: {shlex.join([sys.executable, *sys.argv])}"


def write_log(path, history):
    """Write one line an epoch.

    The whole history is written each time: it is short, and a resumed run then has
    each epoch once, whenever it was interrupted.

    Parameters
    ----------
    path : path-like
    history : list of dict
        With the keys of `COLUMNS`.
    """
    with atomic_write(path, "w") as stream:
        for entry in history:
            print(
                " | ".join(f"{key} {entry[key]:{form}}" for key, form in COLUMNS),
                file=stream,
            )


def epoch_line(entry, epochs):
    """Return one line on a finished epoch, for logs that show no progress bar.

    Parameters
    ----------
    entry : dict
        With the keys of `COLUMNS`.
    epochs : int
        Of the whole run.

    Returns
    -------
    str
        Epoch, loss, learning rate, seconds, and the time left at this pace.
    """
    left = round(entry["time"] * (epochs - entry["epoch"]))
    return (
        f"epoch {entry['epoch']}/{epochs}  loss {entry['loss']:.4f}  "
        f"rate {entry['lr']:.2e}  {entry['time']:.1f} s  left {timedelta(seconds=left)}"
    )


def _version(library):
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
