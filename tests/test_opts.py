"""The documented commands parse, mistakes are rejected, and every option counts."""

import argparse
import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import lib
import opts
from lib.run.candidate_options import CoordinateSettings, PatchSettings
from lib.run.config import options_of
from lib.run.given import patch_options, run_options
from lib.run.limits import UnfitError
from lib.run.options import ModelOptions, RunOptions, TrainingOptions

ROOT = Path(__file__).parents[1]
PARSERS = {
    "simsiam_main.py": opts.train_options,
    "simsiam_test_hm_2d3d.py": lambda words=None: opts.embed_options(
        "simsiam2d3d", words
    ),
    "simsiam_test_hm_3d.py": lambda words=None: opts.embed_options("simsiam3d", words),
    "plot_2d.py": opts.plot_options,
    "visualize_3dhm.py": opts.heatmap_options,
    "phoenix_visualization.py": opts.session_options,
    "interactive_to_training_coords.py": opts.coordinate_options,
}
KEPT = (RunOptions, PatchSettings, ModelOptions, TrainingOptions)
PARSING = {"train_options", "embed_options", "plot_options", "heatmap_options"}
PARSING |= {"session_options", "coordinate_options"}
SIGMAS = options_of(PatchSettings)["dog"].metadata["about"].limits
RUN = "exp/simsiam2d3d/test_sample"

DOCUMENTED = [
    "simsiam_main.py simsiam2d3d --num_epochs 300 --exp_id test_sample --bbox 36 "
    "--dataset simsiam2d3d --arch simsiam2d3d_18 --lr 1e-3 "
    "--train_img_txt sample_train_explore_img.txt --batch_size 256 "
    "--val_intervals 20 --save_all --gauss 0.8 --dog 3,5",
    "simsiam_main.py simsiam3d --num_epochs 300 --exp_id test_sample --bbox 36 "
    "--dataset simsiam3d --arch simsiam2d_18 --lr 1e-3 "
    "--train_img_txt sample_train_explore_img.txt --batch_size 256 "
    "--val_intervals 20 --save_all --gauss 0.8 --dog 3,5",
    "simsiam_test_hm_2d3d.py simsiam2d3d --exp_id test_sample --bbox 36 "
    "--dataset simsiam2d3d --arch simsiam2d3d_18 "
    "--test_img_txt sample_train_explore_img.txt "
    "--load_model exp/simsiam2d3d/test_sample/model_300.pth --gauss 0.8 --dog 3,5",
    "simsiam_test_hm_3d.py simsiam3d --exp_id test_sample --bbox 36 "
    "--dataset simsiam3d --arch simsiam2d_18 "
    "--test_img_txt sample_train_explore_img.txt "
    "--load_model exp/simsiam3d/test_sample/model_300.pth --gauss 0.8 --dog 3,5",
    f"plot_2d.py --input {RUN}/all_output_info.npz --n_cluster 48 --num_neighbor 40 "
    f"--mode umap --path {RUN}/ --min_dist_vis 1.3e-3",
    f"visualize_3dhm.py --input {RUN}/all_output_info.npz "
    f"--color {RUN}/all_colors.npy --dir_simsiam {RUN}/ --rec_dir sample_data/",
    f"phoenix_visualization.py --input {RUN}/interactive_info_parquet.gzip",
    "interactive_to_training_coords.py --input path_to_dir_of_parquets "
    "--output training_coordinates.txt",
]
TABLED = {
    "simsiam_main.py": "num_epochs exp_id bbox dataset arch lr train_img_txt "
    "training_img_txt batch_size val_intervals save_all gauss dog lr_step cosine warm "
    "num_workers seed pretrained_model load_model order compress tilt_range gpus",
    "plot_2d.py": "input n_cluster num_neighbor mode path host min_dist_umap "
    "min_dist_vis seed",
    "visualize_3dhm.py": "input color dir_simsiam rec_dir image_txt ext blend",
    "phoenix_visualization.py": "input port host images",
    "interactive_to_training_coords.py": "input output if_double labels "
    "exclude_labels format bin",
}
SHORTEST = {
    "simsiam_main.py": "simsiam3d --train_img_txt l.txt",
    "simsiam_test_hm_2d3d.py": "simsiam2d3d --test_img_txt l.txt --load_model m.pth",
    "simsiam_test_hm_3d.py": "simsiam3d --test_img_txt l.txt --load_model m.pth",
    "plot_2d.py": "--input e.npz",
    "visualize_3dhm.py": "--input e.npz --rec_dir .",
    "phoenix_visualization.py": "--input t.gzip",
    "interactive_to_training_coords.py": "--input . --output c.txt",
}


def parse(command):
    script, *words = shlex.split(command)
    return PARSERS[script](words)


