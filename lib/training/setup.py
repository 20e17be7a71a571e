"""What a training is made of: network, weights to start from, record, schedule."""

from lib.run.history import TRAINING
from lib.system.runtime import choose_precision
from lib.training.builtin import BUILTIN, start_from_builtin
from lib.training.checkpoint_writer import CheckpointWriter
from lib.training.checkpoints import load_checkpoint, restore_weights
from lib.training.compute import Compute
from lib.training.models import build_model
from lib.training.pretrained import init_small, load_pretrained_trunk
from lib.training.recipes import Schedule
from lib.training.run_notes import resumed_record, tomograms_of, training_record
from lib.training.same_tomograms import check_same_data, warn_of_voxels
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
