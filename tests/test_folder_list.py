"""Folders in place of image lists, and --make_list, as a user types them."""

import shutil

import numpy as np
import pytest

import opts
from lib.artifacts import EmbeddingTable, ExperimentDir
from lib.artifacts.experiment import adopt_list, place_of_list
from lib.training.checkpoints import load_checkpoint
from tests import program_files as made
from tests.data_sets import write_data_set
from tests.scripts import call

TRAIN = (
    "--bbox 8 --dog 1.5,3 --order zxy --dog_boundary 6 --dog_diameter 8 --num_epochs 1 "
    "--batch_size 16 --head_conv 16 --gpus -1 --num_workers 0 --pretrained_model none"
)


def make_list(folder, *words, code=0):
    return call("simsiam_main.py", *words, cwd=folder, code=code)


def test_folder_is_trained_on_and_embedded(tmp_path):
    data = tmp_path / "my data"
    write_data_set(data).unlink()
    where = ["--exp_dir", tmp_path / "exp"]
    given = ["--train_img_txt", data, *where, *TRAIN.split()]
    done = call("simsiam_main.py", "simsiam3d", *given, cwd=tmp_path)
    assert "2 tomograms in 6 files below" in done.stdout
    run = tmp_path / "exp" / "simsiam3d" / "default"
    text = (run / "train_list.txt").read_text()
    assert f'"{data / "tomo1.rec"}"' in text
    assert str(run / "train_list.txt") in (run / "opts.yaml").read_text()
    shutil.copy(data / "tomo1.rec", data / "later.rec")  # no tomogram of the run
    more = [*given, "--resume", "--num_epochs", 2]
    call("simsiam_main.py", "simsiam3d", *more, cwd=tmp_path)
    record = load_checkpoint(run / "model_last.pth").record
    assert list(record.tomograms) == ["tomo1", "tomo2"]
    call("simsiam_main.py", "simsiam3d", *given, "--dry_run", cwd=tmp_path)
    assert (run / "train_list.txt").read_text() == text  # what the run was trained on
    assert "later.rec" in (run / "new_list.txt").read_text()
    call(
        "simsiam_test_hm_3d.py",
        "simsiam3d",
        *["--test_img_txt", data, "--load_model", run / "model_last.pth", *where],
        *["--gpus", "-1", "--num_workers", "0"],
        cwd=tmp_path,
    )
    table = EmbeddingTable.load(run / "all_output_info.npz")
    assert set(np.unique(table.name)) == {"tomo1", "tomo2", "later"}


def test_list_of_a_run_that_is_replaced_takes_its_place_when_that_goes(tmp_path):
    experiment = ExperimentDir(tmp_path)
    assert place_of_list(experiment, resume=False) == experiment.training_list
    assert adopt_list(experiment, experiment.training_list) == experiment.training_list
    experiment.training_list.write_text("old")
    experiment.checkpoint("last").touch()
    assert place_of_list(experiment, resume=True) == experiment.training_list
    assert place_of_list(experiment, resume=False) == experiment.new_list
    experiment.new_list.write_text("new")
    assert adopt_list(experiment, experiment.new_list) == experiment.training_list
    assert experiment.training_list.read_text() == "new"
    assert not experiment.new_list.exists()
    mine = tmp_path / "mine.txt"
    assert adopt_list(experiment, mine) == mine


def test_make_list_of_several_folders(tmp_path):
    made.etomo(tmp_path / "a", "TS_01")
    made.warp(tmp_path / "b", "TS_02")
    done = make_list(tmp_path, "--make_list", "a", "b", "--output", "lists/all.txt")
    header, *rows = (tmp_path / "lists" / "all.txt").read_text().splitlines()[1:]
    assert header.split("\t") == [
        *["image_name", "rec_path", "rec_even", "rec_odd", "tilt_path", "angle_path"]
    ]
    assert [row.split("\t")[0] for row in rows] == ["TS_01", "TS_02"]
    assert "only for simsiam3d: 1 of 2" in done.stdout
    assert "left out: " in done.stdout
    words = ["simsiam2d3d", "--make_list", "a", "b", "--output", "lists/both.txt"]
    make_list(tmp_path, *words)
    assert "TS_02\t" not in (tmp_path / "lists" / "both.txt").read_text()


def test_list_that_exists_is_kept_unless_told_otherwise(tmp_path):
    made.volume(tmp_path / "a" / "t.rec")
    (tmp_path / "mine.txt").write_text("mine")
    words = ["--make_list", "a", "--output", "./mine.txt"]
    done = make_list(tmp_path, *words, code=2)
    assert "exists: choose another name, or give --overwrite" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"
    make_list(tmp_path, *words, "--overwrite")
    assert "t.rec" in (tmp_path / "mine.txt").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--make_list nowhere --output ./l.txt", "nowhere is not a folder"),
        ("--make_list . --output ./l.txt", "no tomogram found"),
        ("simsiam2d3d --make_list raw --output ./l.txt", "none with an aligned"),
        ("--make_list raw", "--output"),
        ("--make_list raw --output ./raw --overwrite", "raw is a folder: name a file"),
    ],
)
def test_nothing_is_written_when_nothing_can_be_listed(tmp_path, words, said):
    if "raw" in words:
        made.volume(tmp_path / "raw" / "t.rec")
        made.series(tmp_path / "raw" / "t.st")
    done = make_list(tmp_path, *words.split(), code=2)
    assert said in done.stderr
    assert not (tmp_path / "l.txt").exists()


def test_list_that_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.artifacts.folder_list.LARGEST_TEXT", 100)
    made.volume(tmp_path / "a" / "t.rec")
    done = make_list(tmp_path, "--make_list", "a", "--output", "./l.txt", code=2)
    assert "give fewer folders" in done.stderr
    assert not (tmp_path / "l.txt").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my.txt", opts.PROJECT / "data" / "my.txt"),
        ("data/my.txt", opts.PROJECT / "data" / "my.txt"),
        ("here/my.txt", "here/my.txt"),
        ("new/my.txt", "new/my.txt"),
    ],
)
def test_new_list_is_put_where_it_is_looked_up(tmp_path, monkeypatch, text, expected):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    options = opts.list_options(["--make_list", "here", "--output", text])
    assert str(options.output) == str(expected)
