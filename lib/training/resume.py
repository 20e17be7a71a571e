"""What a resumed run takes from its checkpoint, and what must not differ."""

from lib.errors import ArtifactError, TrainingError, warn
from lib.training.checkpoints import agree, comparable_orders, load_checkpoint
from lib.training.recipes import find_recipe

# A run may be made longer, and kept more or less often: no finished epoch changes.
# No patch depends on the voxel size either.
MAY_CHANGE = ("num_epochs", "val_intervals", "save_all", "voxel_size")


def load_run(path):
    """Read the checkpoint from which a run is resumed.

    Parameters
    ----------
    path : path-like
        ``model_last.pth``.

    Returns
    -------
    dict
        See `lib.training.checkpoints.load_checkpoint`, with ``history``.

    Raises
    ------
    ArtifactError
        When it does not exist or cannot be read.
    TrainingError
        When it does not remember its run.
    """
    if not path.is_file():
        raise ArtifactError(
            f"--resume: {path} does not exist; no epoch was finished. Start without "
            "--resume"
        )
    content = load_checkpoint(path)
    if "history" not in content:
        raise TrainingError(
            f"{path} does not remember its run, so that none can be resumed from it; "
            "start from its weights with --load_model"
        )
    return content


def resumed_options(content, path, *, chosen, typed):
    """Return the options of a resumed run: those it was trained with.

    Parameters
    ----------
    content : dict
        Of `load_run`.
    path : path-like
        Named in messages.
    chosen : dict
        Every option of the command line, defaults included: used for what an earlier
        version did not remember.
    typed : dict
        Those that stand on the command line; they must agree, but for `MAY_CHANGE`.

    Returns
    -------
    dict

    Raises
    ------
    OptionError
        Naming every option that differs, with both values.
    """
    remembered = {**content["options"], "seed": content["seed"]}
    for options in (remembered, typed):
        if "recipe" in options:
            options["recipe"] = find_recipe(options["recipe"]).name
    fixed = {key: value for key, value in typed.items() if key not in MAY_CHANGE}
    if fixed.get("precision") == "auto":  # whatever the run took
        del fixed["precision"]
    fixed, noted = comparable_orders(fixed, remembered, content)
    agree(fixed, noted, path, "start a run of its own with another --exp_id")
    changed = {key: typed[key] for key in MAY_CHANGE if key in typed}
    epochs = {**remembered, **changed}.get("num_epochs")
    if epochs != remembered.get("num_epochs", epochs):
        warn(
            f"--num_epochs {epochs}, {remembered['num_epochs']} in training: from "
            f"epoch {content['epoch'] + 1} on, the learning rate follows the new length"
        )
    return {**chosen, **remembered, **changed}
