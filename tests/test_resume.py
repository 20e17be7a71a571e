"""A resumed run is the run it was: its options come from the checkpoint."""

import os
import re
from dataclasses import replace

import mrcfile
import numpy as np
import pytest
import torch

from lib.artifacts import EmbeddingTable
from lib.errors import OptionError
from lib.run.options import RunOptions
from lib.training.checkpoints import load_checkpoint
from lib.training.inference import TrainedRun
from lib.training.resume import resumed_options
from tests.data_sets import write_data_set
from tests.records import make_record
from tests.scripts import call

OPTIONS = (
    "--bbox 8 --dog 1.5,3 --order zxy --dog_boundary 6 --dog_diameter 8 "
    "--batch_size 16 --lr 2e-3 --head_conv 16 --val_intervals 1"
)
MACHINE = "--gpus -1 --num_workers 0"


@pytest.fixture
def train(data_set, tmp_path):
    """Return a function that trains in tmp_path on the small data set."""

    def run(text, listed=data_set, code=0):
        words = f"simsiam3d {text} {MACHINE}".split()
        files = ["--train_img_txt", listed, "--exp_dir", tmp_path]
        return call("simsiam_main.py", *words, *files, cwd=tmp_path, code=code)

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "simsiam3d" / "default"


def checkpoint(folder):
    return load_checkpoint(folder / "model_last.pth")


def test_resume_takes_every_option_from_the_checkpoint(train, folder, tmp_path):
    train(f"{OPTIONS} --num_epochs 1 --recipe milopyp --cosine --seed 7")
    first = checkpoint(folder)
    commanded = (folder / "opts.txt").read_text()
    train("--resume --num_epochs 2")
    second = checkpoint(folder)
    assert second.epoch == 2
    longer = replace(first.record.options.training, num_epochs=2)
    options = replace(first.record.options, training=longer)
    assert second.record.options == options
    assert options.seed == 7
    for part in ("normalization", "tomograms", "n_candidates"):
        assert getattr(second.record, part) == getattr(first.record, part)
    assert second.record.lineage == replace(first.record.lineage, epoch=2)
    noted = (folder / "opts.txt").read_text()
    assert noted.startswith(commanded)
    assert "resumed after epoch 1" in noted


def test_resumed_run_equals_one_that_was_never_cut(train, folder):
    train(f"{OPTIONS} --num_epochs 2 --save_all")
    whole = checkpoint(folder).state_dict
    (folder / "model_1.pth").replace(folder / "model_last.pth")  # as it stood then
    train("--resume")
    for name, value in checkpoint(folder).state_dict.items():
        assert torch.equal(value, whole[name]), name


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--bbox 12", "--bbox 12 given, 8 in training"),
        ("--dog 2,4", "--dog 2,4 given, 1.5,3 in training"),
        ("--gauss 1", "--gauss 1.0 given, 0.8 in training"),
        ("--compress", "--compress True given, False in training"),
        ("--batch_size 32", "--batch_size 32 given, 16 in training"),
        ("--lr 1e-3", "--lr 0.001 given, 0.002 in training"),
        ("--recipe milopyp", "--recipe simsiam given, contrastive in training"),
        ("--no-cosine", "--cosine False given, True in training"),
        ("--lr_step 5", "--lr_step 5 given"),
        ("--head_conv 32", "--head_conv 32 given, 16 in training"),
        ("--arch simsiam2d_34", "--arch simsiam2d_34 given, simsiam2d_18"),
        ("--seed 3", "--seed 3 given, 42 in training"),
        ("--pretrained_model imagenet", "imagenet given, builtin in training"),
    ],
)
def test_option_typed_otherwise_is_rejected_and_nothing_rewritten(
    train, folder, trained_once, typed, told
):
    before = (folder / "model_last.pth").read_bytes()
    assert told in train(f"--resume --num_epochs 2 {typed}", code=2).stderr
    assert (folder / "model_last.pth").read_bytes() == before


@pytest.fixture(scope="module")
def one_run(data_set, tmp_path_factory):
    """The content of an experiment folder of one epoch."""
    root = tmp_path_factory.mktemp("once")
    words = f"simsiam3d {OPTIONS} {MACHINE} --num_epochs 1".split()
    files = ["--train_img_txt", data_set, "--exp_dir", root]
    call("simsiam_main.py", *words, *files, cwd=root)
    folder = root / "simsiam3d" / "default"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def trained_once(one_run, folder):
    """Put an experiment of one epoch into tmp_path."""
    folder.mkdir(parents=True)
    for name, content in one_run.items():
        (folder / name).write_bytes(content)


def test_options_typed_again_as_they_were_are_no_contradiction(train, trained_once):
    again = f"{OPTIONS} --recipe default --arch simsiam2d_18 --precision auto"
    train(f"--resume --num_epochs 1 {again}")


