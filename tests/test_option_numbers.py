"""Numbers on the command line are checked before anything else happens."""

import argparse
import importlib
import sys

import pytest

from lib.errors import run_script

SHORTEST = {
    "simsiam_main": "simsiam3d --train_img_txt l.txt",
    "simsiam_test_hm_2d3d": "simsiam2d3d --test_img_txt l.txt --load_model m.pth",
    "simsiam_test_hm_3d": "simsiam3d --test_img_txt l.txt --load_model m.pth",
    "plot_2d": "--input e.npz",
    "visualize_3dhm": "--input e.npz",
    "phoenix_visualization": "--input t.gzip",
    "interactive_to_training_coords": "--input . --output c.txt",
}
# What takes any text: paths, names, addresses. All else must be a number, a list of
# numbers or one of several words, and is held to that below.
TEXTS = {"img_txt", "exp_id", "exp_dir", "cache_dir", "arch", "load_model", "input"}
TEXTS |= {"pretrained_model", "path", "color", "dir_simsiam", "rec_dir", "image_txt"}
TEXTS |= {"ext", "only", "output", "help", "config", "like", "teach", "named"}
TEXTS |= {"coords", "exclude_coords"}
SIGNED = {"dog_std_multiplier", "gpus", "min_score"}  # where -1 says something
NO_NUMBERS = ["nan", "inf", "many", "", "9" * 5000, "1e999", "0x10", "3;5"]

WRONG = {
    "simsiam_main": {
        "seed": ["-1", "4294967296", "1.5"],
        "lr": ["-1", "0", "nan", "inf", "1e300"],
        "bbox": ["0", "-8", "6", "35", "36.0", "100000"],
        "dog": ["3", "5,3", "3,3", "0,3", "nan,3", "3,inf", "3,,5", "3,1e9"],
        "gauss": ["-0.5", "nan", "inf", "51"],
        "dog_diameter": ["0", "-3", "nan"],
        "dog_boundary": ["-1", "2.5"],
        "dog_std_multiplier": ["nan", "inf", "1e10"],
        "tilt_range": ["-1", "91", "nan"],
        "head_conv": ["0", "1", "1000000"],
        "lr_step": ["-200", "0", "soon", "200;400", "200,nan"],
        "num_epochs": ["0", "-1", "1e3", "9" * 30],
        "batch_size": ["0", "2", "nan"],
        "val_intervals": ["0", "-20"],
        "num_workers": ["-1", "nan", "1000000"],
        "gpus": ["first", "nan", "-2"],
        "exclude_distance": ["-1", "nan"],
        "coords_bin": ["0", "nan"],
        "coords_voxel_size": ["0", "-1", "inf"],
    },
    "simsiam_test_hm_2d3d": {"batch_size": ["0", "-1"], "tilt_range": ["120"]},
    "simsiam_test_hm_3d": {
        "batch_size": ["0", "-1", "1.5"],
        "seed": ["-1"],
        "bbox": ["7"],
    },
    "plot_2d": {
        "seed": ["-1"],
        "min_dist_umap": ["2", "-0.1", "nan"],
        "min_dist_vis": ["-1", "nan", "inf"],
        "num_neighbor": ["1", "0"],
        "n_cluster": ["0", "-48"],
        "host": ["0", "65536", "localhost"],
        "num_workers": ["-1"],
    },
    "visualize_3dhm": {"radius": ["0", "1000000"], "blend": ["-0.1", "1.1", "nan"]},
    "phoenix_visualization": {"port": ["0", "65536", "-1", "http"]},
    "interactive_to_training_coords": {
        "voxel_size": ["0", "-1", "nan", "inf"],
        "bin": ["0", "-1", "nan"],
        "top": ["0", "-1", "nan"],
        "min_score": ["2", "-1.5", "nan"],
        "tomo_size": ["10,20", "10,20,0", "10,20,nan", "-1,2,3"],
        "labels": ["a", "3,", "1.5"],
        "exclude_labels": ["-", "nan"],
    },
}


def start(script, *words):
    """Run a script in this process as its command line would; return the exit code."""
    main = importlib.import_module(script).main
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(sys, "argv", [f"{script}.py", *words])
        run_script(main)
    return stopped.value.code


def parser_of(script):
    """Return the parser that a script makes."""
    caught = []

    def catch(parser, *_):
        caught.append(parser)
        sys.exit()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", catch)
        start(script)
    return caught[0]


def numeric(script):
    """Yield the options of a script that are neither text, a word nor a switch."""
    for action in parser_of(script)._actions:
        switch = action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction)
        named = action.dest in ("host", "allow_host")
        address = script == "phoenix_visualization" and named
        if action.dest not in TEXTS and not (action.choices or switch or address):
            yield action


@pytest.mark.parametrize(
    ("script", "option", "value"),
    [(s, o, v) for s, by in WRONG.items() for o, values in by.items() for v in values],
    ids=lambda text: text[:24],
)
def test_number_that_makes_no_sense_is_rejected_at_the_door(
    script, option, value, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert start(script, *SHORTEST[script].split(), f"--{option}={value}") == 2
    said = capsys.readouterr().err
    *_, last = said.splitlines()
    assert f"--{option}" in last
    assert value[:40] in last or any(part in last for part in value.split(","))
    assert "expected" in last
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SHORTEST)
def test_no_numeric_option_is_forgotten(script):
    actions = list(numeric(script))
    assert {a.dest for a in actions} >= set(WRONG[script])
    for action in actions:
        negative = [] if action.dest in SIGNED else ["-1"]
        for text in [*NO_NUMBERS, *negative]:
            assert action.type is not None, f"{action.dest} takes any text"
            with pytest.raises(argparse.ArgumentTypeError, match="given, expected"):
                action.type(text)
                pytest.fail(f"--{action.dest} takes {text!r}")


@pytest.mark.parametrize("script", SHORTEST)
def test_defaults_are_values_that_may_be_given(script):
    for action in numeric(script):
        if action.default is not None:
            assert action.type(str(action.default)) == action.default


@pytest.mark.parametrize(
    ("script", "option", "values"),
    [
        ("simsiam_main", "seed", [0, 2**32 - 1]),
        ("simsiam_main", "bbox", [8, 1024]),
        ("simsiam_main", "lr", [1e-9, 10]),
        ("simsiam_main", "dog_std_multiplier", [-0.2, 0, 3]),
        ("simsiam_main", "gpus", ["-1", "0,1"]),
        ("simsiam_main", "tilt_range", [0, 90]),
        ("plot_2d", "min_dist_umap", [0, 1]),
        ("plot_2d", "min_dist_vis", [0]),
        ("phoenix_visualization", "port", [1, 65535]),
        ("interactive_to_training_coords", "labels", ["3,7-9", "0"]),
        ("interactive_to_training_coords", "tomo_size", ["960,928,300"]),
    ],
)
def test_values_at_the_ends_are_taken(script, option, values):
    action = next(a for a in numeric(script) if a.dest == option)
    assert [action.type(str(value)) for value in values] == values
