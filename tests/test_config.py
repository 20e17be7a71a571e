"""opts.yaml repeats the run that wrote it, and is checked as the command line is."""

from pathlib import Path

import pytest
import torch

import opts
from lib.errors import OptionError
from lib.training.checkpoints import load_checkpoint
from tests.scripts import call

WORDS = (
    "--bbox 8 --dog 1.5,3 --order zxy --dog_boundary 6 --dog_diameter 8 --num_epochs 1 "
    "--batch_size 16 --lr 2e-3 --head_conv 16 --warm --seed 7 --gpus -1 --num_workers 0"
)


def parse(file, *words, mode="simsiam3d"):
    return opts.train_options([mode, "--config", str(file), *words])


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a file of options."""

    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write


def test_repeated_run_has_the_same_weights_and_options(data_set, tmp_path):
    files = ["--train_img_txt", data_set, "--exp_dir", tmp_path]
    call("simsiam_main.py", "simsiam3d", *WORDS.split(), *files, cwd=tmp_path)
    written = tmp_path / "simsiam3d" / "default" / "opts.yaml"
    again = ["--config", written, "--exp_id", "again"]
    call("simsiam_main.py", "simsiam3d", *again, cwd=tmp_path)
    first, second = (
        load_checkpoint(tmp_path / "simsiam3d" / name / "model_last.pth")
        for name in ("default", "again")
    )
    for name, value in first.state_dict.items():
        assert torch.equal(value, second.state_dict[name]), name
    one, two = (
        (tmp_path / "simsiam3d" / name / "opts.yaml").read_text()
        for name in ("default", "again")
    )
    assert one.replace("exp_id: default", "exp_id: again") == two
    resumed = ["--config", written, "--resume", "--num_epochs", "2"]
    call("simsiam_main.py", "simsiam3d", *resumed, cwd=tmp_path)
    path = tmp_path / "simsiam3d" / "default" / "model_last.pth"
    assert load_checkpoint(path).epoch == 2


def test_what_is_typed_stands_above_the_file(config):
    file = config(
        "mode: simsiam3d\ntrain_img_txt: a.txt\nbbox: 24\nlr: 1e-4\ndog: [3, 5.5]\n"
        "compress: true\nsave_all: true\ntilt_range: null\nno_cache: false\n"
    )
    options = parse(file, "--bbox", "48", "--no-compress")
    assert (options.bbox, options.compress, options.save_all) == (48, False, True)
    assert (options.lr, options.dog, options.img_txt) == (1e-4, "3,5.5", Path("a.txt"))
    assert {"bbox", "lr", "dog", "save_all"} <= options.typed
    assert "tilt_range" not in options.typed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bbox: 7", "argument --bbox: '7' given, expected an even number"),
        ("lr: fast", "argument --lr: 'fast' given, expected a number"),
        ("dog: 5,3", "argument --dog: '5,3' given, expected ascending"),
        ("order: zzz", "argument --order: invalid choice: 'zzz'"),
        ("exp_id: ../up", "--exp_id '../up' must be a plain folder name"),
        ("compress: 1", "argument --compress: '1' given, expected true or false"),
        ("lr: true", "argument --lr: True given, expected a value"),
        ("boxsize: 36", "boxsize is not an option"),
        ("help: true", "help is not an option"),
        ("mode: simsiam2d3d", "mode simsiam2d3d in the file, simsiam3d given"),
    ],
)
def test_bad_values_are_rejected_naming_file_and_key(config, capsys, text, said):
    file = config(f"train_img_txt: a.txt\n{text}\n")
    with pytest.raises(SystemExit) as stopped:
        parse(file)
    assert stopped.value.code == 2
    assert f"--config {file}: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("overwrite: true", "overwrite belongs on the command line"),
        ("bbox: {edge: 36}", "bbox holds a dict"),
        ("exp_id: 2026-11-25", "exp_id holds a date"),
        ("- bbox", "must hold a line for each option"),
        ("bbox: [36", "is not YAML"),
        ("bbox: !!python/name:os.system x", "is not YAML"),
    ],
)
def test_files_that_hold_no_options_are_rejected(config, text, said):
    file = config(f"{text}\n")
    with pytest.raises(OptionError, match=said) as caught:
        parse(file)
    assert str(file) in str(caught.value)


def test_list_may_come_from_the_file_and_must_come_from_somewhere(config, capsys):
    with pytest.raises(SystemExit):
        parse(config("bbox: 24\n"))
    assert "required: --train_img_txt" in capsys.readouterr().err


def test_missing_file_is_rejected(tmp_path):
    said = call(
        "simsiam_main.py", "simsiam3d", "--config", "nowhere.yaml", cwd=tmp_path, code=2
    ).stderr
    assert "nowhere.yaml" in said
