"""The options of all scripts, by group; the help of each is advice.

Only this module knows the command line. It imports nothing heavy, so that
``--help`` answers at once.
"""

import argparse
import math
import re
from pathlib import Path

from lib import __version__

PROJECT = Path(__file__).resolve().parent
MOST = 1_000_000  # of what has no natural end, such as epochs
MODES = ("simsiam2d3d", "simsiam3d")
ORDERS = ("xzy", "zxy", "xyz", "yxz", "auto")
ARCHITECTURES = {
    "simsiam2d3d": ("simsiam2d3d_18", "simsiam2d3d_34", "simsiam2d3d_50"),
    "simsiam3d": ("simsiam2d_18", "simsiam2d_34", "simsiam2d_50"),
}
# What decides the patches, by its name in the library.
PATCH_OPTIONS = {
    "box": "bbox",
    "sigmas": "dog",
    "gauss": "gauss",
    "order": "order",
    "compress": "compress",
    "bright": "bright",
    "dog_diameter": "dog_diameter",
    "dog_boundary": "dog_boundary",
    "dog_std_multiplier": "dog_std_multiplier",
    "tilt_range": "tilt_range",
    "flip_tilt_angles": "flip_tilt_angles",
    "keep_gold": "keep_gold",
}
RUN_OPTIONS = (
    "arch",
    "head_conv",
    "pretrained_model",
    "recipe",
    "num_epochs",
    "batch_size",
    "lr",
    "val_intervals",
    "save_all",
    "precision",
    "seed",
    "voxel_size",
)


def train_options(arguments=None):
    """Parse the command line of ``simsiam_main.py``."""
    parser = _parser("Train the embedding of the patches in a list of tomograms.")
    _add_mode(parser)
    _add_experiment(parser)
    _add_runtime(parser)
    _add_data(parser, "--train_img_txt", "--training_img_txt")
    _add_candidates(parser)
    _add_model(parser)
    _add_training(parser)
    options = _finish(parser, parser.parse_args(arguments))
    options.arch = options.arch or ARCHITECTURES[options.task][0]
    options.typed = _typed(parser, arguments, options)
    if options.resume and options.overwrite:
        parser.error("--resume goes on with a run, --overwrite replaces it: give one")
    if options.resume and options.load_model is not None:
        parser.error("--resume goes on from model_last.pth; leave --load_model out")
    if options.load_model is not None and "pretrained_model" in options.typed:
        parser.error(
            "--load_model and --pretrained_model both name the weights to start from: "
            "give one"
        )
    return options


