"""Files as version 0.3 wrote them, and as MiLoPYP does, still do all their work.

``old_layouts/`` holds what such files note of their run; the weights are made here.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from lib.artifacts import EmbeddingTable, InteractiveTable
from lib.run.record import Lineage, RunRecord
from lib.training.checkpoints import load_checkpoint
from lib.training.models import build_model
from tests.data_sets import SHAPE
from tests.scripts import call

LAYOUTS = Path(__file__).parent / "old_layouts"
MACHINE = ("--gpus", "-1", "--num_workers", "0")


def noted_in(name, data_set):
    """Return what an old file notes, of the small data set."""
    text = (LAYOUTS / name).read_text()
    # Within the json of a parquet file quotes are escaped, a path is not.
    return json.loads(text.replace("FOLDER", str(data_set.parent)))


@pytest.fixture
def folder(tmp_path):
    """The folder of an experiment."""
    path = tmp_path / "simsiam3d" / "default"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def old_model(folder, data_set):
    """model_last.pth as version 0.3 wrote it."""
    torch.manual_seed(0)
    model = build_model("simsiam2d_18", mode="simsiam3d", dim=16)
    content = {
        **noted_in("checkpoint.json", data_set),
        "state_dict": model.state_dict(),
        "optimizer": torch.optim.AdamW(model.parameters()).state_dict(),
    }
    torch.save(content, folder / "model_last.pth")
    return folder / "model_last.pth"


@pytest.fixture
def old_table(folder, data_set):
    """all_output_info.npz as version 0.3 wrote it."""
    rng = np.random.default_rng(0)
    columns = {
        "name": np.array(["tomo1", "tomo2"] * 15),
        "coords": rng.integers(4, np.array(SHAPE[::-1]) - 4, (30, 3)),
        "pred": rng.normal(size=(30, 16)).astype(np.float32),
        "proj": rng.normal(size=(30, 16)).astype(np.float32),
        "subvol": rng.normal(size=(30, 1, 8, 8)).astype(np.float32),
    }
    noted = json.dumps(noted_in("npz.json", data_set))
    np.savez(folder / "all_output_info.npz", schema=1, provenance=noted, **columns)
    return folder / "all_output_info.npz"


def train(data_set, folder, *words, code=0):
    files = ["--train_img_txt", data_set, "--exp_dir", folder.parents[1]]
    words = ["simsiam3d", *MACHINE, *files, *words]
    return call("simsiam_main.py", *words, cwd=folder, code=code)


def test_old_checkpoint_is_resumed(old_model, folder, data_set):
    before = load_checkpoint(old_model).record
    assert before.options.seed == 7
    assert before.options.patches.sigmas == (1.5, 3.0)
    assert before.lineage == Lineage("random weights", "default", epoch=1)
    done = train(data_set, folder, "--resume", "--num_epochs", "2")
    assert "voxels" not in done.stderr
    after = load_checkpoint(old_model)
    assert after.epoch == 2
    assert after.record.normalization == before.normalization
    assert after.record.tomograms == before.tomograms
    assert after.record.options.patches == before.options.patches
    assert after.record.lineage.start == "random weights"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--bbox 12", "--bbox 12 given, 8 in training"),
        ("--dog 2,4", "--dog 2,4 given, 1.5,3 in training"),
        ("--head_conv 32", "--head_conv 32 given, 16 in training"),
        ("--no-cosine", "--cosine False given, True in training"),
        ("--order xzy", "--order xzy given, zxy in training"),
    ],
)
def test_what_an_old_checkpoint_notes_must_agree(
    old_model, folder, data_set, typed, told
):
    said = train(data_set, folder, "--resume", *typed.split(), code=2).stderr
    assert told in said


@pytest.mark.parametrize("key", ["normalisation", "normalization"])
def test_old_checkpoint_embeds(old_model, folder, data_set, key):
    content = torch.load(old_model, weights_only=True)
    content[key] = content.pop("normalisation")
    torch.save(content, old_model)
    words = ["--test_img_txt", data_set, "--load_model", old_model, *MACHINE]
    words += ["--exp_dir", folder.parents[1]]
    said = call("simsiam_test_hm_3d.py", "simsiam3d", *words, cwd=folder).stderr
    assert "the model is undertrained: output_std 0.1628" in said
    assert "no normalization" not in said
    record = EmbeddingTable.load(folder / "all_output_info.npz").record
    assert record.options.patches.box == 8
    assert record.options.training.recipe == "contrastive"
    assert record.lineage.checkpoint == str(old_model)
    assert record.normalization.mean == (0.3149721907993967,)
    assert record.tomogram("tomo1").rec_path == str(data_set.parent / "tomo1.rec")


def test_old_table_is_plotted_and_painted(old_table, folder, data_set):
    words = ["--input", old_table, "--mode", "tsne", "--n_cluster", 4]
    said = call("plot_2d.py", *words, cwd=folder).stderr
    assert "the model is undertrained" in said
    table = EmbeddingTable.load(old_table)
    record = InteractiveTable.load(folder / "interactive_info_parquet.gzip").record
    assert record == table.record
    assert (record.exp_id, record.options.patches.mode) == ("default", "simsiam3d")
    assert record.lineage.epoch == 1
    call("visualize_3dhm.py", "--input", old_table, cwd=folder)
    for name in ("tomo1", "tomo2"):
        assert np.load(folder / f"{name}_rec3d.npy").shape == (*SHAPE, 3)


def test_old_parquet_is_exported(folder, data_set):
    noted = noted_in("parquet.json", data_set)
    columns = {
        "name": ["tomo1", "tomo2"],
        "coord": [["10", "20", "4"], ["30", "40", "8"]],
        "embeddings": [[0.0, 1.0], [1.0, 0.0]],
        "label": [0, 1],
        "image": ["a", "b"],
    }
    table = pa.table(columns).replace_schema_metadata(noted)
    parquet.write_table(table, folder / "picked.parquet")
    record = InteractiveTable.load(folder / "picked.parquet").record
    assert record.tomogram("tomo2").shape == SHAPE
    words = ["--input", "picked.parquet", "--output", "out.star", "--format", "star5"]
    call("interactive_to_training_coords.py", *words, cwd=folder)
    rows = (folder / "out.star").read_text().split("loop_")[1]
    # 10 voxels less half of 72, by 10 Angstrom
    assert "-260" in rows


def test_nothing_is_known_of_the_files_of_milopyp(folder):
    weights = {"module.fc.bias": torch.zeros(128)}
    content = {"epoch": 300, "state_dict": weights, "optimizer": {}}
    torch.save(content, folder / "model_300.pth")
    checkpoint = load_checkpoint(folder / "model_300.pth")
    assert checkpoint.record == RunRecord(lineage=Lineage(epoch=300))
    assert checkpoint.history is None
    assert checkpoint.record.options.given_values() == {}
