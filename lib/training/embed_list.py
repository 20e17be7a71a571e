"""Embed the candidates of an image list: the work of the inference scripts."""

from lib.artifacts import ExperimentDir
from lib.errors import warn
from lib.geometry.check import check_tomograms
from lib.inputs.image_list import find_image_list, read_image_list
from lib.patches.preparation import prepare_store, store_folder
from lib.system.preflight import check_environment
from lib.system.ranks import end_distributed, init_distributed
from lib.system.runtime import choose_device, seed_everything
from lib.training.inference import TrainedRun, embed
from lib.training.resume import warn_of_voxels


def embed_image_list(options, given, *, project):
    """Embed the candidates of an image list; write ``all_output_info.npz``.

    Parameters
    ----------
    options : namespace
        What ``opts.embed_options`` returns.
    given : dict
        Patch options of the command line, only those that were given.
    project : Path
        Folder that relative paths of the list start from.
    """
    run = TrainedRun(
        options.load_model,
        mode=options.task,
        given=given,
        arch=options.arch,
        voxel_size=options.voxel_size,
    )
    tomograms = read_image_list(
        find_image_list(options.img_txt, project),
        project=project,
        needs_tilts=run.patching.needs_tilts,
        order=run.patching.order,
        order_is_given=run.order_was_told,
        voxel_size=run.voxel_size,
    )
    ranks = init_distributed()
    experiment = ExperimentDir.of(options.exp_dir, options.dataset, options.exp_id)
    check_environment(
        {experiment.root: "--exp_dir or --exp_id"},
        cache=options.cache_dir or options.exp_dir,
        maps=True,
        quiet=not ranks.is_main,
    )
    if ranks.is_main and not run.voxel_size:
        warn_of_voxels(run.record, {found.name: found for found in tomograms})
    device = choose_device(options.gpus, ranks)
    seed_everything(options.seed)
    if ranks.is_main and not run.record.health.is_good:
        warn(run.record.health.message)
    folder = store_folder(
        options.exp_dir,
        cache_dir=options.cache_dir,
        no_cache=options.no_cache,
        ranks=ranks,
    )
    with folder as cache:
        if ranks.is_main:
            check_tomograms(
                tomograms,
                flip_tilt_angles=run.patching.flip_tilt_angles,
                bright=run.patching.bright,
                force=options.force,
                cache=cache,
            )
        store = prepare_store(
            tomograms,
            run.patching,
            cache=cache,
            workers=options.num_workers,
            device=device,
            ranks=ranks,
            embedded_only=True,
        )
        table = embed(
            run,
            store,
            experiment.embeddings,
            batch_size=options.batch_size,
            device=device,
            # bf16 loses the third digit, so inference uses it only if asked to.
            precision="fp32" if options.precision == "auto" else options.precision,
            ranks=ranks,
            exp_id=options.exp_id,
        )
    if table is not None:
        print(f"{len(table):,} candidates embedded: {experiment.embeddings}")
    end_distributed(ranks)
