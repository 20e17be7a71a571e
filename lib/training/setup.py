"""A training put together and run: network, start, record, schedule, folder."""

import signal
import sys

from lib.artifacts.experiment import clear_folder
from lib.errors import Interrupted
from lib.run.history import TRAINING
from lib.system.runtime import choose_precision
from lib.training.builtin import BUILTIN, start_from_builtin
from lib.training.checkpoint_writer import CheckpointWriter
from lib.training.checkpoints import load_checkpoint, restore_weights
from lib.training.compute import Compute
from lib.training.models import build_model
from lib.training.pretrained import init_small, load_pretrained_trunk
from lib.training.recipes import Schedule
from lib.training.run_notes import (
    epoch_line,
    note_resumption,
    resumed_record,
    tomograms_of,
    training_record,
    write_options,
)
from lib.training.run_tomograms import check_same_data, warn_of_voxels
from lib.training.trainer import Trainer


def make_trainer(
    store,
    run,
    recipe,
    *,
    experiment,
    exp_id,
    checkpoint,
    load_model,
    compiled,
    own,
    device,
    ranks,
):
    """Return what trains the network, new or as its checkpoint left it.

    Parameters
    ----------
    store : lib.patches.store.PatchStore
    run : lib.run.options.RunOptions
    recipe : lib.training.recipes.Recipe
    experiment : lib.artifacts.ExperimentDir
    exp_id : str
        Name of the run in its record.
    checkpoint : lib.training.checkpoints.Checkpoint or None
        That is resumed.
    load_model : path-like or None
        Checkpoint whose weights are the start.
    compiled : bool
        Whether torch compiles the network.
    own : lib.coordinates.given.OwnCoordinates
    device : torch.device
    ranks : lib.system.ranks.Ranks

    Returns
    -------
    lib.training.trainer.Trainer
    """
    training = run.training
    precision = choose_precision(training.precision, device)
    batch_size = min(training.batch_size, len(store))
    if ranks.is_main:
        print(f"training in {precision} on {device}")
        if batch_size < training.batch_size:
            print(f"only {len(store)} candidates: --batch_size shrinks to {batch_size}")
    model, start = _new_model(
        run,
        recipe,
        store,
        load_model=load_model,
        resumed=checkpoint is not None,
        ranks=ranks,
    )
    if ranks.is_main:
        print(f"the network starts from {start}")
    record = training_record(
        store,
        run,
        recipe,
        exp_id=exp_id,
        precision=precision,
        start=start,
        given=own.record(TRAINING),
    )
    if checkpoint is not None:
        path, noted = experiment.checkpoint("last"), checkpoint.record
        check_same_data(noted, path, store, quiet=not ranks.is_main)
        record = resumed_record(record, noted)
    trainer = Trainer(
        model,
        store,
        recipe,
        Schedule(
            epochs=training.num_epochs,
            batch_size=batch_size,
            lr=training.lr,
            keep_every=training.val_intervals,
            keep_all=training.save_all,
        ),
        CheckpointWriter(experiment, record, ranks=ranks),
        Compute(device, precision, ranks, compiled=compiled),
    )
    if trainer.model.recompute and ranks.is_main:
        print(
            f"a step of --batch_size {batch_size} would keep "
            f"{trainer.step_bytes / 1e9:.1f} GB: the first layers are computed twice "
            "instead, to the same result; a smaller batch is faster"
        )
    if checkpoint is not None:
        trainer.resume()
    return trainer


def _new_model(run, recipe, store, *, load_model, resumed, ranks):
    """Return the network and, in words, the weights that its run starts from."""
    mode = store.options.mode
    model = build_model(run.model.arch, mode=mode, dim=run.model.head_conv)
    if recipe.small_init:
        init_small(model)
    if load_model is not None:
        trained = load_checkpoint(load_model)
        restore_weights(model, trained.state_dict, load_model)
        if ranks.is_main:
            warn_of_voxels(trained.record, tomograms_of(store))
        return model, str(load_model)
    if resumed:
        return model, "its checkpoint"
    if run.model.pretrained_model == BUILTIN:
        return model, start_from_builtin(model, mode)
    return model, load_pretrained_trunk(model, run.model.pretrained_model)


def start_folder(experiment, trainer, *, resume, overwrite, typed, config):
    """Make room for a run, now that it can start, and note what it is.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    trainer : lib.training.trainer.Trainer
    resume, overwrite : bool
        Whether an earlier run goes on, or is removed.
    typed : dict
        The options of the command line, for ``opts.txt``.
    config : str
        For ``opts.yaml``.
    """
    if resume:
        note_resumption(experiment.options, trainer.state.epoch)
        return
    if overwrite and (removed := clear_folder(experiment)):
        print(f"--overwrite removed from {experiment.root}: {', '.join(removed)}")
    record, patching = trainer.writer.record, trainer.store.options
    found = {
        "device": trainer.compute.device,
        "precision": trainer.compute.precision,
        "start": record.lineage.start,
        "candidates": len(trainer.store),
        "order": ",".join(record.orders),
        "tilt_range": patching.tilt_range,
        "disjoint_tilts": patching.disjoint_tilts,
    }
    write_options(experiment, typed, found, config=config)


def train(trainer, experiment, ranks):
    """Train and say how it went; a line an epoch where no progress bar is seen.

    Raises
    ------
    Interrupted
        By Ctrl-C or a signal; the last complete epoch is kept.
    """
    epochs = trainer.schedule.epochs
    watched = sys.stdout.isatty() and sys.stderr.isatty()

    def tell(entry):
        if ranks.is_main and not watched:
            print(epoch_line(entry, epochs), flush=True)

    try:
        health = trainer.run(after_epoch=tell)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"interrupted; {trainer.state.epoch} of {epochs} epochs are kept in "
            f"{experiment.checkpoint('last')}: go on with the same command and "
            "--resume",
            getattr(stop, "number", signal.SIGINT),
        ) from None
    if ranks.is_main:
        print(f"trained {trainer.state.epoch} epochs; {health.message}")
        print(f"models and log: {experiment.root}")
