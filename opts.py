"""The options of all scripts, by group; the help of each is advice.

Only this module knows the command line. It imports nothing heavy, so that
``--help`` answers at once.
"""

import argparse
from pathlib import Path

from lib.errors import OptionError

PROJECT = Path(__file__).resolve().parent
MODES = ("simsiam2d3d", "simsiam3d")
ORDERS = ("xzy", "zxy", "xyz", "yxz", "auto")
ARCHITECTURES = {
    "simsiam2d3d": ("simsiam2d3d_18", "simsiam2d3d_34", "simsiam2d3d_50"),
    "simsiam3d": ("simsiam2d_18", "simsiam2d_34", "simsiam2d_50"),
}


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
    options = parser.parse_args(arguments)
    return _finish(parser, options)


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
        type=int,
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
        help="umap keeps neighbourhoods and far order; tsne spreads small groups "
        "apart and is slower beyond 20,000 candidates (default: %(default)s)",
    )
    add(
        "--n_cluster",
        type=_positive,
        default=48,
        help="clusters to over-cluster into: several for each molecule you expect, "
        "people join them later (default: %(default)s)",
    )
    add(
        "--num_neighbor",
        type=_positive,
        default=40,
        help="neighbours a point is placed by; smaller shows finer groups, larger "
        "the whole; t-SNE's perplexity is a third of it (default: %(default)s)",
    )
    add(
        "--min_dist_umap",
        type=float,
        default=0.5,
        help="least distance of points in UMAP, 0 to 1; smaller packs groups "
        "tighter (default: %(default)s)",
    )
    add(
        "--min_dist_vis",
        type=float,
        default=1.3e-3,
        help="least squared distance of two thumbnails on the unit map; larger "
        "shows fewer (default: %(default)s)",
    )
    add(
        "--host",
        type=int,
        default=7000,
        help="port of the image links in the table, for those who serve imgs/ "
        "themselves; the interactive session needs none (default: %(default)s)",
    )
    _add_seed(parser)
    _add_workers(parser)
    options = parser.parse_args(arguments)
    options.path = options.path or options.input.parent
    return options


def heatmap_options(arguments=None):
    """Parse the command line of ``visualize_3dhm.py``."""
    parser = _parser("Paint the colours of the map back into the tomograms.")
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
    add("--image_txt", type=Path, help="image list that names the tomograms instead")
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
        type=_fraction,
        default=0.6,
        help="weight w of the grey tomogram in w x grey + (1 - w) x colours of the "
        "picture (default: %(default)s)",
    )
    add(
        "--radius",
        type=_positive,
        default=12,
        help="radius of a disc in voxels: about that of the particle "
        "(default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    options.color = options.color or options.input.parent / "all_colors.npy"
    options.dir_simsiam = options.dir_simsiam or options.input.parent
    return options


def session_options(arguments=None):
    """Parse the command line of ``phoenix_visualization.py``."""
    parser = _parser("Open the interactive session; it stays until Ctrl-C.")
    add = parser.add_argument
    add("--input", required=True, type=_path, help="interactive_info_parquet.gzip")
    add("--port", type=int, help="port of the page (default: first free from 6006 on)")
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
    add("--output", required=True, type=Path, help="file of the coordinates")
    add(
        "--if_double",
        action="store_true",
        help="double z in txt and csv: for tomograms that were read with --compress. "
        "The other formats undo --compress by themselves where the run knows of it; "
        "for exports that say nothing, give this",
    )
    add("--labels", help="only these clusters, such as 3,7-9")
    add("--exclude_labels", help="all but these clusters, such as 0,12-15")
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
        type=float,
        help="Angstrom, for star5 (default: what the run knows)",
    )
    add(
        "--tomo_size",
        help="x,y,z of the tomograms in voxels, for star5 and where z is mirrored "
        "(default: what the run knows)",
    )
    add(
        "--bin",
        type=float,
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
        default="0",
        help="GPU to use; -1 for the CPU; with torchrun each process takes its own "
        "(default: %(default)s)",
    )
    add(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto: train in bf16 where the GPU has it, embed in fp32 "
        "(default: %(default)s)",
    )
    _add_seed(group)
    _add_workers(group)


def _add_seed(group):
    group.add_argument(
        "--seed",
        type=int,
        default=42,
        help="the one seed of everything random (default: %(default)s)",
    )


def _add_workers(group):
    group.add_argument(
        "--num_workers",
        type=_count,
        default=None,
        help="processes that prepare data (default: as many as cores and 4 GB allow)",
    )


def _add_data(parser, *names):
    group = parser.add_argument_group("data")
    add = group.add_argument
    add(
        *dict.fromkeys(names),
        dest="img_txt",
        required=True,
        type=Path,
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
        type=int,
    )
    add(
        "--dog",
        "3,5",
        "sigmas of the Gaussians in voxels, ascending; a blob of radius r answers "
        "best around r / 1.7. Four or more, such as 2,3,4.5,7,10: small, large and "
        "hollow particles side by side, one candidate at the centre of each; lower "
        "--dog_std_multiplier then, to -0.2",
    )
    add(
        "--gauss",
        0.8,
        "sigma in voxels of the Gaussian that denoises tomogram and tilt images; "
        "above 1.5 small particles fade",
        type=float,
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
        type=int,
    )
    add(
        "--dog_boundary",
        30,
        "margin in x and y that has no candidates, voxels",
        type=int,
    )
    add(
        "--dog_std_multiplier",
        0.5,
        "threshold above the mean response, in std; larger keeps fewer candidates",
        type=float,
    )
    add(
        "--tilt_range",
        None,
        "2d3d: tilts within +- this many degrees make the tilt view (default: 40, and "
        "20 with --recipe milopyp)",
        type=float,
    )
    add(
        "--flip_tilt_angles",
        False if not inherited else None,
        "2d3d: the angle file has the opposite sign (Warp), or the tomogram is a "
        "mirror image (AreTomo's -FlipVol 1), which looks the same in projection",
        action=argparse.BooleanOptionalAction,
    )


