"""The command lines of all scripts, made from the fields of `lib.run`.

Only this module knows argparse. It imports nothing heavy, so that ``--help`` answers at
once.
"""

import argparse
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lib import __version__
from lib.modes import MODES
from lib.run.candidate_options import CoordinateSettings, PatchSettings
from lib.run.command_options import (
    CacheOptions,
    EmbedOptions,
    ExperimentOptions,
    ListOptions,
    MachineOptions,
    TrainOptions,
)
from lib.run.config import options_of, read_config
from lib.run.given import own_coordinates
from lib.run.later_steps import OverlayOptions, PlotOptions, SessionOptions
from lib.run.limits import Numbers, UnfitError
from lib.run.options import ModelOptions, RunOptions, TrainingOptions
from lib.run.paths import as_path, find_path, path_of_list
from lib.run.picking_options import ExportOptions, PickingOptions

PROJECT = Path(__file__).resolve().parent
FIRST = ("bbox", "dog")  # of the candidates, what depends on the particle
BY_DIAMETER = (*FIRST, "dog_diameter", "dog_boundary", "dog_std_multiplier")
APART = ("train_img_txt", "load_model")  # of `TrainOptions`, in other groups
RUN = "exp/simsiam2d3d/test_sample"  # of the documented commands
KINDS = {
    "path": partial(find_path, project=PROJECT),
    "file": lambda text: str(find_path(text, PROJECT)),  # opts.txt shows it as it is
    "plain path": as_path,
    "new list": partial(path_of_list, project=PROJECT),
    "checkpoint": lambda text: text if text == "builtin" else find_path(text, PROJECT),
    "names": lambda text: text.split(","),
}


def train_options(arguments=None):
    """Parse the command line of ``simsiam_main.py``."""
    parser = _Parser(
        "Train the embedding of the patches in a list of tomograms.",
        "MODE --train_img_txt LIST [--exp_id NAME] [--bbox 36] [--dog 3,5] ...",
        "simsiam2d3d --num_epochs 300 --exp_id test_sample --bbox 36 \\\n"
        "  --dataset simsiam2d3d --arch simsiam2d3d_18 --lr 1e-3 \\\n"
        "  --train_img_txt sample_train_explore_img.txt --batch_size 256 \\\n"
        "  --val_intervals 20 --save_all --gauss 0.8 --dog 3,5",
    )
    first = parser.add_argument_group("main options")
    _add_mode(first, tuple(MODES))
    _add_fields(first, TrainOptions, ("train_img_txt",))
    _add_fields(first, ExperimentOptions, ("exp_id",))
    _add_fields(first, RunOptions, ("particle_diameter",))
    _add_fields(first, PatchSettings, FIRST)
    patches = parser.add_argument_group("candidates and patches")
    _add_fields(patches, PatchSettings, but=FIRST)
    parser.add_group("coordinates of your own", (CoordinateSettings,))
    parser.add_group("model", (ModelOptions,), (TrainOptions, ("load_model",)))
    training = parser.add_argument_group("training")
    _add_fields(training, TrainingOptions, but=("precision",))
    _add_fields(training, TrainOptions, but=APART)
    _add_folders(parser)
    _add_machine(parser)
    parser.add_help_last()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    typed = _typed(parser, arguments)
    words = []
    if "config" in typed:
        words = _config_words(parser, typed["config"], typed)
    options = _finish(parser, parser.parse_args([*words, *arguments]))
    if options.img_txt is None:
        parser.error("the following arguments are required: --train_img_txt")
    options.arch = options.arch or MODES[options.task].architectures[0]
    _check_start(parser, options, typed)
    options.typed = {*typed, *_typed(parser, [options.task, *words])}
    return options


def _check_start(parser, options, typed):
    """Reject options that contradict each other about what the run starts from."""
    if options.resume and options.overwrite:
        parser.error("--resume goes on with a run, --overwrite replaces it: give one")
    if options.resume:
        if "load_model" in typed:
            parser.error("--resume goes on from model_last.pth; leave --load_model out")
        options.load_model = None  # of --config: what the run started from
    if str(options.load_model) == "builtin" and not options.load_model.exists():
        parser.error(
            "--load_model builtin embeds without training, in simsiam_test_hm_2d3d.py "
            "and simsiam_test_hm_3d.py; training starts from these weights with "
            "--pretrained_model builtin, the default"
        )
    pretrained = options.pretrained_model not in (None, "none")
    pretrained = "pretrained_model" in typed or pretrained
    if options.load_model is not None and pretrained:
        parser.error(
            "--load_model and --pretrained_model both name the weights to start from: "
            "give one"
        )


