"""Train the embedding: exp/<dataset>/<exp_id>/ gets models, log and options."""

from dataclasses import asdict

from lib.errors import OptionError, TrainingError, run_script
from opts import PROJECT, patch_options, recipe_changes, train_options


def main():
    """Prepare the patches, then train; or stop after the candidates (--dry_run)."""
    options = train_options()
    from lib.artifacts import ExperimentDir
    from lib.inputs.axis_order import check_orders
    from lib.inputs.image_list import find_image_list, read_image_list
    from lib.patches.options import PatchOptions
    from lib.patches.preparation import prepare_store, store_folder
    from lib.runtime import (
        choose_device,
        heed_signals,
        seed_everything,
        start_ranks,
        stop_ranks,
    )
    from lib.training.experiment import claimed, prepare_folder
    from lib.training.recipes import RECIPES

    recipe = RECIPES[options.recipe].adapted(**recipe_changes(options))
    needed = {**recipe.patching[options.task], **patch_options(options)}
    patching = PatchOptions(mode=options.task, **needed)
    rows = read_image_list(
        find_image_list(options.img_txt, PROJECT),
        project=PROJECT,
        needs_tilts=options.task == "simsiam2d3d",
    )
    check_orders(rows, patching.order, told=options.order is not None)
    if options.check_geometry:
        check(rows, patching, options)
        return
    ranks = start_ranks()
    if options.compile and ranks.world > 1:
        raise OptionError("--compile is for one process; leave it out with several")
    heed_signals(ranks)
    if ranks.is_main and options.task == "simsiam2d3d":
        check(rows, patching, options)
    device = choose_device(options.gpus, ranks)
    seed_everything(options.seed)
    experiment = ExperimentDir.of(options.exp_dir, options.dataset, options.exp_id)
    folder = store_folder(
        options.exp_dir,
        cache_dir=options.cache_dir,
        no_cache=options.no_cache,
        ranks=ranks,
    )
    with claimed(experiment, ranks), folder as cache:
        if not options.dry_run:
            prepare_folder(
                experiment,
                resume=options.resume,
                overwrite=options.overwrite,
                ranks=ranks,
            )
        store = prepare_store(
            rows,
            patching,
            cache=cache,
            workers=options.num_workers,
            device=device,
            ranks=ranks,
        )
        if ranks.is_main:
            show_candidates(store, rows, experiment)
        if not options.dry_run:
            train(store, recipe, experiment, options, device, ranks)
    stop_ranks(ranks)


def check(rows, patching, options):
    """Refuse tomograms and tilt series that do not show the same."""
    from lib.geometry.check import check_geometry

    if options.task != "simsiam2d3d":
        raise OptionError(
            "--check_geometry compares tomograms with tilt series, which only "
            "simsiam2d3d uses; give that mode and a list with tilt_path and angle_path"
        )
    check_geometry(
        rows,
        order=patching.order,
        flip_tilt_angles=patching.flip_tilt_angles,
        force=options.force,
    )


def show_candidates(store, rows, experiment):
    """Say how many candidates there are, and draw them over their tomograms."""
    from lib.inputs.tomo_io import open_tomogram
    from lib.patches.candidate_picture import draw_candidates

    left_out = sum(shard.facts["left_out"] for shard in store.shards)
    print(
        f"{len(store):,} candidates in {len(store.shards)} of {len(rows)} tomograms"
        f"{f', {left_out} more too near an edge' if left_out else ''}; "
        f"{store.nbytes / 1e9:.2f} GB of patches"
    )
    patching = store.options
    for shard in store.shards:
        name = shard.facts["name"]
        volume = open_tomogram(shard.facts["rec_path"], shard.facts["order"])
        draw_candidates(
            experiment.candidate_picture(name),
            volume.array,
            shard.coords,
            name=name,
            box=patching.box,
            diameter=patching.dog_diameter,
            sigmas=patching.sigmas,
            z_step=2 if patching.compress else 1,
        )
    print(f"candidates drawn in {experiment.candidate_picture('*')}")


def train(store, recipe, experiment, options, device, ranks):
    """Train on the patches of a store and say how it went."""
    from lib.training.checkpoints import load_checkpoint, restore_weights
    from lib.training.logger import write_options
    from lib.training.models import build_model, init_small, load_pretrained_trunk
    from lib.training.schedule import Schedule
    from lib.training.trainer import Trainer

    model = build_model(options.arch, mode=options.task, dim=options.head_conv)
    if recipe.small_init:
        init_small(model)
    if options.load_model is not None:
        start = str(options.load_model)
        restore_weights(model, load_checkpoint(start)["state_dict"], start)
    elif not options.resume:
        start = load_pretrained_trunk(model, options.pretrained_model)
    else:
        start = str(experiment.checkpoint("last"))
    batch_size = min(options.batch_size, len(store))
    if batch_size < options.batch_size and ranks.is_main:
        print(f"only {len(store)} candidates: --batch_size shrinks to {batch_size}")
    mean, std = store.normalisation()
    memory = {
        "seed": options.seed,
        "normalisation": {"mean": mean, "std": std},
        "orders": sorted({shard.facts["order"] for shard in store.shards}),
        "options": {
            **asdict(store.options),
            "arch": options.arch,
            "head_conv": options.head_conv,
            "recipe": options.recipe,
            "exp_id": options.exp_id,
        },
    }
    if ranks.is_main:
        facts = {"device": device, "start": start, "candidates": len(store)}
        facts["order"] = ",".join(memory["orders"])
        facts |= {k: getattr(store.options, k) for k in recipe.patching[options.task]}
        write_options(experiment.options, vars(options), facts)
    trainer = Trainer(
        model,
        store,
        recipe,
        Schedule(
            epochs=options.num_epochs,
            batch_size=batch_size,
            lr=options.lr,
            keep_every=options.val_intervals,
            keep_all=options.save_all,
        ),
        experiment,
        memory,
        device=device,
        precision=options.precision,
        ranks=ranks,
        compiled=options.compile,
    )
    if model.recompute and ranks.is_main:
        print(
            f"a step of --batch_size {batch_size} would keep "
            f"{trainer.step_bytes / 1e9:.1f} GB: the first layers are computed twice "
            "instead, to the same result; a smaller batch is faster"
        )
    if options.resume:
        trainer.resume()
    try:
        health = trainer.run()
    except KeyboardInterrupt:
        raise TrainingError(
            f"interrupted; {trainer.state.epoch} of {options.num_epochs} epochs are "
            f"kept in {experiment.checkpoint('last')}: go on with the same command "
            "and --resume"
        ) from None
    if ranks.is_main:
        print(f"trained {trainer.state.epoch} epochs; {health.message}")
        print(f"models and log: {experiment.root}")


if __name__ == "__main__":
    run_script(main)