def test_resuming_on_other_tomograms_is_rejected(train, folder, tmp_path, trained_once):
    other = write_data_set(tmp_path / "other", names=("tomo1", "tomo3"))
    before = (folder / "model_last.pth").read_bytes()
    said = train("--resume --num_epochs 2", listed=other, code=2).stderr
    assert "trained on 2 tomograms (tomo1, tomo2)" in said
    assert (folder / "model_last.pth").read_bytes() == before


def test_resuming_on_other_files_of_the_same_names_is_told(
    train, data_set, tmp_path, trained_once
):
    moved = write_data_set(tmp_path / "moved")
    set_voxel_size(tmp_path / "moved" / "tomo2.rec", 13.5)
    done = train("--resume --num_epochs 1", listed=moved)
    note = next(line for line in done.stdout.splitlines() if line.startswith("note: "))
    assert "2 of 2 tomograms" in note
    assert f"{tmp_path}/moved/tomo1.rec instead of {data_set.parent}/tomo1.rec" in note
    assert (
        "voxels are of 13.5 Angstrom in tomo2, but were of 10 in train" in done.stderr
    )


def test_resuming_on_tomograms_of_another_size_is_rejected(
    train, folder, tmp_path, trained_once
):
    smaller = write_data_set(tmp_path / "smaller", shape=(20, 72, 70))
    before = (folder / "model_last.pth").read_bytes()
    said = train("--resume --num_epochs 2", listed=smaller, code=2).stderr
    assert "a tomogram tomo1 of 72 x 72 x 24 voxels" in said
    assert f"{tmp_path}/smaller/tomo1.rec has 70 x 72 x 20" in said
    assert (folder / "model_last.pth").read_bytes() == before


def test_nothing_is_told_of_the_same_files(train, trained_once):
    done = train("--resume --num_epochs 1")
    assert "note: " not in done.stdout
    assert done.stderr == ""


def test_embedding_voxels_of_another_size_is_warned_of(folder, tmp_path, trained_once):
    listed = write_data_set(tmp_path / "data", names=("tomo1",))
    set_voxel_size(tmp_path / "data" / "tomo1.rec", 13.5)
    words = ["simsiam3d", "--test_img_txt", listed, "--exp_dir", tmp_path]
    words += ["--load_model", folder / "model_last.pth", "--gpus", "-1"]
    said = call("simsiam_test_hm_3d.py", *words, cwd=tmp_path).stderr
    assert "voxels are of 13.5 Angstrom in tomo1, but were of 10 in training" in said
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    noted = table.record.tomogram("tomo1")
    stat = (tmp_path / "data" / "tomo1.rec").stat()
    assert (noted.file_bytes, noted.file_time) == (stat.st_size, stat.st_mtime_ns)


def set_voxel_size(path, size):
    with mrcfile.open(path, "r+") as mrc:
        mrc.voxel_size = size


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_of_a_run_stays_on_other_hardware(
    train, folder, monkeypatch, precision
):
    def processor(bf16):
        features = {"amx_bf16": bf16}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)

    processor(bf16=precision == "bf16")
    train(f"{OPTIONS} --num_epochs 1")
    assert checkpoint(folder).record.options.training.precision == precision
    processor(bf16=precision != "bf16")
    train("--resume --num_epochs 2")
    assert checkpoint(folder).record.options.training.precision == precision


def test_what_a_run_noted_of_its_files_outlives_a_resumption(train, folder, tmp_path):
    listed = write_data_set(tmp_path / "own")
    train(f"{OPTIONS} --num_epochs 1", listed=listed)
    noted = checkpoint(folder).record.tomograms
    os.utime(tmp_path / "own" / "tomo1.rec", (0, 0))
    for epochs in (2, 3):
        said = train(f"--resume --num_epochs {epochs}", listed=listed).stdout
        assert "1 of 2 tomograms are not the files" in said  # also the second time
        assert checkpoint(folder).record.tomograms == noted


@pytest.mark.parametrize("contradiction", ["--overwrite", "--load_model m.pth"])
def test_resume_with_what_contradicts_it_is_rejected(train, contradiction):
    said = train(f"--resume {contradiction}", code=2).stderr
    assert contradiction.split()[0] in said


@pytest.mark.parametrize("typed", ["zxy", "auto"])
def test_order_that_auto_found_may_be_typed(typed):
    def resumed(order):
        record = replace(make_record(order="auto", num_epochs=2), orders=("zxy",))
        given = RunOptions.of({"order": order})
        return resumed_options(record, "m.pth", chosen=RunOptions(), typed=given)

    assert resumed(typed).patches.order == "auto"
    with pytest.raises(OptionError, match="--order xzy given, zxy in training"):
        resumed("xzy")


def test_resume_without_a_finished_epoch_is_rejected(train):
    assert "model_last.pth does not exist" in train("--resume", code=2).stderr