def cache_options(arguments):
    """Parse the command line of ``simsiam_main.py cache``."""
    parser = _Parser(
        "List the candidates and patches that runs keep for later ones, or free them.",
        "cache [--exp_dir DIR] [--cache_dir DIR] [--clear] ...",
        "cache --clear --unused_days 30",
    )
    _add_fields(parser, ExperimentOptions, ("exp_dir",))
    _add_fields(parser, CacheOptions)
    options = parser.read(arguments)
    chosen = options.outdated or options.unused_days is not None
    if chosen and not options.clear:
        parser.error("--outdated and --unused_days choose what --clear removes")
    return options


def list_options(arguments):
    """Parse the command line of ``simsiam_main.py --make_list``."""
    parser = _Parser(
        "Find the tomograms below folders, with their aligned tilt series and angles, "
        "and write their image list.",
        "[MODE] --make_list FOLDER [FOLDER ...] --output LIST",
        "simsiam2d3d --make_list /data/grid1 /data/grid2 --output data/my_list.txt",
    )
    parser.add_argument(
        "task",
        metavar="MODE",
        nargs="?",
        choices=tuple(MODES),
        help="simsiam2d3d: only tomograms with an aligned tilt series of their size; "
        "without it all tomograms are listed",
    )
    _add_fields(parser, ListOptions)
    return parser.read(arguments)


def embed_options(mode, arguments=None):
    """Parse the command line of ``simsiam_test_hm_2d3d.py`` or ``_3d.py``."""
    arch = MODES[mode].architectures[0]
    parser = _Parser(
        "Embed every candidate of a list of tomograms.",
        f"{mode} --test_img_txt LIST --load_model MODEL [--exp_id NAME] ...",
        f"{mode} --exp_id test_sample --bbox 36 --dataset {mode} \\\n"
        f"  --arch {arch} --test_img_txt sample_train_explore_img.txt \\\n"
        f"  --load_model exp/{mode}/test_sample/model_300.pth --gauss 0.8 --dog 3,5",
    )
    first = parser.add_argument_group("main options")
    _add_mode(first, (mode,))
    _add_fields(first, EmbedOptions, but=("batch_size",))
    _add_fields(first, ExperimentOptions, ("exp_id",))
    _add_fields(first, EmbedOptions, ("batch_size",))
    inherited = parser.add_argument_group(
        "candidates, patches and network",
        "read from the checkpoint; when given again they must agree",
    )
    _add_fields(inherited, RunOptions, ("particle_diameter",), inherited=True)
    _add_fields(inherited, PatchSettings, inherited=True)
    _add_fields(inherited, ModelOptions, ("arch",), inherited=True)
    parser.add_group("coordinates of your own", (CoordinateSettings,))
    _add_folders(parser)
    parser.add_group("checks", (TrainOptions, ("force",)))
    _add_machine(parser)
    options = parser.read(arguments)
    if options.load_model is None:
        parser.error(
            "--load_model is missing: name a checkpoint of simsiam_main.py, for "
            "example exp/simsiam3d/test_sample/model_best.pth, or builtin"
        )
    return _finish(parser, options)


def plot_options(arguments=None):
    """Parse the command line of ``plot_2d.py``."""
    parser = _Parser(
        "Cluster the embedding, map it to 2-D and draw the maps.",
        "--input all_output_info.npz [--n_cluster 48] ...",
        f"--input {RUN}/all_output_info.npz --n_cluster 48 \\\n"
        f"  --num_neighbor 40 --mode umap --path {RUN}/ --min_dist_vis 1.3e-3",
    )
    _add_fields(parser, PlotOptions, but=("num_workers",))
    _add_fields(parser, RunOptions, ("seed",))
    _add_fields(parser, PlotOptions, ("num_workers",))
    options = parser.read(arguments)
    options.path = options.path or options.input.parent
    return options


def heatmap_options(arguments=None):
    """Parse the command line of ``visualize_3dhm.py``."""
    parser = _Parser(
        "Paint the colors of the map back into the tomograms.",
        "--input all_output_info.npz [--rec_dir FOLDER] ...",
        f"--input {RUN}/all_output_info.npz \\\n"
        f"  --color {RUN}/all_colors.npy \\\n"
        f"  --dir_simsiam {RUN}/ --rec_dir sample_data/",
    )
    _add_fields(parser, OverlayOptions)
    options = parser.read(arguments)
    _check_tomograms(parser, options)
    if options.ext is not None and options.rec_dir is None:
        parser.error(
            "--ext is the ending of the files in --rec_dir; give that folder too"
        )
    options.color = options.color or options.input.parent / "all_colors.npy"
    options.dir_simsiam = options.dir_simsiam or options.input.parent
    return options


