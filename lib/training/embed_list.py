"""Embed the candidates of an image list: the work of the inference scripts."""

from pathlib import Path

from lib.artifacts import EmbeddingTable, ExperimentDir
from lib.coordinates.given import read_own
from lib.errors import ArtifactError, warn
from lib.geometry.check import check_tomograms
from lib.patches.cache import CACHE_NAME, cache_folder
from lib.patches.preparation import prepare_store
from lib.run.candidate_options import CoordinateSettings
from lib.run.history import EMBEDDING
from lib.system.preflight import check_environment
from lib.system.ranks import end_distributed, init_distributed
from lib.system.runtime import choose_device, seed_everything
from lib.training.inference import TrainedRun, embed
from lib.training.run_tomograms import (
    read_run_list,
    tell_of_other_files,
    warn_of_header_voxels,
    warn_of_voxels,
)


def embed_image_list(
    img_txt,
    load_model,
    *,
    exp_dir,
    exp_id,
    mode,
    given,
    project,
    cache_dir=None,
    no_cache=False,
    arch=None,
    voxel_size=None,
    batch_size=256,
    gpus="0",
    precision="auto",
    num_workers=None,
    seed=42,
    force=False,
    own=None,
):
    """Embed the candidates of an image list; write ``all_output_info.npz``.

    Parameters
    ----------
    img_txt : path-like
        Image list, or folder of tomograms; see
        `lib.artifacts.folder_list.find_list_or_folder`.
    load_model : path-like
        Checkpoint.
    exp_dir : path-like
        Folder of all experiments.
    exp_id : str
        Experiment in which the table is written.
    mode : str
        Key of `lib.modes.MODES`.
    given : dict
        Patch options of the command line, and ``particle_diameter``; only those that
        were given.
    project : Path
        Folder that relative paths of the list start from.
    cache_dir : path-like, optional
        Folder of the cache; by default in `exp_dir`.
    no_cache : bool
        Keep nothing in it after the run.
    arch : str, optional
        Must be that of the checkpoint.
    voxel_size : float, optional
        Of all tomograms; by default as the run or their headers have it [Angstrom].
    batch_size : int
    gpus : str
        See `lib.system.runtime.choose_device`.
    precision : {"auto", "fp32", "bf16"}
        With ``auto``, fp32: bf16 loses the third digit.
    num_workers : int, optional
        Processes that prepare tomograms.
    seed : int
    force : bool
        Continue if the geometry check finds no agreement.
    own : lib.run.candidate_options.CoordinateSettings, optional
        Coordinates to embed in place of those of the search, or to leave out.
    """
    run = TrainedRun(
        load_model,
        mode=mode,
        given=given,
        arch=arch,
        voxel_size=voxel_size,
    )
    experiment = ExperimentDir.of(exp_dir, mode, exp_id)
    _, tomograms = read_run_list(
        img_txt,
        project,
        experiment.embedding_list,
        run.patching,
        order_is_given=run.order_was_told,
        voxel_size=run.voxel_size,
    )
    fitted = run.fit_to_particle(tomograms)
    ranks = init_distributed()
    if fitted and ranks.is_main:
        print(fitted)
    check_environment(
        {experiment.root: "--exp_dir or --exp_id"},
        cache=cache_dir or Path(exp_dir) / CACHE_NAME,
        maps=True,
        quiet=not ranks.is_main,
    )
    if ranks.is_main:
        compare_with_run(run, tomograms, voxel_size)
    own = read_own(
        tomograms,
        own or CoordinateSettings(),
        run.patching,
        quiet=not ranks.is_main,
    )
    check_not_replaced(experiment.embeddings, own.record(EMBEDDING))
    tomograms = own.tomograms(tomograms)
    device = choose_device(gpus, ranks)
    seed_everything(seed)
    if ranks.is_main and not run.record.health.is_good:
        warn(run.record.health.message)
    folder = cache_folder(
        exp_dir,
        cache_dir=cache_dir,
        no_cache=no_cache,
        ranks=ranks,
    )
    with folder as cache:
        if ranks.is_main:
            check_tomograms(
                tomograms,
                flip_tilt_angles=run.patching.flip_tilt_angles,
                bright=run.patching.bright,
                force=force,
                cache=cache,
            )
        store = prepare_store(
            tomograms,
            run.patching,
            cache=cache,
            workers=num_workers,
            device=device,
            ranks=ranks,
            embedded_only=True,
            chosen=own.chosen,
        )
        table = embed(
            run,
            store,
            experiment.embeddings,
            batch_size=batch_size,
            device=device,
            precision="fp32" if precision == "auto" else precision,
            ranks=ranks,
            exp_id=exp_id,
            own=own,
        )
    if table is not None:
        print(f"{len(table):,} candidates embedded: {experiment.embeddings}")
    end_distributed(ranks)


def check_not_replaced(path, files):
    """Reject coordinates that would replace the table of other candidates.

    What was picked from that table is known by its rows.

    Parameters
    ----------
    path : Path
        Of the table that will be written.
    files : tuple of lib.run.history.GivenFile
        Of the coordinates; without any, the search decides and a table may be replaced.

    Raises
    ------
    ArtifactError
        If there is one that was embedded without them, or with others.
    """
    if not files or not path.exists():
        return
    try:
        earlier = EmbeddingTable.load(path).record.lineage.given
    except ArtifactError:  # damaged: nothing was picked from it
        return
    if _used(earlier) != _used(files):
        raise ArtifactError(
            f"{path} holds other candidates than those of this command's --coords and "
            "--exclude_coords, and perhaps you picked from them: choose another "
            "--exp_id, or move it away"
        )


def _used(files):
    """Return which files decided the candidates of an embedding."""
    own = [file for file in files if file.step == EMBEDDING and not file.generation]
    return {(file.use, file.digest) for file in own}


def compare_with_run(run, tomograms, voxel_size):
    """Say what is different about the tomograms at hand and those of the training.

    Parameters
    ----------
    run : TrainedRun
    tomograms : list of Tomogram
    voxel_size : float or None
        As given on this command line [Angstrom].
    """
    found = {tomogram.name: tomogram for tomogram in tomograms}
    if not run.voxel_size:
        warn_of_voxels(run.record, found)
    elif voxel_size is None:
        warn_of_header_voxels(run.record, found)
    tell_of_other_files(run.record, found)