def _add_model(parser, inherited=False):
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--arch",
        help="backbone: simsiam2d3d_18 or simsiam2d_18 (34 and 50 too: slower, "
        "rarely better on patches this small)",
    )
    add("--load_model", type=_path, help="checkpoint to start from")
    if inherited:
        return
    add(
        "--head_conv",
        type=_positive,
        default=128,
        help="length of the embedding (default: %(default)s)",
    )
    add(
        "--pretrained_model",
        default="imagenet",
        help="imagenet, none, or path of a ResNet checkpoint (default: %(default)s)",
    )


def _add_training(parser):
    group = parser.add_argument_group("training")
    add = group.add_argument
    add(
        "--recipe",
        choices=("default", "milopyp"),
        default="default",
        help="milopyp: plain SGD and initial weights as MiLoPYP's, to compare with "
        "(default: %(default)s)",
    )
    add(
        "--num_epochs",
        type=_positive,
        default=100,
        help="passes over all candidates; 100 to 300, below 20 the map says little "
        "(default: %(default)s)",
    )
    add(
        "--batch_size",
        type=_positive,
        default=256,
        help="candidates a step, over all GPUs; below 64 batch norm gets noisy "
        "(default: %(default)s)",
    )
    add(
        "--lr",
        type=float,
        default=1e-3,
        help="learning rate for a batch of 256; scaled by batch / 256 "
        "(default: %(default)s)",
    )
    add(
        "--lr_step",
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
        type=_positive,
        default=20,
        help="epochs between two kept models and health checks (default: %(default)s)",
    )
    add("--save_all", action="store_true", help="keep model_N.pth at each interval")
    add("--resume", action="store_true", help="go on from model_last.pth")
    add("--overwrite", action="store_true", help="replace an existing experiment")
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
    return argparse.ArgumentParser(
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _finish(parser, options):
    options.dataset = options.dataset or options.task
    if options.dataset != options.task:
        parser.error(
            f"--dataset {options.dataset} contradicts the mode {options.task}; "
            "both name the same thing"
        )
    choices = ARCHITECTURES[options.task]
    options.arch = options.arch or choices[0]
    if options.arch not in choices:
        parser.error(
            f"--arch {options.arch} does not fit {options.task}; "
            f"choose from {', '.join(choices)}"
        )
    if Path(options.exp_id).name != options.exp_id or options.exp_id in ("", ".", ".."):
        parser.error(f"--exp_id {options.exp_id!r} must be a plain folder name")
    return options


def _path(text):
    """Take a path as it is, or from the project folder when only that has it."""
    path = Path(text).expanduser()
    in_project = PROJECT / path
    return in_project if not path.exists() and in_project.exists() else path


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _count(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _fraction(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def patch_options(options):
    """Return what decides candidates and patches, as keywords of the library.

    Values that were not given are left out.
    """
    sigmas = None if options.dog is None else parse_sigmas(options.dog)
    named = {
        "box": options.bbox,
        "sigmas": sigmas,
        "gauss": options.gauss,
        "order": options.order,
        "compress": options.compress,
        "bright": options.bright,
        "dog_diameter": options.dog_diameter,
        "dog_boundary": options.dog_boundary,
        "dog_std_multiplier": options.dog_std_multiplier,
        "tilt_range": options.tilt_range,
        "flip_tilt_angles": options.flip_tilt_angles,
    }
    return {key: value for key, value in named.items() if value is not None}


def parse_sigmas(text):
    """Return the sigmas of ``--dog``: at least two numbers, positive, ascending."""
    try:
        sigmas = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(
            f"--dog {text!r} is not a list of numbers; expected such as 3,5"
        ) from error
    if len(sigmas) < 2:
        raise OptionError(
            f"--dog {text!r} has one sigma; a difference of Gaussians needs two or more"
        )
    ascending = all(a < b for a, b in zip(sigmas, sigmas[1:], strict=False))
    if not (ascending and sigmas[0] > 0 and sigmas[-1] < float("inf")):
        raise OptionError(f"--dog {text!r} must be positive and ascending, such as 3,5")
    return sigmas


def recipe_changes(options):
    """Return what the user wants otherwise than the recipe, as keywords."""
    steps = None
    if options.lr_step is not None:
        try:
            steps = tuple(int(part) for part in options.lr_step.split(","))
        except ValueError as error:
            raise OptionError(
                f"--lr_step {options.lr_step!r} is not a list of epochs such as 200,400"
            ) from error
    warm = None if options.warm is None else 0.05 * options.warm
    return {"cosine": options.cosine, "steps": steps, "warm": warm}
