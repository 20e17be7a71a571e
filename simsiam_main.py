"""Train the embedding: exp/<dataset>/<exp_id>/ gets models, log and options."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import OptionError, run_script, warn
from lib.modes import MODES
from lib.run.given import config_of, own_coordinates, run_options
from opts import PROJECT, cache_options, list_options, train_options

ROOM = 200_000_000  # bytes; of a few checkpoints


def main():
    """Prepare the patches, then train; or stop after the candidates (--dry_run)."""
    options = train_options()
    from lib.artifacts import ExperimentDir
    from lib.artifacts.experiment import check_folder, experiment_lock
    from lib.patches.cache import cache_folder
    from lib.patches.preparation import prepare_candidates, prepare_store
    from lib.pictures.candidate_picture import show_candidates
    from lib.system.ranks import end_distributed
    from lib.system.runtime import choose_device, seed_everything
    from lib.training.setup import make_trainer, train

    experiment = ExperimentDir.of(options.exp_dir, options.dataset, options.exp_id)
    if not (options.resume or options.dry_run or options.check_geometry):
        check_folder(experiment, overwrite=options.overwrite)
    (run, recipe, patching, checkpoint), tomograms = read_input(options, experiment)
    check = geometry_check(tomograms, patching, options)
    if options.check_geometry:
        require_tilts(patching)
        check(cache=None)
        return
    ranks = start_ranks(options, experiment)
    own, tomograms = find_own(
        options, tomograms, patching, checkpoint, experiment, ranks
    )
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
            check(cache=cache)
        prepared = {
            "cache": cache,
            "workers": options.num_workers,
            "device": device,
            "chosen": own.chosen,
        }
        if options.dry_run:
            found = prepare_candidates(tomograms, patching, **prepared, ranks=ranks)
            if ranks.is_main:
                show_candidates(found, tomograms, patching, experiment, own)
        else:
            store = prepare_store(tomograms, patching, **prepared, ranks=ranks)
            trainer = make_trainer(
                store,
                run,
                recipe,
                experiment=experiment,
                exp_id=options.exp_id,
                checkpoint=checkpoint,
                load_model=options.load_model,
                compiled=options.compile,
                own=own,
                device=device,
                ranks=ranks,
            )
            if ranks.is_main:
                note_start(options, experiment, trainer)
                show_candidates(store.entries, tomograms, patching, experiment, own)
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
    from lib.artifacts.experiment import place_of_list
    from lib.training.run_tomograms import check_same_list, read_run_list

    chosen = settings(options, experiment)
    run, _, patching, checkpoint = chosen
    options.img_txt, tomograms = read_run_list(
        options.img_txt,
        PROJECT,
        place_of_list(experiment, resume=options.resume),
        patching,
        order_is_given=run.patches.order is not None,
        voxel_size=run.voxel_size,
        keep=options.resume,
        halves=patching.halves,
    )
    if checkpoint is not None:
        check_same_list(checkpoint.record, experiment.checkpoint("last"), tomograms)
    if options.particle_diameter and checkpoint is None:
        fit_to_particle(options, run, tomograms)
        chosen = settings(options, experiment)
    return chosen, tomograms


def settings(options, experiment):
    """Return what the run is trained with, a `lib.training.settings.Settings`."""
    from lib.training.settings import find_settings

    chosen, typed = run_options(options)
    return find_settings(
        chosen,
        typed,
        mode=options.task,
        resumed=experiment.checkpoint("last") if options.resume else None,
        load_model=options.load_model,
    )


def fit_to_particle(options, run, tomograms):
    """Set the options that follow from --particle_diameter and were not given."""
    from lib.candidates.particle_size import ParticleSize
    from lib.system.ranks import find_launch

    size = ParticleSize.in_tomograms(
        run.particle_diameter, tomograms, voxel_size=run.voxel_size
    )
    chosen = size.options()
    given = {name: getattr(options, name) for name in chosen if name in options.typed}
    vars(options).update({k: v for k, v in chosen.items() if k not in given})
    if find_launch().rank == 0:
        print(size.describe(options.particle_diameter, given))
        if options.config is not None and size.is_another(given):
            warn(
                "--dog and --dog_diameter of --config do not follow from the diameter "
                "at this voxel size; give --particle_diameter "
                f"{options.particle_diameter} as well, to derive all anew"
            )


def start_ranks(options, experiment):
    """Join the processes that train together; look at what the run will need."""
    from lib.patches.cache import CACHE_NAME
    from lib.system.preflight import check_environment
    from lib.system.ranks import init_distributed
    from lib.system.runtime import install_signal_handlers

    ranks = init_distributed()
    if options.compile and ranks.world > 1:
        raise OptionError("--compile is for one process; leave it out with several")
    install_signal_handlers(ranks)
    check_environment(
        {experiment.root: "--exp_dir or --exp_id"},
        cache=options.cache_dir or options.exp_dir / CACHE_NAME,
        room=0 if options.dry_run else ROOM,
        quiet=not ranks.is_main,
    )
    return ranks


def find_own(options, tomograms, patching, checkpoint, experiment, ranks):
    """Return the coordinates of --coords and --exclude_coords, and their tomograms.

    Returns
    -------
    own : lib.coordinates.given.OwnCoordinates
        As of the resumed run.
    tomograms : list of lib.inputs.tomogram.Tomogram
    """
    from lib.coordinates.given import read_own
    from lib.run.history import TRAINING
    from lib.training.resume import check_same_files

    settings, quiet = own_coordinates(options), not ranks.is_main
    own = read_own(tomograms, settings, patching, quiet=quiet)
    if checkpoint is not None:
        path = experiment.checkpoint("last")
        check_same_files(checkpoint.record, path, own.record(TRAINING))
    return own, own.tomograms(tomograms)


def note_start(options, experiment, trainer):
    """Make room for the run in its folder, and note its options there."""
    from lib.artifacts.experiment import adopt_list
    from lib.training.setup import start_folder

    options.img_txt = adopt_list(experiment, options.img_txt)
    start_folder(
        experiment,
        trainer,
        resume=options.resume,
        overwrite=options.overwrite,
        typed={k: v for k, v in vars(options).items() if k != "typed"},
        config=config_of(options),
    )


def geometry_check(tomograms, patching, options):
    """Return a function of the cache that checks whether the files fit each other."""
    from lib.geometry.check import check_tomograms

    return partial(
        check_tomograms,
        tomograms,
        flip_tilt_angles=patching.flip_tilt_angles,
        bright=patching.bright,
        force=options.force,
    )


def require_tilts(patching):
    """Reject --check_geometry in a mode without tilt series."""
    if not patching.needs_tilts:
        tilted = [name for name, mode in MODES.items() if mode.needs_tilts]
        raise OptionError(
            "--check_geometry compares tomograms with tilt series, which only "
            f"{', '.join(tilted)} uses; give that mode and a list with tilt_path and "
            "angle_path"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["cache"]:
        run_script(show_cache)
    elif any(word.split("=")[0] == "--make_list" for word in sys.argv[1:]):
        run_script(make_list)
    else:
        run_script(main)