@pytest.fixture
def parser_of(monkeypatch):
    """Return a function that gives the parser of a script."""

    class Caught(Exception):
        pass

    def catch(parser, *_args, **_kwargs):
        raise Caught(parser)

    def get(script):
        with monkeypatch.context() as patched, pytest.raises(Caught) as caught:
            patched.setattr(argparse.ArgumentParser, "parse_args", catch)
            PARSERS[script]()
        return caught.value.args[0]

    return get


@pytest.mark.parametrize("command", DOCUMENTED, ids=lambda c: " ".join(c.split()[:2]))
def test_documented_command_parses_to_what_it_says(command):
    options = vars(parse(command))
    options["train_img_txt"] = options["test_img_txt"] = options.get("img_txt")
    words = shlex.split(command)
    for option, text in zip(words, words[1:] + ["--"], strict=True):
        if not option.startswith("--"):
            continue
        value = options[option[2:]]
        if text.startswith("--"):
            assert value is True
        elif isinstance(value, (int, float)):
            assert value == float(text)
        elif isinstance(value, Path):
            # Named from the project folder, wherever the command is typed.
            assert value in (Path(text), ROOT / text)
        elif isinstance(value, list):
            assert value == [Path(text)]
        else:
            assert value == text


def test_commands_of_the_demo_parse():
    shown = subprocess.run(
        ["make", "--no-print-directory", "-n", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", "")
    commands = re.findall(r"^\.venv/bin/python (\w+\.py .*)$", shown, re.MULTILINE)
    assert [command.split()[0] for command in commands] == [
        "simsiam_test_hm_2d3d.py",
        "plot_2d.py",
        "simsiam_main.py",
        "simsiam_test_hm_2d3d.py",
        "plot_2d.py",
        "visualize_3dhm.py",
    ]
    for command in commands:
        assert parse(command)


@pytest.mark.parametrize("script", TABLED)
def test_every_option_of_the_document_exists(script, parser_of):
    spelled = {name for a in parser_of(script)._actions for name in a.option_strings}
    assert {f"--{name}" for name in TABLED[script].split()} <= spelled


@pytest.mark.parametrize("spelling", ["--train_img_txt", "--training_img_txt"])
def test_both_spellings_of_the_training_list(spelling):
    assert parse(f"simsiam_main.py simsiam3d {spelling} a.txt").img_txt == Path("a.txt")


@pytest.mark.parametrize("script", SHORTEST)
def test_everything_has_a_default_but_the_input(script):
    assert parse(f"{script} {SHORTEST[script]}")


@pytest.mark.parametrize("script", PARSERS)
def test_help_states_every_default(script, parser_of):
    parser = parser_of(script)
    for action in parser._actions:
        assert action.help, f"{action.dest} has no help"
        if action.default in (None, False, argparse.SUPPRESS):
            continue
        stated = parser._get_formatter()._expand_help(action)
        assert "(default: " in stated, f"--{action.dest} does not state its default"
        if action.dest != "exp_dir":
            assert str(action.default) in stated.split("(default: ")[1]


def options_read(name, tree, wanted):
    """Return what `options.<attribute>` the functions of a file read."""
    return {
        node.attr
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        and (wanted is None or function.name in wanted)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    }


def read_by(script):
    """Return the options a script reads, itself or through helpers it imports."""
    tree = ast.parse((ROOT / script).read_text(encoding="utf-8"))
    found = options_read("options", tree, None)
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.module == "opts":
            helpers = {alias.name for alias in node.names} - PARSING | {"_finish"}
            helpers |= {"_check_start"}
            text = (ROOT / "opts.py").read_text(encoding="utf-8")
            found |= options_read("options", ast.parse(text), helpers)
        if node.module == "lib.run.given":  # reads what the fields name, and the file
            helpers = {alias.name for alias in node.names}
            text = (ROOT / "lib" / "run" / "given.py").read_text(encoding="utf-8")
            found |= options_read("options", ast.parse(text), helpers)
            found |= {*options_of(CoordinateSettings)}
            if "run_options" in helpers:
                found |= {"config"}.union(*map(options_of, KEPT))
            if "inference_keywords" in helpers:
                found |= {"arch", "particle_diameter", *options_of(PatchSettings)}
    return found


@pytest.mark.parametrize("script", PARSERS)
def test_no_option_that_nothing_reads(script, parser_of):
    actions = parser_of(script)._actions
    defined = {action.dest for action in actions} - {"help", "version"}
    assert sorted(defined - read_by(script)) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("simsiam_main.py", "required: MODE"),
        ("simsiam_main.py simsiam4d --train_img_txt l", "simsiam4d"),
        ("simsiam_main.py simsiam3d", "--train_img_txt"),
        (
            "simsiam_main.py simsiam3d --dataset simsiam2d3d --train_img_txt l",
            "--dataset simsiam2d3d contradicts the mode simsiam3d",
        ),
        (
            "simsiam_main.py simsiam3d --arch simsiam2d3d_18 --train_img_txt l",
            "choose from simsiam2d_18",
        ),
        ("simsiam_main.py simsiam3d --arch alexnet --train_img_txt l", "alexnet"),
        (
            "simsiam_main.py simsiam3d --exp_id ../up --train_img_txt l",
            "plain folder name",
        ),
        (
            "simsiam_main.py simsiam3d --num_epochs 0 --train_img_txt l",
            "--num_epochs: '0'",
        ),
        ("simsiam_main.py simsiam3d --num_workers -1 --train_img_txt l", "-1"),
        ("simsiam_main.py simsiam3d --train_img l", "--train_img"),
        ("simsiam_test_hm_3d.py simsiam3d --test_img_txt l", "--load_model is missing"),
        ("simsiam_test_hm_3d.py simsiam2d3d --test_img_txt l", "simsiam3d"),
        ("simsiam_test_hm_2d3d.py simsiam3d --test_img_txt l", "simsiam2d3d"),
        ("plot_2d.py", "--input"),
        ("plot_2d.py --input e.npz --n_cluster 0", "a whole number from 1"),
        ("plot_2d.py --input e.npz --mode pca", "pca"),
        ("visualize_3dhm.py --rec_dir .", "--input"),
        (
            "visualize_3dhm.py --input e.npz --rec_dir . --blend 2",
            "a number from 0 to 1",
        ),
        (
            "visualize_3dhm.py --input e.npz --rec_dir . --image_txt l",
            "--rec_dir and --image_txt both say",
        ),
        ("visualize_3dhm.py --input e.npz --ext .mrc", "--ext is the ending"),
        (
            "simsiam_main.py simsiam3d --train_img_txt l --load_model m.pth "
            "--pretrained_model imagenet",
            "--load_model and --pretrained_model",
        ),
        (
            "simsiam_main.py simsiam3d --train_img_txt l --load_model builtin",
            "--load_model builtin embeds without training",
        ),
        (
            "interactive_to_training_coords.py --input . --output o --like a",
            "--top N or --min_score S",
        ),
        (
            "interactive_to_training_coords.py --input . --output o --like a "
            "--class b --top 3",
            "three ways to choose",
        ),
        ("interactive_to_training_coords.py --input .", "--output"),
    ],
)
def test_contradictions_are_rejected(command, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(command)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_paths_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("plot_2d.py --input nowhere.md").input == Path("nowhere.md")
    assert parse("plot_2d.py --input opts.py").input == ROOT / "opts.py"
    (tmp_path / "opts.py").touch()
    assert parse("plot_2d.py --input opts.py").input == Path("opts.py")


@pytest.mark.parametrize("text", ["3", "5,3", "3,3", "0,3", "-1,2", "3,inf", "nan,3"])
def test_sigmas_that_make_no_pyramid_are_rejected(text):
    with pytest.raises(UnfitError, match="given, expected"):
        SIGMAS.parse(text)


@pytest.mark.parametrize("text", ["a,b", "3;5", "", "3,,5"])
def test_sigmas_that_are_no_numbers_are_rejected(text):
    with pytest.raises(UnfitError, match="expected a number"):
        SIGMAS.parse(text)


def test_what_is_not_given_at_inference_is_left_to_the_checkpoint():
    options = parse(f"simsiam_test_hm_3d.py {SHORTEST['simsiam_test_hm_3d.py']}")
    assert patch_options(options) == {}
    command = f"simsiam_test_hm_3d.py {SHORTEST['simsiam_test_hm_3d.py']} --dog 3,5"
    assert patch_options(parse(command)) == {"sigmas": (3.0, 5.0)}


def test_steps_of_the_rate_are_epochs():
    training = "simsiam_main.py simsiam3d --train_img_txt l --lr_step"
    assert run_options(parse(f"{training} 200,400"))[1].training.steps == (
        200,
        400,
    )
    assert run_options(parse(f"{training} 200"))[1].training.steps == (200,)


@pytest.mark.parametrize("script", PARSERS)
def test_every_script_tells_its_version(script, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(f"{script} --version")
    assert stopped.value.code == 0
    assert capsys.readouterr().out.split()[-1] == lib.__version__


def test_what_was_typed_is_told_from_what_was_not():
    options = parse("simsiam_main.py simsiam3d --train_img_txt l --bbox 36 --lr 1e-3")
    chosen, typed = run_options(options)
    assert typed.given_values() == {"box": 36, "lr": 1e-3}
    assert chosen.patches.sigmas == (3.0, 5.0)
    assert chosen.training.batch_size == 256
