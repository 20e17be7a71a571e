"""Labeled sets, and the documented command line run on them."""

import subprocess
import sys
import time
from pathlib import Path

from lib.artifacts import EmbeddingTable, ExperimentDir
from lib.modes import MODES

PROJECT = Path(__file__).resolve().parents[1]
ARCH = {name: mode.architectures[0] for name, mode in MODES.items()}
INFERENCE = {
    "simsiam2d3d": "simsiam_test_hm_2d3d.py",
    "simsiam3d": "simsiam_test_hm_3d.py",
}
SETS = ("shapes", "low", "high")


def make_set(kind, folder, *, tomograms, size, seed, templates=None, halves=False):
    """Write a labeled set unless it is there.

    Parameters
    ----------
    kind : {"shapes", "low", "high"}
        Synthetic shapes, or proteins at one of two noise levels.
    folder : pathlib.Path
    tomograms : int
    size : tuple of int
        (x, y, z) [voxels].
    seed : int
    templates : pathlib.Path, optional
        Folder of the protein densities.
    halves : bool
        Write half tomograms of the proteins as well.

    Returns
    -------
    pathlib.Path
        The image list.
    """
    image_list = folder / "image_list.txt"
    if image_list.is_file():
        return image_list
    script = ["sample_data/make_synthetic.py"]
    if kind != "shapes":
        script = ["benchmarks/simulate.py", "--noise", kind]
        script += ["--templates", templates] if templates else []
        script += ["--halves"] if halves else []
    numbers = ["--tomograms", tomograms, "--seed", seed, "--size", *size]
    run(*script, "--out", folder, *numbers)
    return image_list


def run(script, *arguments):
    """Run a script of the project; return the seconds it took."""
    command = [sys.executable, PROJECT / script, *arguments]
    started = time.monotonic()
    subprocess.run([str(part) for part in command], check=True)
    return time.monotonic() - started


def train_and_embed(image_list, exp_dir, exp_id, mode, *, epochs, seed, gpus, extra=()):
    """Train and embed by the documented commands unless that was done.

    Parameters
    ----------
    image_list : pathlib.Path
    exp_dir : pathlib.Path
    exp_id : str
    mode : str
        Key of `lib.modes.MODES`.
    epochs, seed : int
    gpus : str
    extra : sequence of str
        Further options of training: ``--bbox``, ``--batch_size``, ``--recipe``.

    Returns
    -------
    checkpoint : pathlib.Path
    table : EmbeddingTable
    """
    experiment = ExperimentDir.of(exp_dir, mode, exp_id)
    checkpoint = experiment.checkpoint("last")
    common = [mode, "--dataset", mode, "--exp_id", exp_id, "--exp_dir", exp_dir]
    common += ["--arch", ARCH[mode], "--gpus", gpus]
    if not experiment.embeddings.is_file():
        run(
            "simsiam_main.py",
            *common,
            *("--train_img_txt", image_list, "--num_epochs", epochs, "--seed", seed),
            *("--lr", "1e-3", "--gauss", 0.8),
            *("--pretrained_model", "none", "--overwrite"),
            *extra,
        )
        run(
            INFERENCE[mode],
            *common,
            *("--test_img_txt", image_list, "--load_model", checkpoint),
        )
    return checkpoint, EmbeddingTable.load(experiment.embeddings)
