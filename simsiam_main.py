"""Train the embedding: exp/<dataset>/<exp_id>/ gets models, log and options."""

import signal
import sys
from dataclasses import replace

from lib.errors import Interrupted, OptionError, run_script
from lib.modes import MODES
from opts import (
    PROJECT,
    cache_options,
    config_of,
    list_options,
    own_coordinates,
    run_options,
    train_options,
)

ROOM = 200_000_000  # bytes; of a few checkpoints


def main():
    """Prepare the patches, then train; or stop after the candidates (--dry_run)."""
    options = train_options()
    from lib.artifacts import ExperimentDir
    from lib.artifacts.experiment import check_folder, experiment_lock
    from lib.patches.cache import CACHE_NAME, cache_folder
    from lib.patches.preparation import prepare_candidates, prepare_store
    from lib.system.preflight import check_environment
    from lib.system.ranks import end_distributed
    from lib.system.runtime import choose_device, seed_everything

    experiment = ExperimentDir.of(options.exp_dir, options.dataset, options.exp_id)
    if not (options.resume or options.dry_run or options.check_geometry):
        check_folder(experiment, overwrite=options.overwrite)
    chosen, tomograms = read_input(options, experiment)
    run, recipe, patching, checkpoint = chosen
    if options.check_geometry:
        check_only(tomograms, patching, options)
        return
    ranks = start_ranks(options)
    check_environment(
        {experiment.root: "--exp_dir or --exp_id"},
        cache=options.cache_dir or options.exp_dir / CACHE_NAME,
        room=0 if options.dry_run else ROOM,
        quiet=not ranks.is_main,
    )
    own = find_own(options, tomograms, patching, checkpoint, experiment, ranks)
    tomograms = own.tomograms(tomograms)
    device = choose_device(options.gpus, ranks)
    seed_everything(run.seed)
    cached = cache_folder(
        options.exp_dir,
        cache_dir=options.cache_dir,
        no_cache=options.no_cache,
        ranks=ranks,
    )
    with experiment_lock(experiment, is_main=ranks.is_main), cached as cache:
        if ranks.is_main:
            check(tomograms, patching, options, cache)
        prepared = {
            "cache": cache,
            "workers": options.num_workers,
            "device": device,
            "chosen": own.chosen,
        }
        if options.dry_run:
            found = prepare_candidates(tomograms, patching, **prepared, ranks=ranks)
            show_candidates(found, tomograms, patching, experiment, own, ranks)
        else:
            store = prepare_store(tomograms, patching, **prepared, ranks=ranks)
            trainer = make_trainer(
                store, run, recipe, checkpoint, experiment, options, own, device, ranks
            )
            start_folder(experiment, trainer, options, ranks)
            show_candidates(store.entries, tomograms, patching, experiment, own, ranks)
            ranks.barrier()  # drawing takes a while
            train(trainer, experiment, ranks)
    end_distributed(ranks)


def show_cache():
    """List the cache of candidates and patches, or free it."""
    options = cache_options(sys.argv[2:])
    from lib.patches.cache import CACHE_NAME, clear_cache, print_cache

    folder = options.cache_dir or options.exp_dir / CACHE_NAME
    if options.clear:
        clear_cache(
            folder, outdated_only=options.outdated, unused_days=options.unused_days
        )
    else:
        print_cache(folder)


def make_list():
    """Write the image list of the tomograms below folders (--make_list)."""
    options = list_options(sys.argv[1:])
    from lib.artifacts.folder_list import write_folder_list

    write_folder_list(
        options.make_list,
        options.output,
        needs_tilts=options.task is not None and MODES[options.task].needs_tilts,
        replace=options.overwrite,
    )


def read_input(options, experiment):
    """Return the settings of the run, as `settings` does, and its tomograms."""
    from lib.training.same_tomograms import check_same_list

    chosen = settings(options, experiment)
    run, _, patching, checkpoint = chosen
    tomograms = read_tomograms(options, run, patching, experiment)
    if checkpoint is not None:
        check_same_list(checkpoint.record, experiment.checkpoint("last"), tomograms)
    if options.particle_diameter and checkpoint is None:
        fit_to_particle(options, run, tomograms)
        chosen = settings(options, experiment)
    return chosen, tomograms


def settings(options, experiment):
    """Return what the run is trained with: as typed, or as its checkpoint remembers.

    Returns
    -------
    run : lib.run.options.RunOptions
    recipe : lib.training.recipes.Recipe
    patching : lib.patches.options.PatchOptions
    checkpoint : lib.training.checkpoints.Checkpoint or None
        That is resumed.
    """
    from lib.patches.options import PatchOptions
    from lib.run.fields import known
    from lib.training.recipes import find_recipe
    from lib.training.resume import load_run, resumed_options

    run, typed = run_options(options)
    checkpoint = None
    if options.resume:
        path = experiment.checkpoint("last")
        checkpoint = load_run(path)
        run = resumed_options(checkpoint.record, path, chosen=run, typed=typed)
    training = run.training
    recipe = find_recipe(training.recipe).with_schedule(
        cosine=training.cosine, steps=training.steps, warm=training.warm
    )
    wanted = {**recipe.patching[options.task], **known(run.patches)}
    if run.model.pretrained_model is None:
        start = "none" if options.load_model else recipe.start
        run = replace(run, model=replace(run.model, pretrained_model=start))
    return run, recipe, PatchOptions(**wanted), checkpoint


