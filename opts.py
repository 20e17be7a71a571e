"""The options of all scripts, by group; the help of each is advice.

Only this module knows the command line. It imports nothing heavy, so that
``--help`` answers at once. What a run keeps is described in `lib.run.options`.
"""

import argparse
import re
import sys
from contextlib import contextmanager
from pathlib import Path

from lib import __version__
from lib.modes import MODES
from lib.run.candidate_options import CoordinateSettings, PatchSettings
from lib.run.config import Real, Whole, options_of, read_config
from lib.run.later_steps import (
    ExportOptions,
    OverlayOptions,
    PlotOptions,
    SessionOptions,
)
from lib.run.options import MOST, ModelOptions, RunOptions, TrainingOptions, named

PROJECT = Path(__file__).resolve().parent
COORDINATE_FILES = ("coords", "exclude_coords")
FIRST = ("bbox", "dog")  # of the candidates, what depends on the particle
BY_DIAMETER = (*FIRST, "dog_diameter", "dog_boundary", "dog_std_multiplier")
SWITCHES = ("compress", "bright", "flip_tilt_angles", "keep_gold", "halves")
SWITCHES += ("cosine", "warm", "save_all", "coords_halved")
WARM = 0.05  # share of the epochs, of --warm
RUN = "exp/simsiam2d3d/test_sample"  # of the documented commands


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
    _add_list(first, "--train_img_txt", "--training_img_txt")
    _add_exp_id(first)
    _add_fields(first, RunOptions, ("particle_diameter",))
    _add_fields(first, PatchSettings, FIRST)
    patches = parser.add_argument_group("candidates and patches")
    _add_fields(patches, PatchSettings, but=FIRST)
    _add_coordinates(parser)
    _add_model(parser)
    _add_training(parser)
    _add_experiment(parser)
    _add_data(parser)
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
    add = parser.add_argument
    add(
        "--exp_dir",
        type=_path,
        default=PROJECT / "exp",
        help="folder of all experiments (default: exp in the project folder)",
    )
    add(
        "--cache_dir",
        type=_path,
        help="folder of the cache (default: .patches in --exp_dir)",
    )
    add(
        "--clear",
        action="store_true",
        help="remove the entries: all, or those that the next two options choose. "
        "Later runs prepare again what they need. What a job is preparing stays; "
        "jobs that train or embed should have ended",
    )
    add(
        "--outdated",
        action="store_true",
        help="with --clear: only what other versions of the code made",
    )
    add(
        "--unused_days",
        type=_number(Real(0, MOST)),
        metavar="N",
        help="with --clear: only what no run has used for N days",
    )
    parser.add_help_last()
    options = parser.parse_args(arguments)
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
    add = parser.add_argument
    add(
        "task",
        metavar="MODE",
        nargs="?",
        choices=tuple(MODES),
        help="simsiam2d3d: only tomograms with an aligned tilt series of their size; "
        "without it all tomograms are listed",
    )
    add("--make_list", required=True, nargs="+", type=_path, metavar="FOLDER", help=_IN)
    add(
        "--output",
        required=True,
        type=_list_place,
        metavar="LIST",
        help="file of the list; a name alone is put into data/ of the project",
    )
    add("--overwrite", action="store_true", help="replace an existing list")
    parser.add_help_last()
    return parser.parse_args(arguments)


