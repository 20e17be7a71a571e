"""Embed the candidates of an image list: the work of the inference scripts."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class EmbeddingJob:
    """What is embedded, with what, and where the table goes.

    Attributes
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
    cache_dir : path-like or None
        Folder of the cache; for None in `exp_dir`.
    no_cache : bool
        Keep nothing in it after the run.
    arch : str or None
        Must be that of the checkpoint.
    voxel_size : float or None
        Of all tomograms; for None as the run or their headers have it [Angstrom].
    batch_size : int
    gpus : str
        See `lib.system.runtime.choose_device`.
    precision : {"auto", "fp32", "bf16"}
        With ``auto``, fp32: bf16 loses the third digit.
    num_workers : int or None
        Processes that prepare tomograms.
    seed : int
    force : bool
        Continue if the geometry check finds no agreement.
    own : lib.run.candidate_options.CoordinateSettings
        Coordinates to embed in place of those of the search, or to leave out.
    """

    img_txt: object
    load_model: object
    exp_dir: object
    exp_id: str
    mode: str
    given: dict
    project: Path
    cache_dir: object
    no_cache: bool
    arch: str | None
    voxel_size: float | None
    batch_size: int
    gpus: str
    precision: str
    num_workers: int | None
    seed: int
    force: bool
    own: CoordinateSettings


def embed_image_list(job):
    """Embed the candidates of an image list; write ``all_output_info.npz``.

    Parameters
    ----------
    job : EmbeddingJob
    """
    run = TrainedRun(
        job.load_model,
        mode=job.mode,
        given=job.given,
        arch=job.arch,
        voxel_size=job.voxel_size,
    )
    experiment = ExperimentDir.of(job.exp_dir, job.mode, job.exp_id)
    _, tomograms = read_run_list(
        job.img_txt,
        job.project,
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
        cache=job.cache_dir or Path(job.exp_dir) / CACHE_NAME,
        maps=True,
        quiet=not ranks.is_main,
    )
    if ranks.is_main:
        compare_with_run(run, tomograms, job.voxel_size)
    own = read_own(tomograms, job.own, run.patching, quiet=not ranks.is_main)
    check_not_replaced(experiment.embeddings, own.record(EMBEDDING))
    table = _embed_tomograms(job, run, own.tomograms(tomograms), own, experiment, ranks)
    if table is not None:
        print(f"{len(table):,} candidates embedded: {experiment.embeddings}")
    end_distributed(ranks)


def _embed_tomograms(job, run, tomograms, own, experiment, ranks):
    """Return the table, which only the main process has."""
    device = choose_device(job.gpus, ranks)
    seed_everything(job.seed)
    if ranks.is_main and not run.record.health.is_good:
        warn(run.record.health.message)
    folder = cache_folder(
        job.exp_dir, cache_dir=job.cache_dir, no_cache=job.no_cache, ranks=ranks
    )
    with folder as cache:
        if ranks.is_main:
            check_tomograms(
                tomograms,
                flip_tilt_angles=run.patching.flip_tilt_angles,
                bright=run.patching.bright,
                force=job.force,
                cache=cache,
            )
        store = prepare_store(
            tomograms,
            run.patching,
            cache=cache,
            workers=job.num_workers,
            device=device,
            ranks=ranks,
            embedded_only=True,
            chosen=own.chosen,
        )
        return embed(
            run,
            store,
            experiment.embeddings,
            batch_size=job.batch_size,
            device=device,
            precision="fp32" if job.precision == "auto" else job.precision,
            ranks=ranks,
            exp_id=job.exp_id,
            own=own,
        )


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