def read_tomograms(options, run, patching, experiment):
    """Read the image list, or make that of a folder.

    A list that lacks what the options ask for is rejected.
    """
    from lib.artifacts.folder_list import find_list_or_folder
    from lib.inputs.companions import HALVES, MASK, VIEW, check_companions
    from lib.inputs.image_list import read_image_list
    from lib.system.ranks import find_launch

    if patching.halves and patching.needs_tilts:
        raise OptionError(
            f"--halves is for simsiam3d; {patching.mode} can pair even with odd tilt "
            "images: leave it out"
        )
    options.img_txt = find_list_or_folder(
        options.img_txt,
        PROJECT,
        experiment.training_list,
        needs_tilts=patching.needs_tilts,
        keep=options.resume,
        quiet=find_launch().rank > 0,
    )
    tomograms = read_image_list(
        options.img_txt,
        project=PROJECT,
        needs_tilts=patching.needs_tilts,
        order=patching.order,
        order_is_given=run.patches.order is not None,
        voxel_size=run.voxel_size,
        optional=(*MASK, *VIEW, *(HALVES if patching.halves else ())),
    )
    check_companions(
        tomograms,
        halves=patching.halves,
        by_mask=patching.needs_mask,
        in_view=patching.in_view,
    )
    return tomograms


def fit_to_particle(options, run, tomograms):
    """Set the options that follow from --particle_diameter and were not given."""
    from lib.candidates.particle_size import ParticleSize
    from lib.system.ranks import find_launch

    size = ParticleSize.in_tomograms(
        run.particle_diameter, tomograms, voxel_size=run.voxel_size
    )
    told = []
    for name, value in size.options().items():
        if name in options.typed:
            told.append(f"--{name} {getattr(options, name)} (given)")
        else:
            setattr(options, name, value)
            told.append(f"--{name} {value}")
    if find_launch().rank == 0:
        print(
            f"particle diameter {options.particle_diameter} A at "
            f"{size.voxel_size:g} A/voxel: {' '.join(told)}"
        )


def start_ranks(options):
    """Join the processes that train together, and heed signals."""
    from lib.system.ranks import init_distributed
    from lib.system.runtime import install_signal_handlers

    ranks = init_distributed()
    if options.compile and ranks.world > 1:
        raise OptionError("--compile is for one process; leave it out with several")
    install_signal_handlers(ranks)
    return ranks


def find_own(options, tomograms, patching, checkpoint, experiment, ranks):
    """Return the coordinates of --coords and --exclude_coords, as of the resumed run.

    Returns
    -------
    lib.coordinates.given.OwnCoordinates
    """
    from lib.coordinates.given import read_own
    from lib.run.history import TRAINING
    from lib.training.resume import check_same_files

    settings, quiet = own_coordinates(options), not ranks.is_main
    own = read_own(tomograms, settings, patching, quiet=quiet)
    if checkpoint is not None:
        path = experiment.checkpoint("last")
        check_same_files(checkpoint.record, path, own.record(TRAINING))
    return own


def check_only(tomograms, patching, options):
    """Check the geometry anew (--check_geometry); reject a mode without tilt series."""
    if not patching.needs_tilts:
        tilted = [name for name, mode in MODES.items() if mode.needs_tilts]
        raise OptionError(
            "--check_geometry compares tomograms with tilt series, which only "
            f"{', '.join(tilted)} uses; give that mode and a list with tilt_path and "
            "angle_path"
        )
    check(tomograms, patching, options, cache=None)


def check(tomograms, patching, options, cache):
    """Check whether the files fit each other; findings in `cache` are used again."""
    from lib.geometry.check import check_tomograms

    check_tomograms(
        tomograms,
        flip_tilt_angles=patching.flip_tilt_angles,
        bright=patching.bright,
        force=options.force,
        cache=cache,
    )


def show_candidates(entries, tomograms, patching, experiment, own, ranks):
    """Say how many candidates there are, and draw them over their tomograms.

    Parameters
    ----------
    entries : list of lib.patches.entries.Entry
        With patches, or without.
    own : lib.coordinates.given.OwnCoordinates
    """
    if not ranks.is_main:
        return
    from lib.pictures.candidate_picture import draw_candidates

    count = sum(len(entry.coords) for entry in entries)
    found = f"{count:,} candidates in {len(entries)} of {len(tomograms)} tomograms"
    if entries[0].patches is None:
        left_out = "; training leaves out those whose patches leave the tilt images"
        if own.chosen.is_given:
            left_out = "; training leaves out those whose patches leave the tomogram"
            left_out += " or the tilt images" * patching.needs_tilts
        told = patching.needs_tilts or own.chosen.is_given
        print(f"{found}{left_out if told else ''}")
    else:
        left_out = sum(entry.metadata.left_out for entry in entries)
        size = sum(entry.patches.nbytes for entry in entries)
        print(
            f"{found}{f', {left_out} more too near an edge' if left_out else ''}; "
            f"{size / 1e9:.2f} GB of patches"
        )
    own.tell_excluded(entry.metadata.excluded for entry in entries)
    tell_masked([entry.metadata for entry in entries])
    by_name = {tomogram.name: tomogram for tomogram in tomograms}
    for entry in entries:
        tomogram = by_name[entry.metadata.name]
        draw_candidates(
            experiment.candidate_picture(tomogram.name),
            tomogram.shown,
            entry.coords,
            box=patching.box,
            diameter=patching.dog_diameter,
            sigmas=() if own.chosen.is_given else patching.sigmas,
            z_step=2 if patching.compress else 1,
        )
    print(f"candidates drawn in {experiment.candidate_picture('*')}")