_IN = (
    "folders that are searched, with all below them, for files named as IMOD, AreTomo, "
    "Warp, RELION 5 and nextPYP name them"
)


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
    _add_list(first, "--test_img_txt", required=True)
    first.add_argument(
        "--load_model",
        type=_checkpoint,
        help="checkpoint to embed with, or builtin: the weights that come with the "
        "project, without any training",
    )
    _add_exp_id(first)
    first.add_argument(
        "--batch_size",
        type=_number(Whole(1, MOST)),
        default=256,
        help="patches per batch; a larger one only needs more memory (default: "
        "%(default)s)",
    )
    inherited = parser.add_argument_group(
        "candidates, patches and network",
        "read from the checkpoint; when given again they must agree",
    )
    _add_fields(inherited, RunOptions, ("particle_diameter",), inherited=True)
    _add_fields(inherited, PatchSettings, inherited=True)
    _add_fields(inherited, ModelOptions, ("arch",), inherited=True)
    _add_coordinates(parser)
    _add_experiment(parser)
    _add_data(parser)
    _add_force(parser.add_argument_group("checks"))
    _add_machine(parser)
    parser.add_help_last()
    options = parser.parse_args(arguments)
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
    add = parser.add_argument
    add("--input", required=True, type=_path, help="all_output_info.npz of inference")
    add("--path", type=_path, help="folder of all output (default: that of --input)")
    _add_fields(parser, PlotOptions)
    add(
        "--png",
        action="store_true",
        help="write a PNG of each patch to imgs/ above 200,000 candidates, too: for "
        "those who serve imgs/ themselves; the session serves them from one file",
    )
    _add_fields(parser, RunOptions, ("seed",))
    _add_workers(
        parser,
        "processes that write the patches in imgs/; 0 for none but this one "
        "(default: all usable cores but one, at most 8, and 0 below 2000 patches)",
    )
    parser.add_help_last()
    options = parser.parse_args(arguments)
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
    add = parser.add_argument
    add("--input", required=True, type=_path, help="all_output_info.npz of inference")
    add("--color", type=_path, help="all_colors.npy (default: beside --input)")
    add("--dir_simsiam", type=_path, help="folder of output (default: that of --input)")
    add(
        "--rec_dir",
        type=_path,
        help="folder of the tomograms, named <tomo><--ext> (default: where the run "
        "found them)",
    )
    add("--image_txt", type=_place, help="image list that names the tomograms instead")
    add("--ext", help="ending of the tomograms in --rec_dir (default: .rec, then .mrc)")
    add(
        "--only",
        type=lambda text: text.split(","),
        metavar="TOMO,...",
        help="paint only these tomograms: each takes six bytes a voxel of disk",
    )
    _add_fields(parser, OverlayOptions)
    parser.add_help_last()
    options = parser.parse_args(arguments)
    if options.rec_dir is not None and options.image_txt is not None:
        parser.error(
            "--rec_dir and --image_txt both say where the tomograms are: give one"
        )
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
    add = parser.add_argument
    add("--input", required=True, type=_path, help="interactive_info_parquet.gzip")
    _add_fields(parser, SessionOptions)
    add(
        "--rec_dir",
        type=_path,
        help="folder of the tomograms (default: where the run found them)",
    )
    add("--image_txt", type=_place, help="image list that names the tomograms instead")
    add(
        "--allow_host",
        action="append",
        metavar="NAME",
        type=_host_name,
        help="name of a proxy in front of the session, such as that of JupyterHub; may "
        "be given several times",
    )
    parser.add_help_last()
    options = parser.parse_args(arguments)
    if options.rec_dir is not None and options.image_txt is not None:
        parser.error(
            "--rec_dir and --image_txt both say where the tomograms are: give one"
        )
    options.allow_host = options.allow_host or ()
    return options