def session_options(arguments=None):
    """Parse the command line of ``phoenix_visualization.py``."""
    parser = _Parser(
        "Open the interactive session; it stays until Ctrl-C.",
        "--input interactive_info_parquet.gzip ...",
        f"--input {RUN}/interactive_info_parquet.gzip",
    )
    _add_fields(parser, SessionOptions)
    options = parser.read(arguments)
    _check_tomograms(parser, options)
    options.allow_host = options.allow_host or ()
    return options


def _check_tomograms(parser, options):
    """Reject two answers to where the tomograms are."""
    if options.rec_dir is not None and options.image_txt is not None:
        parser.error(
            "--rec_dir and --image_txt both say where the tomograms are: give one"
        )


def coordinate_options(arguments=None):
    """Parse the command line of ``interactive_to_training_coords.py``."""
    parser = _Parser(
        "Turn picked candidates into training coordinates.",
        "--input EXPORT [EXPORT ...] --output FILE ...",
        "--input path_to_dir_of_parquets --output training_coordinates.txt",
    )
    _add_fields(parser, PickingOptions)
    _add_fields(parser, RunOptions, ("seed",))
    _add_fields(parser, ExportOptions)
    return _check_choice(parser, parser.read(arguments))


def _check_choice(parser, options):
    """Reject options that contradict each other about what is written."""
    asked = [options.like is not None, options.teach is not None, bool(options.named)]
    if sum(asked) > 1:
        parser.error("--like, --teach and --class are three ways to choose: give one")
    if any(asked[:2]) and options.top is None and options.min_score is None:
        parser.error(
            "--like and --teach score every candidate: say how many to write, with "
            "--top N or --min_score S"
        )
    return options


def _add_mode(group, modes):
    group.add_argument(
        "task",
        metavar="MODE",
        choices=modes,
        help="simsiam2d3d: tomograms and aligned tilt series, twice the signal; "
        "simsiam3d: tomograms alone",
    )


def _add_folders(parser):
    names = ("dataset", "exp_dir")
    parser.add_group("experiment", (ExperimentOptions, names))
    names = ("cache_dir", "no_cache")
    parser.add_group("data", (ExperimentOptions, names), (RunOptions, ("voxel_size",)))


def _add_machine(parser):
    parser.add_group(
        "machine",
        (MachineOptions, ("gpus",)),
        (TrainingOptions, ("precision",)),
        (RunOptions, ("seed",)),
        (MachineOptions, ("num_workers",)),
    )


class _Several(argparse.Action):
    """Takes one word or more; given again, it takes those too."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Add the words to those that were given before."""
        earlier = getattr(namespace, self.dest, None)
        earlier = earlier if isinstance(earlier, list) else []
        setattr(namespace, self.dest, [*earlier, *values])


def _check_coordinates(parser, options):
    """Reject what is said of coordinates without any, or twice."""
    own = own_coordinates(options)
    if own.exclude_distance is not None and not own.exclude_coords:
        parser.error("--exclude_distance is for --exclude_coords; give these files too")
    if own.coords_bin is not None and own.coords_voxel_size is not None:
        parser.error("--coords_bin and --coords_voxel_size say the same: give one")
    for name in ("coords_voxel_size", "coords_bin", "coords_z_axis", "coords_halved"):
        if getattr(own, name) and not (own.coords or own.exclude_coords):
            parser.error(f"--{name} is for --coords and --exclude_coords; give files")


def _add_fields(group, cls, only=None, *, but=(), inherited=False):
    """Add the options of a dataclass, as `lib.run.config.option` describes them.

    Parameters
    ----------
    group : argparse group
    cls : type
    only, but : sequence of str, optional
        Options to add, or to leave out.
    inherited : bool
        Leave out the defaults: what is not given is read from a checkpoint.
    """
    for name, field in options_of(cls).items():
        if name in but or (only is not None and name not in only):
            continue
        about = field.metadata["about"]
        default = None if inherited or about.otherwise else field.default
        default = PROJECT / "exp" if name == "exp_dir" else default
        if isinstance(default, tuple):  # opts.txt shows a list as it is typed
            default = ",".join(f"{value:g}" for value in default) or None
        stated = about.otherwise or default
        told = "" if inherited or not stated else f" (default: {stated})"
        names = [f"--{spelled}" for spelled in (name, about.alias) if spelled]
        group.add_argument(
            *names,
            default=default,
            help=about.help + told,
            required=about.required,
            **({"dest": about.dest} if about.dest else {}),
            **_takes(about),
        )