def test_rejected_run_removes_nothing_of_the_one_it_would_overwrite(
    train, folder, tmp_path, trained_once
):
    listed = write_data_set(tmp_path / "other")
    with mrcfile.open(tmp_path / "other" / "tomo2.rec", "r+") as mrc:
        mrc.data[3, 3, 3] = np.nan
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    del before[".lock"]
    said = train(f"{OPTIONS} --overwrite", listed=listed, code=2).stderr
    assert "tomo2.rec cannot be used" in said
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.items() >= before.items()


def test_overwrite_says_what_it_removed(train, folder, trained_once):
    (folder / "all_output_info.npz").write_bytes(b"old")
    said = train(f"{OPTIONS} --num_epochs 1 --overwrite").stdout
    assert "--overwrite removed" in said
    for name in ("model_last.pth", "model_best.pth", "log.txt", "all_output_info.npz"):
        assert name in said
    assert not (folder / "all_output_info.npz").exists()
    assert checkpoint(folder).epoch == 1


def test_without_a_terminal_every_epoch_has_its_line(train):
    said = train(f"{OPTIONS} --num_epochs 2").stdout.splitlines()
    lines = [line for line in said if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    for line in lines:
        assert {"loss", "rate", "left"} <= set(line.split())


@pytest.mark.parametrize("depth", ["34", "50"])
def test_deeper_network_is_embedded_without_retyping_its_arch(
    train, folder, data_set, tmp_path, depth, monkeypatch
):
    monkeypatch.setattr("lib.training.trainer.RECALIBRATE_ON", 32)
    arch = f"simsiam2d_{depth}"
    train(f"{OPTIONS} --num_epochs 1 --arch {arch}")
    files = ["--test_img_txt", data_set, "--exp_dir", tmp_path]
    model = ["--load_model", folder / "model_last.pth"]
    words = ["simsiam_test_hm_3d.py", "simsiam3d", *MACHINE.split(), *model, *files]
    call(*words, cwd=tmp_path)
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    assert table.record.options.model.arch == arch
    said = call(*words, "--arch", "simsiam2d_18", cwd=tmp_path, code=2).stderr
    assert f"--arch simsiam2d_18 given, {arch} in training" in said


def test_depth_of_a_peers_checkpoint_is_read_from_its_weights(train, folder, tmp_path):
    train(f"{OPTIONS} --num_epochs 1 --arch simsiam2d_34")
    state = checkpoint(folder).state_dict
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "peer.pth")
    run = TrainedRun(tmp_path / "peer.pth", mode="simsiam3d", given={"order": "zxy"})
    assert run.arch == "simsiam2d_34"


def rewrite(listed, folder, change):
    header, *rows = listed.read_text().splitlines()
    other = folder / "other.txt"
    other.write_text("\n".join([header, *change(rows)]) + "\n")
    return other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[::-1], "in another sequence, tomo1, tomo2"),
        (lambda rows: rows[:1], r"1 tomograms \(tomo1\)"),
    ],
    ids=["reversed", "shorter"],
)
def test_another_list_is_rejected_before_anything_is_prepared(
    train, data_set, tmp_path, trained_once, change, words
):
    done = train(
        "--resume --no_cache", listed=rewrite(data_set, tmp_path, change), code=2
    )
    assert re.search(words, done.stderr)
    assert "preparing" not in done.stdout


def test_names_that_changed_places_are_said_when_embedding(
    train, folder, data_set, tmp_path, trained_once
):
    def exchange(rows):
        parts = [row.split("\t", 1) for row in rows]
        names = [name for name, _ in parts[::-1]]
        return ["\t".join(p) for p in zip(names, [r for _, r in parts], strict=True)]

    words = ["simsiam_test_hm_3d.py", "simsiam3d", *MACHINE.split()]
    words += ["--load_model", folder / "model_last.pth", "--exp_dir", tmp_path]
    same = call(*words, "--test_img_txt", data_set, cwd=tmp_path)
    assert "not the files that the run read" not in same.stdout
    other = rewrite(data_set, tmp_path, exchange)
    said = call(*words, "--test_img_txt", other, cwd=tmp_path).stdout
    assert "2 of 2 tomograms are not the files that the run read" in said


def test_header_against_the_voxel_size_of_training_is_said(
    train, folder, data_set, tmp_path
):
    train(f"{OPTIONS} --num_epochs 1 --voxel_size 20")
    words = ["simsiam_test_hm_3d.py", "simsiam3d", *MACHINE.split()]
    words += ["--load_model", folder / "model_last.pth", "--exp_dir", tmp_path]
    same = call(*words, "--test_img_txt", data_set, cwd=tmp_path)
    assert "Angstrom" not in same.stderr  # the user gave it for these very files
    new = write_data_set(tmp_path / "new", names=("new1",))
    said = call(*words, "--test_img_txt", new, cwd=tmp_path).stderr
    assert "10 Angstrom in new1, but were of 20 by --voxel_size 20 in training" in said