def coordinate_options(arguments=None):
    """Parse the command line of ``interactive_to_training_coords.py``."""
    parser = _Parser(
        "Turn picked candidates into training coordinates.",
        "--input EXPORT [EXPORT ...] --output FILE ...",
        "--input path_to_dir_of_parquets --output training_coordinates.txt",
    )
    add = parser.add_argument
    add(
        "--input",
        required=True,
        nargs="+",
        type=_path,
        help="exports of the session, or folders of them, or "
        "interactive_info_parquet.gzip with --class or --labels",
    )
    add("--output", required=True, type=_place, help="file of the coordinates")
    add(
        "--if_double",
        action="store_true",
        help="double z in txt and csv: for tomograms that were read with --compress. "
        "The other formats undo --compress by themselves where the run knows of it; "
        "for exports that say nothing, give this",
    )
    add(
        "--class",
        dest="named",
        metavar="NAME",
        help="a class that was named in the session, without exporting it there; "
        "--input is the table of that session, or the folder of its run. With "
        "--min_score or --top, all candidates that the class was taught to find",
    )
    add(
        "--like",
        nargs="+",
        type=_path,
        metavar="PICKS",
        help="score all candidates of the table --input by their likeness to those in "
        "these exports, of this run or of another one with the same weights; with "
        "--top or --min_score",
    )
    add(
        "--teach",
        nargs=2,
        type=_path,
        metavar=("YES", "NO"),
        help="the same from an export (or folder of them) of examples, and one of "
        "counterexamples",
    )
    add(
        "--top",
        type=_number(Whole(1, MOST)),
        metavar="N",
        help="only the N candidates with the highest scores",
    )
    add(
        "--min_score",
        type=_number(Real(-1, 1)),
        help="only candidates whose score is this or more",
    )
    add(
        "--labels", type=_as_typed(_clusters), help="only these clusters, such as 3,7-9"
    )
    add(
        "--exclude_labels",
        type=_as_typed(_clusters),
        help="all but these clusters, such as 0,12-15",
    )
    _add_fields(parser, RunOptions, ("seed",))
    _add_fields(parser, ExportOptions)
    add(
        "--tomo_size",
        type=_as_typed(_size),
        help="x,y,z of the tomograms in voxels, for star5 and where z is mirrored "
        "(default: what the run knows)",
    )
    parser.add_help_last()
    return _check_choice(parser, parser.parse_args(arguments))


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


def _add_list(group, *names, required=False):
    group.add_argument(
        *names,
        dest="img_txt",
        metavar="LIST",
        required=required,
        type=_place,
        help="image list: name of a file in data/, or path; or a folder, whose list is "
        "written into the experiment (simsiam_main.py --make_list FOLDER ... --output "
        "LIST only writes it)",
    )


def _add_exp_id(group):
    group.add_argument(
        "--exp_id",
        metavar="NAME",
        default="default",
        help="name of the run (default: %(default)s)",
    )


def _add_experiment(parser):
    add = parser.add_argument_group("experiment").add_argument
    add(
        "--dataset",
        choices=tuple(MODES),
        help="the mode again: folder under exp/ (default: the mode)",
    )
    add(
        "--exp_dir",
        type=_path,
        default=PROJECT / "exp",
        help="folder of all experiments (default: exp in the project folder)",
    )


def _add_machine(parser):
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--gpus",
        type=_as_typed(_gpus),
        default="0",
        help="GPU to use; -1 for the CPU; with torchrun each process takes its own "
        "(default: %(default)s)",
    )
    _add_fields(group, TrainingOptions, ("precision",))
    _add_fields(group, RunOptions, ("seed",))
    _add_workers(
        group,
        "processes that prepare tomograms; 0 for none but this one (default: as many "
        "as the cores and half of the free memory hold, of the machine or of what your "
        "job or container may use of it)",
    )


def _add_workers(group, help):
    group.add_argument("--num_workers", type=_number(Whole(0, 1024)), help=help)


def _add_data(parser):
    group = parser.add_argument_group("data")
    group.add_argument(
        "--cache_dir",
        type=_path,
        help="folder of the prepared patches: a fast local disk if you have one "
        "(default: .patches in --exp_dir)",
    )
    group.add_argument(
        "--no_cache",
        action="store_true",
        help="prepare the patches again, and remove them after the run",
    )
    _add_fields(group, RunOptions, ("voxel_size",))


def _add_coordinates(parser):
    group = parser.add_argument_group("coordinates of your own")
    helps = (
        "files of coordinates to use as candidates, in place of the search: exports "
        "of the session or their folder, training_coordinates.txt, csv, STAR of RELION "
        "4 and 5, IMOD, copick json, ndjson of the CryoET portal",
        "files, as of --coords: candidates near one of their positions are left out",
    )
    for name, help in zip(COORDINATE_FILES, helps, strict=True):
        group.add_argument(
            f"--{name}",
            nargs="+",
            metavar="FILE",
            type=_file,
            action=_Several,
            help=help,
        )
    _add_fields(group, CoordinateSettings)


