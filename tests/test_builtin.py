"""The weights in the box: whole, offline, a start of training, and an embedding."""

import json
import shutil

import numpy as np
import pytest
import torch

from lib.artifacts import EmbeddingTable
from lib.errors import ArtifactError
from lib.modes import MODES
from lib.training.builtin import FOLDER, load_builtin, save_builtin, start_from_builtin
from lib.training.checkpoints import load_checkpoint
from lib.training.inference import TrainedRun
from lib.training.models import build_model
from tests.scripts import PROJECT, call
from tests.small_runs import PATCHES, folder_of, train_command
from tests.test_inference import embed_all

MEGABYTE = 10**6


@pytest.mark.parametrize("mode", MODES)
def test_weights_are_those_of_the_card_and_fit_the_default_network(mode):
    model = build_model(MODES[mode].architectures[0], mode=mode)
    before = model.fc.weight.clone()
    assert start_from_builtin(model, mode) == "the built-in weights"
    assert not torch.equal(model.fc.weight, before)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_weights_are_small_enough_for_the_repository():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 12 * MEGABYTE


@pytest.mark.parametrize(("arch", "dim"), [("simsiam2d_34", 128), ("simsiam2d_18", 64)])
def test_other_networks_start_from_random_weights_and_say_so(arch, dim):
    model = build_model(arch, mode="simsiam3d", dim=dim)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert start_from_builtin(model, "simsiam3d").startswith("random weights")
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def change(path):
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 1
    path.write_bytes(packed)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(cut, "cut or changed"), (change, "cut or changed"), (lambda p: p.unlink(), "No")],
)
def test_damaged_weights_are_rejected(tmp_path, damage, words):
    folder = shutil.copytree(FOLDER, tmp_path / "weights")
    damage(folder / "simsiam3d.pth")
    with pytest.raises(ArtifactError, match=words):
        load_builtin("simsiam3d", folder)


def test_weights_are_kept_in_half_precision_with_their_card(tmp_path):
    state = build_model("simsiam2d_18", mode="simsiam3d").state_dict()
    save_builtin(state, "simsiam3d", {"seed": 7}, tmp_path / "new")
    card = json.loads((tmp_path / "new/simsiam3d.json").read_text())
    assert card["seed"] == 7
    loaded = load_builtin("simsiam3d", tmp_path / "new").state_dict
    for name, value in loaded.items():
        torch.testing.assert_close(value, state[name].half().float())


def test_builtin_embeds_any_box_and_centers(stores, tmp_path, capsys):
    store = stores["simsiam3d"]
    run = TrainedRun("builtin", mode="simsiam3d", given={"box": 8})
    assert run.patching.box == 8
    table = embed_all(run, store, tmp_path / "all_output_info.npz")
    assert "remembers no normalization" not in capsys.readouterr().err
    for values in (table.pred, table.proj):
        assert values.shape == (len(store), 128)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
        assert (values.std(axis=0) > 0).all()
    kept = EmbeddingTable.load(tmp_path / "all_output_info.npz").record
    assert kept.lineage.checkpoint == "builtin"


def test_a_list_is_embedded_and_plotted_without_training(data_set, tmp_path):
    embed = f"simsiam3d {PATCHES} --load_model builtin --gpus -1"
    files = ["--test_img_txt", str(data_set), "--exp_dir", str(tmp_path)]
    call(PROJECT / "simsiam_test_hm_3d.py", *embed.split(), *files, cwd=tmp_path)
    table = folder_of(tmp_path) / "all_output_info.npz"
    call(PROJECT / "plot_2d.py", "--input", table, "--n_cluster", "4", cwd=tmp_path)
    assert (folder_of(tmp_path) / "2d_visualization_out.png").is_file()


@pytest.mark.parametrize(
    ("more", "start"),
    [([], "the built-in weights"), (["--recipe", "milopyp"], "random weights")],
)
def test_training_starts_from_the_box_unless_the_recipe_is_milopyps(
    data_set, tmp_path, more, start
):
    command = train_command(data_set, tmp_path, *more, epochs=1)
    position = command.index("--pretrained_model")
    del command[position : position + 2]
    done = call(*command, cwd=tmp_path)
    assert f"the network starts from {start}" in done.stdout
    record = load_checkpoint(folder_of(tmp_path) / "model_last.pth").record
    assert record.lineage.start == start
