"""Errors that no other test comes by, with the words a user needs."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.artifacts import atomic_write
from lib.errors import (
    ArtifactError,
    InputError,
    OptionError,
    ResourceError,
    run_script,
)
from lib.export import formats, picks, selection
from lib.inputs.plain_text import read_lines
from lib.system import runtime
from lib.training.checkpoints import read_torch_file
from tests.data_sets import small_options


def picks_of(*names):
    return picks.Picks(
        name=np.array(names), coord=np.zeros((len(names), 3)), tomograms={}
    )


def test_checkpoint_of_another_kind(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ArtifactError, match="list.pth holds a list, not a checkpoint"):
        read_torch_file(tmp_path / "list.pth")


def test_two_tomograms_whose_names_become_one_file(tmp_path):
    with pytest.raises(OptionError, match=r"would share a file \(a b, a:b\)"):
        formats.write_coordinates(
            tmp_path / "c.mod.txt", picks_of("a b", "a:b"), kind="imod", order="zxy"
        )
    assert not list(tmp_path.iterdir())


def test_name_that_would_break_the_table(tmp_path):
    with pytest.raises(OptionError, match="tab or line break.*--format csv"):
        formats.write_coordinates(tmp_path / "c.txt", picks_of("a\tb"), kind="txt")
    assert not list(tmp_path.iterdir())


def test_labels_of_picks_without_any():
    with pytest.raises(ArtifactError, match="the picks have no labels"):
        selection.select_labels(picks_of("a"), labels="1", exclude=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dog_diameter": 0}, "--dog_diameter 0: expected a whole number from 1 to"),
        ({"dog_boundary": -1}, "--dog_boundary -1: expected a whole number from 0 to"),
    ],
)
def test_candidates_need_room(change, words):
    with pytest.raises(OptionError, match=words):
        small_options(**change)


def test_gpu_that_is_no_number():
    with pytest.raises(OptionError, match="--gpus 'first' is not a number"):
        runtime.choose_device("first")


def test_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(OptionError, match="--gpus 7: this machine has GPUs 0 to 1"):
        runtime.choose_device("7")


def test_a_gpu_that_cannot_be_opened_is_told_in_words(monkeypatch):
    def busy(_):
        raise RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", busy)
    with pytest.raises(ResourceError, match=r"GPU 1 cannot .*\(CUDA error: out of me"):
        runtime.choose_device("1")


def test_too_little_memory_is_told_with_the_advice():
    with (
        pytest.raises(ResourceError, match="cuda:0 has too little memory to search t1"),
        runtime.enough_memory("cuda:0", "to search t1"),
    ):
        raise torch.OutOfMemoryError


def test_text_that_may_not_be_read(tmp_path, monkeypatch):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "list.txt"
    path.write_text("image_name rec_path\n")
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(InputError, match="list.txt cannot be read: Permission denied"):
        read_lines(path, "an image list")


@pytest.fixture
def small_files():
    """Let no file grow beyond 4 KiB, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda stream: stream.write(bytes(10**6)),
        # NumPy says in words, without a number, that the disk took no more
        lambda stream: np.save(stream, np.zeros(10**6)),
        lambda stream: np.savez(stream, zeros=np.zeros(10**6)),
    ],
    ids=["bytes", "npy", "npz"],
)
def test_disk_that_takes_no_more_names_the_file(small_files, write, tmp_path, capsys):
    def main():
        with atomic_write(tmp_path / "a.out") as stream:
            write(stream)

    with pytest.raises(SystemExit) as stopped:
        run_script(main)
    assert stopped.value.code == 2
    assert f"error: {tmp_path / 'a.out'}: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file/a.npz", "file/deeper/a.npz", "a" * 300])
def test_place_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ResourceError, match=f"^{re.escape(str(tmp_path))}"),
        atomic_write(tmp_path / place),
    ):
        pytest.fail("it was opened")


def test_fault_of_ours_while_a_file_is_written_is_no_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt", "w"):
        Path("/nowhere/at/all").read_text()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        "simsiam_main simsiam3d --train_img_txt {}",
        "simsiam_main simsiam3d --train_img_txt l --exp_dir {}",
        "plot_2d --input {}",
        "interactive_to_training_coords --input . --output {}",
    ],
)
def test_path_that_may_not_be_looked_at_is_rejected_at_the_door(
    command, monkeypatch, capsys
):
    script, *words = command.format("locked/a").split()
    looked = Path.exists

    def exists(path, **more):
        if "locked" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, **more)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as stopped:
        run_script(importlib.import_module(script).main)
    assert stopped.value.code == 2
    assert "'locked/a' given, expected a path: Permission" in capsys.readouterr().err
