"""The documented commands, as a user runs them, from another folder.

In 2d3d mode each is a process of its own, in a copy of the project; in 3d mode only
inference, the one script that the other mode does not run.
"""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from lib.artifacts import EmbeddingTable, InteractiveTable
from lib.modes import MODES
from tests.scripts import PROJECT, call, start

INFERENCE = {
    "simsiam2d3d": "simsiam_test_hm_2d3d.py",
    "simsiam3d": "simsiam_test_hm_3d.py",
}
ARCH = {name: mode.architectures[0] for name, mode in MODES.items()}
LIST = "sample_train_explore_img.txt"


def run(project, command, *more, cwd=None):
    """Run a documented command line, by default from another folder.

    Returns
    -------
    str
        What it printed.
    """
    script, *arguments = command.split()
    done = start(project / script, *arguments, *more, cwd=cwd or project.parent)
    return done.stdout


def run_here(project, command):
    """Run a documented command line in this process, its files those of a copy."""
    command = re.sub(r" (exp|sample_data)/", rf" {project}/\1/", command)
    script, *arguments = command.split()
    listed = project / "sample_data" / "image_list.txt"
    arguments = [listed if word == LIST else word for word in arguments]
    if script == "simsiam_main.py":
        arguments += ["--exp_dir", project / "exp", "--num_workers", 0]
    return call(script, *arguments, cwd=project.parent).stdout


def train_command(mode):
    """The documented training command with 2 epochs for 300."""
    return (
        f"simsiam_main.py {mode} --num_epochs 2 --exp_id test_sample --bbox 36 "
        f"--dataset {mode} --arch {ARCH[mode]} --lr 1e-3 --train_img_txt {LIST} "
        "--batch_size 256 --val_intervals 1 --save_all --gauss 0.8 --dog 3,5"
    )