def embed_options(mode, arguments=None):
    """Parse the command line of ``simsiam_test_hm_2d3d.py`` or ``_3d.py``."""
    parser = _parser("Embed every candidate of a list of tomograms.")
    _add_mode(parser, only=mode)
    _add_experiment(parser)
    _add_runtime(parser)
    _add_data(parser, "--test_img_txt", "--test_img_txt")
    _add_candidates(parser, inherited=True)
    _add_model(parser, inherited=True)
    _add_force(parser)
    parser.add_argument(
        "--batch_size",
        type=_whole(1, MOST),
        default=256,
        help="patches at once; more only uses more memory (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.load_model is None:
        parser.error(
            "--load_model is missing: name a checkpoint of simsiam_main.py, "
            "for example exp/simsiam3d/test_sample/model_best.pth"
        )
    return _finish(parser, options)


def plot_options(arguments=None):
    """Parse the command line of ``plot_2d.py``."""
    parser = _parser("Cluster the embedding, map it to 2-D and draw the maps.")
    add = parser.add_argument
    add("--input", required=True, type=_path, help="all_output_info.npz of inference")
    add("--path", type=_path, help="folder of all output (default: that of --input)")
    add(
        "--mode",
        choices=("umap", "tsne"),
        default="umap",
        help="umap keeps neighborhoods and far order; tsne spreads small groups "
        "apart and is slower beyond 20,000 candidates (default: %(default)s)",
    )
    add(
        "--n_cluster",
        type=_whole(1, MOST),
        default=48,
        help="clusters to over-cluster into: several for each molecule you expect, "
        "people join them later (default: %(default)s)",
    )
    add(
        "--num_neighbor",
        type=_whole(2, MOST),
        default=40,
        help="neighbors a point is placed by; smaller shows finer groups, larger "
        "the whole; t-SNE's perplexity is a third of it (default: %(default)s)",
    )
    add(
        "--min_dist_umap",
        type=_real(0, 1),
        default=0.5,
        help="least distance of points in UMAP, 0 to 1; smaller packs groups "
        "tighter (default: %(default)s)",
    )
    add(
        "--min_dist_vis",
        type=_real(0, 2),
        default=1.3e-3,
        help="least squared distance of two thumbnails on the unit map; larger "
        "shows fewer (default: %(default)s)",
    )
    add(
        "--host",
        type=_whole(1, 65535),
        default=7000,
        help="port of the image links in the table, for those who serve imgs/ "
        "themselves; the interactive session needs none (default: %(default)s)",
    )
    _add_seed(parser)
    _add_workers(
        parser,
        help="processes that write the patches in imgs/; 0 for none but this one "
        "(default: all usable cores but one, at most 8, and 0 below 2000 patches)",
    )
    options = parser.parse_args(arguments)
    options.path = options.path or options.input.parent
    return options


def heatmap_options(arguments=None):
    """Parse the command line of ``visualize_3dhm.py``."""
    parser = _parser("Paint the colors of the map back into the tomograms.")
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
    add(
        "--order",
        choices=ORDERS,
        help="axes of the tomogram files (default: as the run read them, else xzy)",
    )
    add(
        "--blend",
        type=_real(0, 1),
        default=0.6,
        help="weight w of the gray tomogram in w x gray + (1 - w) x colors of the "
        "picture (default: %(default)s)",
    )
    add(
        "--radius",
        type=_whole(1, 1000),
        default=12,
        help="radius of a disc in voxels: about that of the particle "
        "(default: %(default)s)",
    )
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
    parser = _parser("Open the interactive session; it stays until Ctrl-C.")
    add = parser.add_argument
    add("--input", required=True, type=_path, help="interactive_info_parquet.gzip")
    add(
        "--port",
        type=_whole(1, 65535),
        help="port of the page (default: first free from 6006 on)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="loopback address to listen on; reach it from home through ssh -L "
        "(default: %(default)s)",
    )
    add(
        "--images",
        choices=("session", "url"),
        default="session",
        help="session: the session serves imgs/ itself; url: keep the links of the "
        "table, served by a web server of your own (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def coordinate_options(arguments=None):
    """Parse the command line of ``interactive_to_training_coords.py``."""
    parser = _parser("Turn picked candidates into training coordinates.")
    add = parser.add_argument
    add(
        "--input",
        required=True,
        nargs="+",
        type=_path,
        help="exports of the session, or folders of them, or "
        "interactive_info_parquet.gzip with --labels",
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
        "--labels", type=_as_typed(_clusters), help="only these clusters, such as 3,7-9"
    )
    add(
        "--exclude_labels",
        type=_as_typed(_clusters),
        help="all but these clusters, such as 0,12-15",
    )
    add(
        "--format",
        choices=("txt", "star", "star5", "csv", "imod", "ndjson"),
        help="txt: for the refinement module; star: RELION 4; star5: RELION 5; "
        "imod: for point2model; ndjson: CryoET portal (default: by --output's "
        "ending, else txt)",
    )
    add(
        "--order",
        choices=ORDERS[:-1],
        help="axes of the tomogram files, for star, star5, imod and ndjson (default: "
        "as the run read them)",
    )
    add(
        "--z_axis",
        choices=("relion", "reversed"),
        help="for star and star5: z of the tomograms runs as in RELION and after "
        "trimvol -rx, or the other way, as in the output of IMOD's tilt and with "
        "AreTomo's -FlipVol 1 (default: reversed for --order xzy, relion for zxy)",
    )
    add(
        "--voxel_size",
        type=_real(0, 10_000, above=True),
        help="Angstrom, for star5 (default: what the run knows)",
    )
    add(
        "--tomo_size",
        type=_as_typed(_size),
        help="x,y,z of the tomograms in voxels, for star5 and where z is mirrored "
        "(default: what the run knows)",
    )
    add(
        "--bin",
        type=_real(0, 1000, above=True),
        default=1.0,
        help="how many times the tomogram is binned against the tilt series of "
        "RELION (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _add_mode(parser, only=None):
    parser.add_argument(
        "task",
        choices=(only,) if only else MODES,
        help="simsiam2d3d: tomograms and aligned tilt series, twice the signal; "
        "simsiam3d: tomograms alone",
    )


def _add_experiment(parser):
    group = parser.add_argument_group("experiment")
    add = group.add_argument
    add(
        "--dataset",
        choices=MODES,
        help="the mode again, and the folder under exp/ (default: the mode)",
    )
    add("--exp_id", default="default", help="name of the run (default: %(default)s)")
    add(
        "--exp_dir",
        type=_path,
        default=PROJECT / "exp",
        help="folder of all experiments (default: exp in the project folder)",
    )


def _add_runtime(parser):
    group = parser.add_argument_group("machine")
    add = group.add_argument
    add(
        "--gpus",
        type=_as_typed(_gpus),
        default="0",
        help="GPU to use; -1 for the CPU; with torchrun each process takes its own "
        "(default: %(default)s)",
    )
    add(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto: train in bf16 where the GPU, or the processor (AMX), multiplies in "
        "it, embed in fp32 (default: %(default)s)",
    )
    _add_seed(group)
    _add_workers(group)


def _add_seed(group):
    group.add_argument(
        "--seed",
        type=_whole(0, 2**32 - 1),
        default=42,
        help="the one seed of everything random (default: %(default)s)",
    )


def _add_workers(group, help=None):
    group.add_argument(
        "--num_workers",
        type=_whole(0, 1024),
        default=None,
        help=help
        or "processes that prepare tomograms; 0 for none but this one (default: as "
        "many as the cores and half of the free memory hold, of the machine or of what "
        "your job or container may use of it)",
    )


def _add_data(parser, *names):
    group = parser.add_argument_group("data")
    add = group.add_argument
    add(
        *dict.fromkeys(names),
        dest="img_txt",
        required=True,
        type=_place,
        help="image list, by name in data/ or by path",
    )
    add(
        "--cache_dir",
        type=_path,
        help="folder of the prepared patches: a fast local disk if you have one "
        "(default: .patches in --exp_dir)",
    )
    add(
        "--no_cache",
        action="store_true",
        help="prepare anew and keep nothing after the run",
    )
    add(
        "--voxel_size",
        type=_real(0, 10_000, above=True),
        help="Angstrom, of all tomograms of the list, instead of what their headers "
        "say; the run notes it for its exports (default: by the headers, or as noted "
        "in training)",
    )


def _add_candidates(parser, inherited=False):
    """Add what decides candidates and patches; inference has it from training."""
    group = parser.add_argument_group(
        "candidates and patches",
        "read from the checkpoint; when given again they must agree"
        if inherited
        else None,
    )

    def add(name, default=None, help="", **kwargs):
        if inherited:
            default = None
        elif default is not None:
            help = f"{help} (default: {default})"
        group.add_argument(name, default=default, help=help, **kwargs)

    add(
        "--bbox",
        36,
        "edge of a patch in voxels, even; 1.5 to 2 times the particle",
        type=_whole(8, 1024, even=True),
    )
    add(
        "--dog",
        "3,5",
        "sigmas of the Gaussians in voxels, ascending; a blob of radius r answers "
        "best around r / 1.7. Four or more, such as 2,3,4.5,7,10: small, large and "
        "hollow particles side by side, one candidate at the center of each; lower "
        "--dog_std_multiplier then, to -0.2",
        type=_as_typed(parse_sigmas),
    )
    add(
        "--gauss",
        0.8,
        "sigma in voxels of the Gaussian that denoises tomogram and tilt images; "
        "above 1.5 small particles fade",
        type=_real(0, 50),
    )
    add(
        "--order",
        None,
        "axes of the tomogram file: xzy as IMOD's tilt and AreTomo write it by "
        "themselves, zxy after trimvol -rx, from AreTomo with -FlipVol, and from Warp "
        "and RELION; auto goes by the shapes. What you type is believed, but for tilt "
        "images that prove it wrong"
        + ("" if inherited else " (default: xzy, where z is then the shortest axis)"),
        choices=ORDERS,
    )
    add(
        "--compress",
        False if not inherited else None,
        "merge slice pairs along z (for thick or finely sampled tomograms)",
        action=argparse.BooleanOptionalAction,
    )
    add(
        "--bright",
        False if not inherited else None,
        "particles are bright, not dark",
        action=argparse.BooleanOptionalAction,
    )
    add(
        "--dog_diameter",
        14,
        "candidates keep this distance: diameter in voxels",
        type=_whole(1, 10_000),
    )
    add(
        "--dog_boundary",
        30,
        "margin in x and y that has no candidates, voxels",
        type=_whole(0, 10_000),
    )
    add(
        "--dog_std_multiplier",
        0.5,
        "threshold above the mean response, in std; larger keeps fewer candidates",
        type=_real(-(10**9), 10**9),
    )
    add(
        "--tilt_range",
        None,
        "2d3d: tilts within +- this many degrees make the tilt view (default: 40, and "
        "20 with --recipe simsiam)",
        type=_real(0, 90),
    )
    add(
        "--flip_tilt_angles",
        False if not inherited else None,
        "2d3d: the angle file has the opposite sign (Warp), or the tomogram is a "
        "mirror image (AreTomo's -FlipVol 1), which looks the same in projection",
        action=argparse.BooleanOptionalAction,
    )
    add(
        "--keep_gold",
        False if not inherited else None,
        "leave gold beads among the candidates; otherwise they are recognized, "
        "counted and left out",
        action=argparse.BooleanOptionalAction,
    )


def _add_model(parser, inherited=False):
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--arch",
        help="backbone: simsiam2d3d_18 or simsiam2d_18 (34 and 50 too: slower, "
        "rarely better on patches this small); "
        + ("read from the checkpoint" if inherited else "by default 18 layers"),
    )
    if inherited:
        add("--load_model", type=_path, help="checkpoint to embed with")
        return
    add(
        "--load_model",
        type=_path,
        help="checkpoint whose weights a new run starts from",
    )
    add(
        "--head_conv",
        type=_whole(2, 4096),
        default=128,
        help="length of the embedding (default: %(default)s)",
    )
    add(
        "--pretrained_model",
        default="none",
        help="what the trunk starts from: none for random weights, imagenet "
        "(downloaded by torchvision; never measured here), or the path of a ResNet "
        "checkpoint (default: %(default)s)",
    )


def _add_training(parser):
    group = parser.add_argument_group("training")
    add = group.add_argument
    add(
        "--recipe",
        choices=("contrastive", "simsiam", "default", "milopyp"),
        default="contrastive",
        help="contrastive (alias default): NT-Xent loss with a tenth of SimSiam's, "
        "AdamW, cosine schedule. simsiam (alias milopyp): SimSiam's loss alone, SGD "
        "with steps, small initial weights, and MiLoPYP's own transforms, tilt range "
        "and pairs, to compare with (default: %(default)s)",
    )
    add(
        "--num_epochs",
        type=_whole(1, MOST),
        default=100,
        help="passes over all candidates; 100 to 300, below 20 the map says little "
        "(default: %(default)s)",
    )
    add(
        "--batch_size",
        # Batches are equal within one candidate: three candidates in batches of two
        # are two and one, and batch norm cannot do with one.
        type=_whole(3, MOST),
        default=256,
        help="candidates a step, over all GPUs; below 64 batch norm gets noisy "
        "(default: %(default)s)",
    )
    add(
        "--lr",
        type=_real(0, 1000, above=True),
        default=1e-3,
        help="learning rate, taken as it is: not scaled by the batch size "
        "(default: %(default)s)",
    )
    add(
        "--lr_step",
        type=_as_typed(parse_epochs),
        help="epochs at which the rate falls to a tenth, such as 200,400,600 "
        "(default: by the recipe)",
    )
    add(
        "--cosine",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let the rate fall along a cosine (default: by the recipe)",
    )
    add(
        "--warm",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="raise the rate linearly over the first epochs (default: by the recipe)",
    )
    add(
        "--val_intervals",
        type=_whole(1, MOST),
        default=20,
        help="epochs between two kept models and health checks (default: %(default)s)",
    )
    add("--save_all", action="store_true", help="keep model_N.pth at each interval")
    add(
        "--resume",
        action="store_true",
        help="go on from model_last.pth with the options of its run; those given again "
        "must agree, except --num_epochs, --val_intervals and --save_all",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace an existing experiment, once the new one is ready to start",
    )
    add(
        "--dry_run",
        action="store_true",
        help="stop after the candidates: pictures, counts and cost, to choose --dog "
        "and --bbox by",
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
        help="go on although the geometry check fits nothing",
    )


def _parser(description):
    parser = argparse.ArgumentParser(
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {__version__}",
        help="show the version and exit",
    )
    return parser


def _typed(parser, arguments, options):
    """Return the names of the options that stand on the command line."""
    untouched = object()
    blank = argparse.Namespace(**dict.fromkeys(vars(options), untouched))
    given = vars(parser.parse_args(arguments, blank))
    return {name for name, value in given.items() if value is not untouched}


def _finish(parser, options):
    options.dataset = options.dataset or options.task
    if options.dataset != options.task:
        parser.error(
            f"--dataset {options.dataset} contradicts the mode {options.task}; "
            "both name the same thing"
        )
    choices = ARCHITECTURES[options.task]
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


def _place(text):
    """Take a path that may be looked at, whether or not something is there."""
    path = Path(text)
    try:
        path.exists()
    except (OSError, ValueError) as error:  # forbidden, too long, or with a NUL
        reason = getattr(error, "strerror", None) or error
        raise _unfit(text, f"a path: {reason}") from error
    return path


def _whole(low, high, *, even=False):
    """Return a converter for argparse: a whole number from `low` to `high`."""
    expected = f"{'an even' if even else 'a whole'} number from {low:,} to {high:,}"

    def convert(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high or (even and value % 2):
            raise _unfit(text, expected)
        return value

    return convert


def _real(low, high, *, above=False):
    """Return a converter for argparse: a number from `low`, or above it, to `high`."""
    start = f"above {low:,}, at most" if above else f"from {low:,} to"
    expected = f"a number {start} {high:,}"

    def convert(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (above and value == low):  # nan is neither
            raise _unfit(text, expected)
        return value

    return convert


def _unfit(text, expected):
    """Return the error for a value; argparse names the option before it."""
    text = str(text)
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return argparse.ArgumentTypeError(f"{shown!r} given, expected {expected}")


def _as_typed(parse):
    """Return a converter that refuses what `parse` does, and keeps the text.

    opts.txt then shows a list as it is typed again.
    """

    def convert(text):
        parse(text)
        return text

    return convert


def _gpus(text):
    return [_whole(-1, 1023)(part) for part in text.split(",")]


def _size(text):
    sizes = [_whole(1, 999_999)(part) for part in text.split(",")]
    if len(sizes) != 3:
        raise _unfit(text, "x,y,z such as 960,928,300")
    return sizes


def _clusters(text):
    for part in text.split(","):
        if not re.fullmatch(r"\s*\d{1,9}\s*(-\s*\d{1,9}\s*)?", part):
            raise _unfit(text, "clusters and ranges of them, such as 3,7-9")


def patch_options(options):
    """Return what decides candidates and patches, as keywords of the library.

    Values that were not given are left out.
    """
    sigmas = None if options.dog is None else parse_sigmas(options.dog)
    named = {name: getattr(options, option) for name, option in PATCH_OPTIONS.items()}
    named["sigmas"] = sigmas
    return {key: value for key, value in named.items() if value is not None}


def run_options(options):
    """Return how a run is trained, as the keys that its checkpoint remembers.

    Returns
    -------
    chosen : dict
        Every option, with defaults.
    typed : dict
        Those that stand on the command line.
    """
    named = {name: getattr(options, name) for name in RUN_OPTIONS}
    chosen = {**named, **recipe_changes(options), **patch_options(options)}
    spelled = {**PATCH_OPTIONS, "steps": "lr_step"}
    typed = {
        key: value
        for key, value in chosen.items()
        if spelled.get(key, key) in options.typed
    }
    return chosen, typed


def parse_sigmas(text):
    """Return the sigmas of ``--dog``: at least two numbers, positive, ascending."""
    sigmas = tuple(_real(0.1, 200)(part) for part in text.split(","))
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
    return tuple(_whole(1, MOST)(part) for part in text.split(","))


def recipe_changes(options):
    """Return what the user wants otherwise than the recipe, as keywords."""
    steps = None if options.lr_step is None else parse_epochs(options.lr_step)
    warm = None if options.warm is None else 0.05 * options.warm
    return {"cosine": options.cosine, "steps": steps, "warm": warm}