class _Several(argparse.Action):
    """Takes one word or more; given again, it takes those too."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Add the words to those that were given before."""
        earlier = getattr(namespace, self.dest, None)
        earlier = earlier if isinstance(earlier, list) else []
        setattr(namespace, self.dest, [*earlier, *values])


def own_coordinates(options):
    """Return the files of coordinates of a training or an inference."""
    return CoordinateSettings(
        coords=tuple(options.coords or ()),
        exclude_coords=tuple(options.exclude_coords or ()),
        exclude_distance=options.exclude_distance,
        coords_voxel_size=options.coords_voxel_size,
        coords_bin=options.coords_bin,
        coords_z_axis=options.coords_z_axis,
        coords_halved=options.coords_halved,
    )


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


def _add_model(parser):
    group = parser.add_argument_group("model")
    _add_fields(group, ModelOptions)
    group.add_argument(
        "--load_model",
        type=_path,
        help="checkpoint whose weights a new run starts from",
    )


def _add_training(parser):
    group = parser.add_argument_group("training")
    _add_fields(group, TrainingOptions, but=("precision",))
    add = group.add_argument
    add(
        "--config",
        type=_path,
        metavar="FILE",
        help="opts.yaml of a run, to repeat it; options on the command line override "
        "it",
    )
    add(
        "--resume",
        action="store_true",
        help="continue from model_last.pth with the options of its run; those given "
        "again must agree, except --num_epochs, --val_intervals and --save_all",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace an existing experiment when the new one is ready to start",
    )
    add(
        "--dry_run",
        action="store_true",
        help="search, count and draw the candidates, then stop: to choose --dog and "
        "--bbox by. No patches are cut; training finds the candidates again",
    )
    add(
        "--check_geometry",
        action="store_true",
        help="2d3d: only check that tomograms and tilt series agree",
    )
    add(
        "--compile",
        action="store_true",
        help="compile the network first: a minute or more at the start; on a CPU it "
        "needs a C++ compiler and gains little",
    )
    _add_force(group)


def _add_force(group):
    group.add_argument(
        "--force",
        action="store_true",
        help="continue even if the geometry check fails",
    )