def tell_masked(metadata):
    """Say how much gold and fill was left out, if any.

    Parameters
    ----------
    metadata : list of lib.patches.entries.EntryMetadata
    """
    beads = sum(known.gold for known in metadata)
    if beads:
        print(f"{beads} gold beads left out; --keep_gold leaves them in")
    filled = [known for known in metadata if known.fill]
    if filled:
        some = ", ".join(f"{known.fill:.0%} of {known.name}" for known in filled[:3])
        more = f" and of {len(filled) - 3} more" if len(filled) > 3 else ""
        print(f"constant, so left out as fill: {some}{more}")


def make_trainer(
    store, run, recipe, checkpoint, experiment, options, own, device, ranks
):
    """Return what trains the network, new or as its checkpoint left it."""
    from lib.run.history import TRAINING
    from lib.system.runtime import choose_precision
    from lib.training.checkpoint_writer import CheckpointWriter
    from lib.training.compute import Compute
    from lib.training.recipes import Schedule
    from lib.training.run_notes import resumed_record, training_record
    from lib.training.same_tomograms import check_same_data
    from lib.training.trainer import Trainer

    training = run.training
    precision = choose_precision(training.precision, device)
    batch_size = min(training.batch_size, len(store))
    if ranks.is_main:
        print(f"training in {precision} on {device}")
        if batch_size < training.batch_size:
            print(f"only {len(store)} candidates: --batch_size shrinks to {batch_size}")
    model, start = new_model(run, recipe, options, store, ranks)
    if ranks.is_main:
        print(f"the network starts from {start}")
    record = training_record(
        store,
        run,
        recipe,
        exp_id=options.exp_id,
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
        Compute(device, precision, ranks, compiled=options.compile),
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


def new_model(run, recipe, options, store, ranks):
    """Return the network and, in words, the weights that its run starts from."""
    from lib.training.builtin import BUILTIN, start_from_builtin
    from lib.training.checkpoints import load_checkpoint, restore_weights
    from lib.training.models import build_model
    from lib.training.pretrained import init_small, load_pretrained_trunk
    from lib.training.run_notes import tomograms_of
    from lib.training.same_tomograms import warn_of_voxels

    model = build_model(run.model.arch, mode=options.task, dim=run.model.head_conv)
    if recipe.small_init:
        init_small(model)
    if options.load_model is not None:
        trained = load_checkpoint(options.load_model)
        restore_weights(model, trained.state_dict, options.load_model)
        if ranks.is_main:
            warn_of_voxels(trained.record, tomograms_of(store))
        return model, str(options.load_model)
    if options.resume:
        return model, "its checkpoint"
    if run.model.pretrained_model == BUILTIN:
        return model, start_from_builtin(model, options.task)
    return model, load_pretrained_trunk(model, run.model.pretrained_model)


def start_folder(experiment, trainer, options, ranks):
    """Make room for the run, now that it can start, and note what it is."""
    from lib.artifacts.experiment import clear_folder
    from lib.training.run_notes import note_resumption, write_options

    if not ranks.is_main:
        return
    if options.resume:
        note_resumption(experiment.options, trainer.state.epoch)
        return
    if options.overwrite and (removed := clear_folder(experiment)):
        print(f"--overwrite removed from {experiment.root}: {', '.join(removed)}")
    record = trainer.writer.record
    found = {
        "device": trainer.compute.device,
        "precision": trainer.compute.precision,
        "start": record.lineage.start,
        "candidates": len(trainer.store),
        "order": ",".join(record.orders),
        "tilt_range": trainer.store.options.tilt_range,
        "disjoint_tilts": trainer.store.options.disjoint_tilts,
    }
    typed = {key: value for key, value in vars(options).items() if key != "typed"}
    write_options(experiment, typed, found, config=config_of(options))


def train(trainer, experiment, ranks):
    """Train and say how it went; a line an epoch where no progress bar is seen."""
    from lib.training.run_notes import epoch_line

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


if __name__ == "__main__":
    if sys.argv[1:2] == ["cache"]:
        run_script(show_cache)
    elif any(word.split("=")[0] == "--make_list" for word in sys.argv[1:]):
        run_script(make_list)
    else:
        run_script(main)