def _takes(about):
    """Return what argparse is told of the values of an option."""
    if about.kind == "flag":
        return {"action": "store_true"}
    if about.kind == "switch":
        return {"action": argparse.BooleanOptionalAction}
    told = {"metavar": about.metavar}
    if isinstance(about.limits, tuple):
        told["choices"] = about.limits
    elif about.limits is not None:
        listed = isinstance(about.limits, Numbers)
        parse = _as_typed(about.limits.parse) if listed else about.limits.parse
        told["type"] = _converter(parse)
    elif about.kind:
        told["type"] = _converter(KINDS[about.kind])
    if about.count is not None:
        told["nargs"] = about.count
    if about.repeats:
        told["action"] = {"each": "append", "all": _Several}[about.repeats]
    return told


class _Parser(argparse.ArgumentParser):
    """A parser whose help starts with what one needs, and ends with an example.

    Parameters
    ----------
    description : str
    needed : str
        Of the command, for the usage.
    example : str
        Documented command.
    """

    def __init__(self, description, needed, example):
        super().__init__(
            usage=f"%(prog)s {needed}",
            description=description,
            epilog=f"documented command:\n  python {Path(sys.argv[0]).name} {example}",
            allow_abbrev=False,
            add_help=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.source = ""

    def add_group(self, title, *parts):
        """Add a group of options: of each part what `_add_fields` takes."""
        group = self.add_argument_group(title)
        for part in parts:
            _add_fields(group, *part)

    def add_help_last(self):
        """Add what every script has, as the last group."""
        group = self.add_argument_group("help")
        group.add_argument(
            "-h", "--help", action="help", help="show this help and exit"
        )
        group.add_argument(
            "--version",
            action="version",
            version=f"%(prog)s {__version__}",
            help="show the version and exit",
        )

    def read(self, arguments):
        """Return the options in a command line, that of the process for None."""
        self.add_help_last()
        return self.parse_args(arguments)

    @contextmanager
    def reading(self, path):
        """Name the file of options in every error."""
        self.source = f"--config {path}: "
        yield
        self.source = ""

    def error(self, message):
        """Exit with the message, and with the file it is about."""
        super().error(f"{self.source}{message}")


def _typed(parser, arguments):
    """Return the options that stand on the command line, with their values."""
    untouched = object()
    names = vars(parser.parse_args(arguments))
    blank = argparse.Namespace(**dict.fromkeys(names, untouched))
    given = vars(parser.parse_args(arguments, blank))
    return {name: value for name, value in given.items() if value is not untouched}


def _config_words(parser, path, typed):
    """Return the options in a file as words of the command line, once they are good.

    A diameter that is typed decides anew what followed from that of the file, and a
    list that is typed replaces that of the file.
    """
    mode, words = typed["task"], []
    known = {
        word.removeprefix("--"): action
        for word, action in parser._option_string_actions.items()
        if action.dest not in ("help", "version")
    }
    with parser.reading(path):
        several = [key for key, action in known.items() if action.nargs == "+"]
        values = read_config(path, several)
        if (noted := values.pop("mode", mode)) != mode:
            parser.error(f"mode {noted} in the file, {mode} given")
        for key, value in values.items():
            if key not in known:
                parser.error(f"{key} is not an option of this script")
            if isinstance(value, bool) != (known[key].nargs == 0):
                expected = "a value" if isinstance(value, bool) else "true or false"
                parser.error(f"argument --{key}: {value!r} given, expected {expected}")
            if isinstance(value, list):
                words += [f"--{key}={one}" for one in value if key not in typed]
            elif not isinstance(value, bool):
                words.append(f"--{key}={value}")
            elif value or isinstance(known[key], argparse.BooleanOptionalAction):
                words.append(f"--{key}" if value else f"--no-{key}")
        if "particle_diameter" in typed:
            names = tuple(f"--{name}=" for name in BY_DIAMETER)
            words = [word for word in words if not word.startswith(names)]
        _finish(parser, parser.parse_args([mode, *words]))
    return words


def _finish(parser, options):
    _check_coordinates(parser, options)
    options.dataset = options.dataset or options.task
    if options.dataset != options.task:
        parser.error(
            f"--dataset {options.dataset} contradicts the mode {options.task}; "
            "both name the same thing"
        )
    choices = MODES[options.task].architectures
    if options.arch is not None and options.arch not in choices:
        parser.error(
            f"--arch {options.arch} does not fit {options.task}; "
            f"choose from {', '.join(choices)}"
        )
    if Path(options.exp_id).name != options.exp_id or options.exp_id in ("", ".", ".."):
        parser.error(f"--exp_id {options.exp_id!r} must be a plain folder name")
    return options


def _converter(parse):
    """Return a converter for argparse, which names the option in the error."""

    def convert(text):
        try:
            return parse(text)
        except UnfitError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _as_typed(parse):
    """Return a converter that rejects what `parse` does, and keeps the text.

    opts.txt then shows a list as it is typed again.
    """
    return lambda text: parse(text) and text