def _add_fields(group, cls, only=None, *, but=(), inherited=False):
    """Add the options of a dataclass, with the defaults and limits of its fields.

    Parameters
    ----------
    group : argparse group
    cls : type
        Dataclass whose fields are made by `lib.run.config.option`.
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
        if isinstance(default, tuple):  # opts.txt shows a list as it is typed
            default = ",".join(f"{value:g}" for value in default)
        stated = about.otherwise or default
        kind = {"type": LISTS.get(field.name)}
        if name in SWITCHES:
            kind = {"action": argparse.BooleanOptionalAction}
        elif isinstance(about.limits, tuple):
            kind = {"choices": about.limits}
        elif about.limits is not None:
            kind = {"type": _number(about.limits)}
        told = "" if inherited or not stated else f" (default: {stated})"
        group.add_argument(f"--{name}", default=default, help=about.help + told, **kind)


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
            elif value or key in SWITCHES:
                words.append(f"--{key}" if value else f"--no-{key}")
        if "particle_diameter" in typed:
            names = tuple(f"--{name}=" for name in BY_DIAMETER)
            words = [word for word in words if not word.startswith(names)]
        _finish(parser, parser.parse_args([mode, *words]))
    return words


def config_of(options):
    """Return the options of a training as ``opts.yaml`` keeps them."""
    listed = options.img_txt.resolve() if options.img_txt.exists() else options.img_txt
    values = {"mode": options.task, "train_img_txt": listed, **vars(options)}
    for name in COORDINATE_FILES:
        if values[name] is not None:
            values[name] = [str(Path(file).resolve()) for file in values[name]]
    return {k: values[k] for k in values if k not in ("task", "img_txt", "typed")}


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


def _path(text):
    """Take a path as it is, or from the project folder when only that has it."""
    try:
        path = _place(Path(text).expanduser())
    except RuntimeError as error:  # ~ of a user that this machine does not know
        raise _unfit(text, "a path: write the home folder out") from error
    in_project = PROJECT / path
    return in_project if not path.exists() and in_project.exists() else path


def _file(text):
    """Take a path as `_path` does; as text, which opts.txt shows as it is."""
    return str(_path(text))


def _checkpoint(text):
    """Take a path, or the word for the weights that come with the project."""
    return text if text == "builtin" else _path(text)


def _place(text):
    """Take a path that may be looked at, whether or not something is there."""
    path = Path(text)
    try:
        path.exists()
    except (OSError, ValueError) as error:  # forbidden, too long, or with a NUL
        reason = getattr(error, "strerror", None) or error
        raise _unfit(text, f"a path: {reason}") from error
    return path


def _list_place(text):
    """Take the path of a new list: a name alone, or data/NAME, is in the project."""
    path = _place(Path(text).expanduser())
    if "/" not in text:
        return PROJECT / "data" / path
    in_project = PROJECT / path
    here = path.parent.exists() or not in_project.parent.exists()
    return path if here else in_project


def _number(limits):
    """Return a converter for argparse: a number within `limits`."""

    def convert(text):
        try:
            return limits.parse(text)
        except ValueError:
            raise _unfit(text, limits) from None

    return convert


def _unfit(text, expected):
    """Return the error for a value; argparse names the option before it."""
    text = str(text)
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return argparse.ArgumentTypeError(f"{shown!r} given, expected {expected}")


def _as_typed(parse):
    """Return a converter that rejects what `parse` does, and keeps the text.

    opts.txt then shows a list as it is typed again.
    """

    def convert(text):
        parse(text)
        return text

    return convert


def _gpus(text):
    return [_number(Whole(-1, 1023))(part) for part in text.split(",")]


def _host_name(text):
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", text):
        raise _unfit(text, "the name of a host alone, such as hub.example.org")
    return text


def _size(text):
    sizes = [_number(Whole(1, 999_999))(part) for part in text.split(",")]
    if len(sizes) != 3:
        raise _unfit(text, "x,y,z such as 960,928,300")
    return sizes


def _clusters(text):
    for part in text.split(","):
        if not re.fullmatch(r"\s*\d{1,9}\s*(-\s*\d{1,9}\s*)?", part):
            raise _unfit(text, "clusters and ranges of them, such as 3,7-9")


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
    """Return the keywords of `lib.training.embed_list.embed_image_list`."""
    return {
        "img_txt": options.img_txt,
        "load_model": options.load_model,
        "exp_dir": options.exp_dir,
        "exp_id": options.exp_id,
        "mode": options.task,
        "given": patch_options(options),
        "project": PROJECT,
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
    found = {name: f.name for cls in groups for name, f in options_of(cls).items()}
    values = {
        field: getattr(options, name)
        for name, field in found.items()
        if getattr(options, name, None) is not None
    }
    for field, parse in PARSERS.items():
        if field in values:
            values[field] = parse(values[field])
    if "warm" in values:
        values["warm"] *= WARM
    return values


def parse_sigmas(text):
    """Return the sigmas of ``--dog``: at least two numbers, positive, ascending."""
    sigmas = tuple(_number(Real(0.1, 200))(part) for part in text.split(","))
    if len(sigmas) < 2:
        raise _unfit(
            text,
            "two or more sigmas, such as 3,5: candidates come from a difference of "
            "Gaussians",
        )
    if any(a >= b for a, b in zip(sigmas, sigmas[1:], strict=False)):
        raise _unfit(text, "ascending sigmas, such as 3,5")
    return sigmas


def parse_epochs(text):
    """Return the epochs of ``--lr_step``."""
    return tuple(_number(Whole(1, MOST))(part) for part in text.split(","))


def parse_diameters(text):
    """Return the diameters of ``--particle_diameter`` [Angstrom]."""
    try:
        return tuple(Real(1, 100_000).parse(part) for part in text.split(","))
    except ValueError:
        raise _unfit(
            text, "Angstrom from 1 to 100,000, several with commas, such as 120,250"
        ) from None


PARSERS = {
    "sigmas": parse_sigmas,
    "steps": parse_epochs,
    "particle_diameter": parse_diameters,
}
LISTS = {field: _as_typed(parse) for field, parse in PARSERS.items()}
