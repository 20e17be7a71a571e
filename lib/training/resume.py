"""What a resumed or inferring run must have in common with its checkpoint."""

from lib.errors import (
    ArtifactError,
    OptionError,
    TrainingError,
    warn,
)
from lib.run.options import RunOptions, named
from lib.training.checkpoints import load_checkpoint
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
    lib.training.checkpoints.Checkpoint
        With its ``history``.

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
    checkpoint = load_checkpoint(path)
    if checkpoint.history is None:
        raise TrainingError(
            f"{path} does not remember its run, so that none can be resumed from it; "
            "start from its weights with --load_model"
        )
    return checkpoint


def resumed_options(record, path, *, chosen, typed):
    """Return the options of a resumed run: those it was trained with.

    Parameters
    ----------
    record : lib.run.record.RunRecord
        Of the checkpoint.
    path : path-like
        Named in messages.
    chosen : lib.run.options.RunOptions
        Of the command line, defaults included: used for what the record lacks.
    typed : lib.run.options.RunOptions
        Those that stand on the command line; they must agree, but for `MAY_CHANGE`.

    Returns
    -------
    lib.run.options.RunOptions

    Raises
    ------
    OptionError
        Naming every option that differs, with both values.
    """
    noted, typed = _by_field(record.options), _by_field(typed)
    fixed = {key: value for key, value in typed.items() if key not in MAY_CHANGE}
    if fixed.get("precision") == "auto":  # whatever the run took
        del fixed["precision"]
    agreed_options(fixed, record, path, "start a run of its own with another --exp_id")
    check_diameter(typed, record, path, "start a run of its own with another --exp_id")
    changed = {key: typed[key] for key in MAY_CHANGE if key in typed}
    epochs = {**noted, **changed}.get("num_epochs")
    if epochs != noted.get("num_epochs", epochs):
        warn(
            f"--num_epochs {epochs}, {noted['num_epochs']} in training: from epoch "
            f"{record.lineage.epoch + 1} on, the learning rate follows the new length"
        )
    return RunOptions.of({**chosen.given_values(), **noted, **changed})


def check_diameter(given, record, path, advice="name another --load_model"):
    """Reject the diameter of particles for a run that was trained without.

    Parameters
    ----------
    given, record, path, advice
        As of `agreed_options`.

    Raises
    ------
    OptionError
        Naming the options by which it was trained.
    """
    noted = _by_field(record.options)
    if "particle_diameter" not in given or "box" not in noted:
        return
    if "particle_diameter" not in noted:
        raise OptionError(
            f"{path} was trained without --particle_diameter, by --bbox "
            f"{noted['box']} and --dog {as_typed(noted.get('sigmas'))}: leave it "
            f"out, or {advice}"
        )


def agreed_options(given, record, path, advice="name another --load_model"):
    """Return the options of training, and what is given beside them.

    Parameters
    ----------
    given : dict
        Of this command line, by field; only what was given.
    record : lib.run.record.RunRecord
        Of the training.
    path : path-like
        Named in the message.
    advice : str
        What else the user can do, for the message.

    Returns
    -------
    dict
        By field.

    Raises
    ------
    OptionError
        Naming every option that differs, with both values.
    """
    given, noted = _comparable_orders(given, _by_field(record.options), record)
    differing = [
        f"--{named(key)} {as_typed(value)} given, {as_typed(noted[key])} in training"
        for key, value in given.items()
        if key in noted and noted[key] != value
    ]
    if differing:
        raise OptionError(
            f"{path} was trained otherwise: {'; '.join(differing)}. Leave the option "
            f"out, or {advice}"
        )
    return {**given, **noted}


def _by_field(options):
    """Return what is known of `RunOptions`, the recipe without an alias."""
    values = options.given_values()
    if "recipe" in values:
        values["recipe"] = find_recipe(values["recipe"]).name
    return values


def _comparable_orders(given, noted, record):
    """Return the options as given, and as in training, without an ``auto`` in one.

    It names no order. When it is given, what the run noted stands above a guess; when
    it was used in training, what came of it is in the record (not in older ones:
    there the given order is believed).
    """
    order, trained = given.get("order"), noted.get("order")
    if order is None or trained is None or order == trained:
        return given, noted
    if order == "auto":
        return {key: given[key] for key in given if key != "order"}, noted
    if trained == "auto":
        found = record.orders or (order,)
        agreed = order if order in found else " or ".join(found)
        return given, {**noted, "order": agreed}
    return given, noted


def check_same_files(record, path, files):
    """Reject other files of coordinates than those of the run that is resumed.

    Parameters
    ----------
    record : lib.run.record.RunRecord
        Of the checkpoint.
    path : path-like
        Named in messages.
    files : tuple of lib.run.history.GivenFile
        Of this command line.

    Raises
    ------
    OptionError
    """
    then = [file for file in record.lineage.given if not file.generation]
    now = [file for file in files if not file.generation]
    if {(f.use, f.digest) for f in then} == {(f.use, f.digest) for f in now}:
        return
    said = " ".join(f"--{file.use} {file.path}" for file in then) or "the search alone"
    raise OptionError(
        f"{path} was trained on the candidates of {said}, and this command gives "
        "others; give the same, unchanged files again, or start a run of its own with "
        "another --exp_id and --load_model"
    )


def as_typed(value):
    """Return the value of an option as people type it."""
    return ",".join(f"{v:g}" for v in value) if isinstance(value, tuple) else value