def infer_command(mode):
    """The documented inference command with the model of epoch 2 for 300."""
    return (
        f"{INFERENCE[mode]} {mode} --exp_id test_sample --bbox 36 --dataset {mode} "
        f"--arch {ARCH[mode]} --test_img_txt {LIST} --load_model "
        f"exp/{mode}/test_sample/model_2.pth --gauss 0.8 --dog 3,5"
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project whose sample is a small synthetic set."""
    copy = tmp_path_factory.mktemp("elsewhere") / "project"
    copy.mkdir()
    for path in [*PROJECT.glob("*.py"), PROJECT / "lib"]:
        place = copy / path.name
        if path.is_dir():
            shutil.copytree(path, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, place)
    size = ("--size", 112, 112, 48, "--noise", 0.5, "--tilt_step", 6)
    make = ("sample_data/make_synthetic.py", "--out", copy / "sample_data", *size)
    call(*make, cwd=copy)
    (copy / "data").mkdir()
    listed = (copy / "sample_data" / "image_list.txt").read_text()
    listed = re.sub(r"(?<=\t)(?=synthetic)", "sample_data/", listed)
    (copy / "data" / LIST).write_text(listed)
    return copy


@pytest.fixture(scope="module", params=["simsiam2d3d", "simsiam3d"])
def pipeline(request, project):
    """Everything the document runs in one mode; the folder of its artifacts."""
    mode = request.param
    command = run if mode == "simsiam2d3d" else run_here
    said = command(project, train_command(mode))
    assert "--batch_size shrinks to" in said
    run(project, infer_command(mode))
    command(
        project,
        f"plot_2d.py --input exp/{mode}/test_sample/all_output_info.npz --n_cluster 6 "
        f"--num_neighbor 40 --mode umap --path exp/{mode}/test_sample/ "
        "--min_dist_vis 1.3e-3",
    )
    painted = command(
        project,
        f"visualize_3dhm.py --input exp/{mode}/test_sample/all_output_info.npz --color "
        f"exp/{mode}/test_sample/all_colors.npy --dir_simsiam exp/{mode}/test_sample/ "
        "--rec_dir sample_data/",
    )
    assert "napari" in painted.splitlines()[-1]
    return mode, project / "exp" / mode / "test_sample"


def test_training_leaves_the_documented_files(pipeline):
    _, folder = pipeline
    for name in ("1", "2", "last", "best"):
        content = torch.load(folder / f"model_{name}.pth", weights_only=True)
        assert {"epoch", "state_dict", "optimizer"} <= set(content)
        assert content["record"]["orders"] == ["xzy"]  # what came of --order
    options = (folder / "opts.txt").read_text()
    for word in ("command:", "torch: 2", "bbox: 36", "dog: 3,5", "seed: 42"):
        assert word in options
    log = (folder / "log.txt").read_text().splitlines()
    assert [line.split(" | ")[0] for line in log] == ["epoch 1", "epoch 2"]
    assert (folder / "candidates_synthetic_00.png").stat().st_size > 10_000


def test_npz_has_the_documented_content(pipeline):
    mode, folder = pipeline
    with np.load(folder / "all_output_info.npz", allow_pickle=False) as stored:
        count = len(stored["name"])
        shapes = {
            key: (stored[key].shape, stored[key].dtype.str[1:]) for key in stored.files
        }
    assert count >= 6  # the clusters of the map
    assert shapes["pred"] == shapes["proj"] == ((count, 128), "f4")
    assert shapes["coords"] == ((count, 3), "i8")
    assert shapes["subvol"] == ((count, 1, 36, 36), "f4")
    assert ("subvols_2d" in shapes) == (mode == "simsiam2d3d")
    assert shapes.get("subvols_2d", shapes["subvol"]) == shapes["subvol"]


def test_rows_are_the_same_in_every_artifact(pipeline):
    _, folder = pipeline
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    picked = InteractiveTable.load(folder / "interactive_info_parquet.gzip")
    colors = np.load(folder / "all_colors.npy")
    assert colors.shape == (len(table), 3)
    assert colors.dtype == np.uint8
    np.testing.assert_array_equal(picked.name, table.name)
    np.testing.assert_array_equal(picked.coord, table.coords)
    np.testing.assert_array_equal(picked.embeddings, table.pred)
    assert picked.fingerprint == table.fingerprint
    assert set(picked.label) <= set(range(6))
    assert picked.image[7] == "http://localhost:7000/imgs/7.png"
    pictures = sorted(int(p.stem) for p in (folder / "imgs").glob("*.png"))
    assert pictures == list(range(len(table)))
    shown = np.asarray(Image.open(folder / "imgs" / "7.png").convert("L"), float)
    patch = np.asarray(
        Image.fromarray(table.subvol[7, 0]).resize(shown.shape[::-1]), float
    )
    assert np.corrcoef(shown.ravel(), patch.ravel())[0, 1] > 0.9


def test_maps_are_pictures(pipeline):
    _, folder = pipeline
    for name in ("2d_visualization_out.png", "2d_visualization_labels.png"):
        picture = np.asarray(Image.open(folder / name).convert("RGB"))
        assert min(picture.shape[:2]) > 600
        assert picture[:5, :5].min() > 230  # light background
        assert picture.std() > 10


def test_painted_tomograms_carry_the_colors_where_the_candidates_are(pipeline):
    _, folder = pipeline
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    colors = np.load(folder / "all_colors.npy")
    gray = np.load(folder / "synthetic_00_rec3d.npy", mmap_mode="r")
    painted = np.load(folder / "synthetic_00_hm3d_simsiam.npy", mmap_mode="r")
    assert gray.shape == painted.shape == (48, 112, 112, 3)
    assert gray.dtype == painted.dtype == np.uint8
    for row in np.flatnonzero(table.name == "synthetic_00"):
        x, y, z = table.coords[row]
        assert painted[z, y, x].tolist() == colors[row].tolist()


def test_converter_makes_training_coordinates(pipeline, tmp_path):
    _, folder = pipeline
    exports = tmp_path / "exports"
    exports.mkdir()
    table = InteractiveTable.load(folder / "interactive_info_parquet.gzip")
    shutil.copy(folder / "interactive_info_parquet.gzip", exports / "a.parquet")
    run(
        PROJECT,
        "interactive_to_training_coords.py --input exports --output "
        "training_coordinates.txt",
        cwd=tmp_path,
    )
    lines = (tmp_path / "training_coordinates.txt").read_text().splitlines()
    assert lines[0] == "image_name\tx_coord\ty_coord\tz_coord"
    x, y, z = table.coord[0]
    assert lines[1] == f"{table.name[0]}\t{x}\t{y}\t{z}"
    assert len(lines) == len(table) + 1


def test_real_sample_runs_with_one_epoch(tmp_path):
    """Few candidates and a small box, for time; the geometry check runs in full."""
    train = f"--training_img_txt {LIST} --num_epochs 1 --bbox 16 --batch_size 64"
    done = call(
        *("simsiam_main.py", "simsiam2d3d", *train.split()),
        *("--dog_std_multiplier", 3, "--exp_dir", tmp_path, "--num_workers", 0),
        cwd=tmp_path,
    )
    assert "trained 1 epochs" in done.stdout
    folder = tmp_path / "simsiam2d3d" / "default"
    call(
        *("simsiam_test_hm_2d3d.py", "simsiam2d3d", "--test_img_txt", LIST),
        *("--load_model", folder / "model_last.pth", "--exp_dir", tmp_path),
        cwd=tmp_path,
    )
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    assert set(table.name) == {"ts254"}
    assert table.record.tomogram("ts254").voxel_size == pytest.approx(20)
    assert np.isfinite(table.pred).all()


ERRORS = {
    "odd box": ("--bbox 35", "expected an even number from 8"),
    "large box": ("--bbox 120", "no room for patches of --bbox 120"),
    "one sigma": ("--dog 3", "expected two or more sigmas"),
    "descending": ("--dog 5,3", "ascending"),
    "unknown arch": ("--arch simsiam2d3d_19", "choose from simsiam2d3d_18"),
    "no list": ("--train_img_txt nowhere.txt", "nowhere.txt"),
    "contradiction": ("--dataset simsiam3d", "contradicts the mode"),
    "no checkpoint": ("--load_model nowhere.pth", "nowhere.pth does not exist"),
    "no candidates": ("--dog_std_multiplier 1e9", "no candidates in any tomogram"),
    "nothing to resume": ("--resume", "model_last.pth does not exist"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do_and_write_nothing(project, tmp_path, name):
    options, words = ERRORS[name]
    listed = project / "sample_data" / "image_list.txt"
    folders = ("--exp_dir", tmp_path / "exp", "--cache_dir", project / "cache")
    done = call(
        *("simsiam_main.py", "simsiam2d3d", "--num_epochs", 1),
        *("--train_img_txt", listed, "--num_workers", 0, *folders, *options.split()),
        cwd=tmp_path,
        code=2,
    )
    assert words in done.stderr
    assert not list((tmp_path / "exp").rglob("model_*"))
    assert not list((tmp_path / "exp").rglob("*.txt"))


@pytest.mark.parametrize(
    "command",
    [
        "simsiam_main.py simsiam3d --train_img_txt nowhere",
        "simsiam_test_hm_2d3d.py simsiam2d3d --test_img_txt a --load_model nowhere",
        "simsiam_test_hm_3d.py simsiam3d --test_img_txt a --load_model nowhere",
        "plot_2d.py --input nowhere",
        "visualize_3dhm.py --input nowhere --rec_dir .",
        "phoenix_visualization.py --input nowhere",
        "interactive_to_training_coords.py --input nowhere --output out.txt",
    ],
    ids=lambda command: command.split()[0],
)
def test_every_script_says_in_one_line_what_is_missing(tmp_path, command):
    script, *arguments = command.split()
    done = call(script, *arguments, cwd=tmp_path, code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script}: error: ")
    assert "nowhere" in line
    assert not list(tmp_path.iterdir())
