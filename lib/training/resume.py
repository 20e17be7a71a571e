"""What a resumed run takes from its checkpoint, and what must not differ."""

from lib.errors import ArtifactError, TrainingError, warn
from lib.training.checkpoints import agree, load_checkpoint
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
    agree(fixed, remembered, path, "start a run of its own with another --exp_id")
    changed = {key: typed[key] for key in MAY_CHANGE if key in typed}
    epochs = {**remembered, **changed}.get("num_epochs")
    if epochs != remembered.get("num_epochs", epochs):
        warn(
            f"--num_epochs {epochs}, {remembered['num_epochs']} in training: from "
            f"epoch {content['epoch'] + 1} on, the learning rate follows the new length"
        )
    return {**chosen, **remembered, **changed}


def check_same_data(content, path, store):
    """Refuse to resume on other tomograms than those of the run.

    Parameters
    ----------
    content : dict
        Of `load_run`.
    path : path-like
        Named in messages.
    store : lib.patches.store.PatchStore
        To train on.

    Raises
    ------
    TrainingError
        When the tomograms differ. Another number of candidates is a warning: a GPU
        and a CPU may disagree on one in a thousand.
    """
    noted = content.get("data")
    if noted is None:  # an earlier version's
        return
    now = data_of(store)
    if now["tomograms"] != noted["tomograms"]:
        raise TrainingError(
            f"{path} was trained on {_some(noted['tomograms'])}, and the image list "
            f"now gives {_some(now['tomograms'])}; resume with the list of that run, "
            "or start another one with --exp_id and --load_model"
        )
    if now["candidates"] != noted["candidates"]:
        warn(
            f"{path} was trained on {noted['candidates']:,} candidates, now there are "
            f"{now['candidates']:,}: a tomogram has changed, or another device searched"
        )


def data_of(store):
    """Return what a checkpoint notes of the patches that its run was trained on."""
    names = [shard.facts["name"] for shard in store.shards]
    return {"tomograms": names, "candidates": len(store)}


def _some(names):
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} tomograms ({', '.join(names[:3])}{more})"
