"""Refusals that no other test comes by, with the words a user needs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_options

from lib import coordinate_formats, coordinates, runtime
from lib.errors import ArtifactError, InputError, OptionError, ResourceError
from lib.inputs.plain_text import read_lines
from lib.training.checkpoints import read_torch_file


def picks_of(*names):
    return coordinates.Picks(
        name=np.array(names), coord=np.zeros((len(names), 3)), tomograms={}
    )


def test_checkpoint_of_another_kind(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ArtifactError, match="list.pth holds a list, not a checkpoint"):
        read_torch_file(tmp_path / "list.pth")


def test_two_tomograms_whose_names_become_one_file(tmp_path):
    with pytest.raises(OptionError, match=r"would share a file \(a b, a:b\)"):
        coordinate_formats.write_coordinates(
            tmp_path / "c.mod.txt", picks_of("a b", "a:b"), kind="imod"
        )
    assert not list(tmp_path.iterdir())


def test_name_that_would_break_the_table(tmp_path):
    with pytest.raises(OptionError, match="tab or line break.*--format csv"):
        coordinate_formats.write_coordinates(
            tmp_path / "c.txt", picks_of("a\tb"), kind="txt"
        )
    assert not list(tmp_path.iterdir())


def test_labels_of_picks_without_any():
    with pytest.raises(ArtifactError, match="hold no label"):
        coordinates.select_labels(picks_of("a"), labels="1", exclude=None)


@pytest.mark.parametrize("change", [{"dog_diameter": 0}, {"dog_boundary": -1}])
def test_candidates_need_room(change):
    with pytest.raises(OptionError, match="at least 1 voxel, and --dog_boundary"):
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
