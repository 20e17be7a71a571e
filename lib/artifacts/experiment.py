"""Claiming an experiment folder: one writer at a time, nothing lost by accident."""

from contextlib import contextmanager

from lib.artifacts import remove_at_once, remove_partial_files
from lib.artifacts.locks import locked
from lib.errors import ArtifactError, user_files
from lib.system.ranks import ALONE


@contextmanager
def experiment_lock(experiment, ranks=ALONE):
    """Hold the lock of an experiment folder while the block runs.

    What a killed process has left half-written there is removed first. See
    `lib.artifacts.locks` for how long a process holds it that dies.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    ranks : lib.system.ranks.Ranks
        The main one holds the lock for all.

    Raises
    ------
    ResourceError
        When another process writes into the folder.
    """
    if not ranks.is_main:
        yield
        return
    with user_files():
        experiment.root.mkdir(parents=True, exist_ok=True)
    with locked(experiment.lock, advice="wait for it, or choose another --exp_id"):
        remove_partial_files(experiment.root)
        yield


def check_folder(experiment, *, overwrite):
    """Refuse to train over an experiment that holds a model, unless asked to.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    overwrite : bool
    """
    models = list(experiment.root.glob("model_*.pth"))
    if models and not overwrite:
        raise ArtifactError(
            f"{experiment.root} holds a trained model ({models[0].name}): go on with "
            "--resume, replace it with --overwrite, or choose another --exp_id"
        )


def clear_folder(experiment):
    """Remove what an earlier training, and the steps after it, have written.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
        Exports, and files that no script of ours writes, stay.

    Returns
    -------
    list of str
        Names of what was removed.
    """
    models = sorted(experiment.root.glob("model_*.pth"))
    removed = []
    for path in (*models, *_written_after_training(experiment)):
        with user_files():
            if remove_at_once(path):
                removed.append(path.name)
    return removed


def _written_after_training(experiment):
    """Return what belongs to the model that goes; exports of people stay."""
    return (
        experiment.log,
        experiment.options,
        experiment.config,
        experiment.embeddings,
        experiment.colors,
        experiment.color_record,
        experiment.map_picture,
        experiment.label_picture,
        experiment.interactive_table,
        experiment.patch_pictures,
        *experiment.root.glob(experiment.gray_volume("*").name),
        *experiment.root.glob(experiment.heatmap_volume("*").name),
        *experiment.root.glob(experiment.blended_picture("*").name),
        *experiment.root.glob(experiment.candidate_picture("*").name),
    )
