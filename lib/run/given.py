"""What a command was given, as typed options: for its record, and for ``opts.yaml``.

Everything here reads an object with an attribute for each option of the command line,
``typed`` (the names of those that stand there) and ``task`` (the mode).
"""

from pathlib import Path

from lib.run.candidate_options import CoordinateSettings, PatchSettings
from lib.run.config import options_of
from lib.run.limits import Numbers
from lib.run.options import ModelOptions, RunOptions, TrainingOptions, named

COORDINATE_FILES = ("coords", "exclude_coords")
WARM = 0.05  # share of the epochs, of --warm


def run_options(options):
    """Return what a run is trained with, as its record keeps it.

    Returns
    -------
    chosen : lib.run.options.RunOptions
        Every option, with defaults; None where the recipe or the files decide.
    typed : lib.run.options.RunOptions
        Those that stand on the command line, or in the file of --config; else None.
    """
    given = _given(options)
    typed = {key: given[key] for key in given if named(key) in options.typed}
    return RunOptions.of({"mode": options.task, **given}), RunOptions.of(typed)


def inference_keywords(options):
    """Return the keywords of `lib.training.embed_list.EmbeddingJob`.

    Only the folder of the project is left to the script.
    """
    return {
        "img_txt": options.img_txt,
        "load_model": options.load_model,
        "exp_dir": options.exp_dir,
        "exp_id": options.exp_id,
        "mode": options.task,
        "given": patch_options(options),
        "cache_dir": options.cache_dir,
        "no_cache": options.no_cache,
        "arch": options.arch,
        "voxel_size": options.voxel_size,
        "batch_size": options.batch_size,
        "gpus": options.gpus,
        "precision": options.precision,
        "num_workers": options.num_workers,
        "seed": options.seed,
        "force": options.force,
        "own": own_coordinates(options),
    }


def patch_options(options):
    """Return what an inference was given of candidates and patches, by field."""
    given = _given(options)
    names = {field.name for field in options_of(PatchSettings).values()}
    names.add("particle_diameter")
    return {key: given[key] for key in given if key in names}


def _given(options):
    """Return the values of the command line, by their fields in `RunOptions`."""
    groups = (RunOptions, PatchSettings, ModelOptions, TrainingOptions)
    values = {}
    for name, field in (pair for cls in groups for pair in options_of(cls).items()):
        value = getattr(options, name, None)
        if value is not None:
            limits = field.metadata["about"].limits
            parse = limits.parse if isinstance(limits, Numbers) else None
            values[field.name] = parse(value) if parse else value
    if "warm" in values:
        values["warm"] *= WARM
    return values


def own_coordinates(options):
    """Return the files of coordinates of a training or an inference."""
    values = {name: getattr(options, name) for name in options_of(CoordinateSettings)}
    files = {name: tuple(values[name] or ()) for name in COORDINATE_FILES}
    return CoordinateSettings(**values | files)


def config_of(options):
    """Return the options of a training as ``opts.yaml`` keeps them."""
    listed = options.img_txt.resolve() if options.img_txt.exists() else options.img_txt
    values = {"mode": options.task, "train_img_txt": listed, **vars(options)}
    for name in COORDINATE_FILES:
        if values[name] is not None:
            values[name] = [str(Path(file).resolve()) for file in values[name]]
    return {k: values[k] for k in values if k not in ("task", "img_txt", "typed")}
