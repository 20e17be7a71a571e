import contextlib
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.artifacts import EmbeddingTable
from lib.errors import ArtifactError, OptionError
from lib.system.ranks import ALONE
from lib.training.checkpoints import load_checkpoint, save_checkpoint
from lib.training.encoding import PlainViews, encode, recalibrate
from lib.training.inference import TrainedRun, embed
from lib.training.models import build_model
from lib.training.pretrained import read_state_dict
from tests.data_sets import small_options
from tests.test_trainer import CPU, make_trainer

GIVEN = {"box": 8, "sigmas": (1.5, 3.0), "gauss": 0.8, "order": "zxy"}


def trained(store, folder, epochs=1):
    """Train a little; return the path of the checkpoint."""
    make_trainer(store, folder, epochs=epochs).run()
    return folder / "model_last.pth"


def embed_all(run, store, path, **kwargs):
    options = {"batch_size": 16, "device": CPU, "precision": "fp32", "ranks": ALONE}
    return embed(run, store, path, exp_id="t", **{**options, **kwargs})


@pytest.fixture(scope="module")
def checkpoints(stores, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return {mode: trained(store, folder / mode) for mode, store in stores.items()}


@pytest.mark.parametrize("mode", ["simsiam2d3d", "simsiam3d"])
def test_table_has_the_keys_shapes_and_rows_of_the_format(
    stores, checkpoints, tmp_path, mode
):
    store = stores[mode]
    run = TrainedRun(checkpoints[mode], mode=mode, given={})
    embed_all(run, store, tmp_path / "all_output_info.npz")
    with np.load(tmp_path / "all_output_info.npz", allow_pickle=False) as stored:
        content = {key: stored[key] for key in stored.files}
    count = len(store)
    for key in ("proj", "pred"):
        assert content[key].shape == (count, 16)
        assert content[key].dtype == np.float32
    assert content["name"].dtype.kind == "U"
    np.testing.assert_array_equal(content["name"], store.names)
    assert content["coords"].dtype.kind == "i"
    np.testing.assert_array_equal(content["coords"], store.coords)
    assert content["subvol"].shape == (count, 1, 8, 8)
    assert content["subvol"].dtype == np.float32
    assert ("subvols_2d" in content) == (mode == "simsiam2d3d")
    assert abs(content["subvol"].mean()) < 0.05
    assert content["subvol"].std() == pytest.approx(1, abs=0.05)


def test_run_remembers_its_options_and_retyping_works(checkpoints):
    path = checkpoints["simsiam3d"]
    silent = TrainedRun(path, mode="simsiam3d", given={})
    retyped = TrainedRun(path, mode="simsiam3d", given=GIVEN, arch="simsiam2d_18")
    assert silent.patching == retyped.patching == small_options()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"box": 10}, "--bbox 10 given, 8 in training"),
        ({"sigmas": (3.0, 5.0)}, "--dog 3,5 given, 1.5,3 in training"),
        ({"order": "xzy"}, "--order xzy given, zxy in training"),
    ],
)
def test_option_given_otherwise_is_rejected_with_both_values(checkpoints, given, words):
    with pytest.raises(OptionError, match=words):
        TrainedRun(checkpoints["simsiam3d"], mode="simsiam3d", given=given)


def orders_agreed(path, folder, given, noted, **outcome):
    """Return the run when training noted one order, and another is given."""
    checkpoint = load_checkpoint(path)
    options = checkpoint.record.options
    options = replace(options, patches=replace(options.patches, order=noted))
    record = replace(checkpoint.record, options=options, **outcome)
    save_checkpoint(folder / "model.pth", replace(checkpoint, record=record))
    given = {"order": given} if given else {}
    return TrainedRun(folder / "model.pth", mode="simsiam3d", given=given)


def test_auto_agrees_with_the_order_it_stands_for(checkpoints, tmp_path):
    path = checkpoints["simsiam3d"]
    for outcome in ({"orders": ["xzy"]}, {"orders": ["xzy", "zxy"]}, {}):
        run = orders_agreed(path, tmp_path, "xzy", "auto", **outcome)
        assert run.patching.order == "xzy"
    # Retyped auto is a guess: what the run noted stands above it.
    assert orders_agreed(path, tmp_path, "auto", "xzy").patching.order == "xzy"
    assert orders_agreed(path, tmp_path, None, "auto").patching.order == "auto"
    with pytest.raises(OptionError, match="--order xyz given, xzy or zxy in training"):
        orders_agreed(path, tmp_path, "xyz", "auto", orders=["xzy", "zxy"])


def test_only_an_order_that_nobody_noted_or_typed_is_a_default(checkpoints, tmp_path):
    path = checkpoints["simsiam3d"]
    assert orders_agreed(path, tmp_path, None, "xzy").order_was_told
    assert orders_agreed(path, tmp_path, "zxy", None).order_was_told
    assert not orders_agreed(path, tmp_path, None, None).order_was_told


def test_typed_voxel_size_stands_above_the_headers(stores, checkpoints, tmp_path):
    path, store = checkpoints["simsiam3d"], stores["simsiam3d"]
    checkpoint = load_checkpoint(path)
    options = replace(checkpoint.record.options, voxel_size=13.68)
    record = replace(checkpoint.record, options=options)
    noted = tmp_path / "model_noted.pth"
    save_checkpoint(noted, replace(checkpoint, record=record))
    for run_path, given, expected in (
        (path, None, 10.0),
        (path, 7.5, 7.5),
        (noted, None, 13.68),
        (noted, 7.5, 7.5),
    ):
        run = TrainedRun(run_path, mode="simsiam3d", given={}, voxel_size=given)
        table = embed_all(run, store, tmp_path / "all_output_info.npz")
        tomograms = table.record.tomograms.values()
        assert {one.voxel_size for one in tomograms} == {expected}


def test_checkpoint_of_the_other_mode_is_rejected(checkpoints):
    with pytest.raises(ArtifactError, match="trained in mode simsiam3d"):
        TrainedRun(checkpoints["simsiam3d"], mode="simsiam2d3d", given={})


def test_checkpoint_of_another_shape_is_rejected_naming_keys(checkpoints):
    with pytest.raises(OptionError, match="--arch simsiam2d_34 given, simsiam2d_18"):
        TrainedRun(
            checkpoints["simsiam3d"], mode="simsiam3d", given={}, arch="simsiam2d_34"
        )


def test_peers_checkpoint_gives_its_embeddings(stores, tmp_path, capsys):
    """Names behind ``module.``, no options, no normalization: as a peer writes it."""
    store = stores["simsiam3d"]
    torch.manual_seed(3)
    model = build_model("simsiam2d_18", mode="simsiam3d")
    mean, std = store.normalization()
    views = PlainViews(store, mean=mean, std=std, device=CPU)(np.arange(len(store)))
    recalibrate(model, views, device=CPU, precision="fp32")
    _, expected = encode(model, views, device=CPU, precision="fp32")
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    torch.save(
        {"epoch": 300, "state_dict": state, "optimizer": {}}, tmp_path / "model_300.pth"
    )
    run = TrainedRun(tmp_path / "model_300.pth", mode="simsiam3d", given=GIVEN)
    table = embed_all(run, store, tmp_path / "out.npz")
    np.testing.assert_allclose(table.pred, expected.numpy(), atol=1e-4)
    assert "no normalization" in capsys.readouterr().err


def test_peers_checkpoint_of_another_shape_is_rejected_naming_keys(tmp_path):
    model = build_model("simsiam2d3d_18", mode="simsiam2d3d")
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, tmp_path / "peer.pth")
    with pytest.raises(
        ArtifactError, match=r"another network: .*missing here.*and \d+"
    ):
        TrainedRun(tmp_path / "peer.pth", mode="simsiam3d", given=GIVEN)


def test_our_checkpoint_opens_without_executing_anything(checkpoints):
    content = torch.load(checkpoints["simsiam3d"], weights_only=True)
    assert {"epoch", "state_dict", "optimizer", "record"} <= set(content)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


def save_pickle(content, path):
    path.write_bytes(pickle.dumps(content))


def save_before_torch_1_6(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [torch.save, save_before_torch_1_6, save_pickle])
@pytest.mark.parametrize("load", [load_checkpoint, read_state_dict])
def test_hostile_checkpoint_is_rejected_unexecuted(tmp_path, save, load):
    made, path = tmp_path / "made", tmp_path / "bad.pth"
    save({"epoch": 1, "state_dict": Hostile(made), "optimizer": {}}, path)
    with contextlib.suppress(RuntimeError):  # of a bare pickle, once it ran
        torch.load(path, weights_only=False)
    assert made.is_dir(), "the file harms nobody: this test would prove nothing"
    made.rmdir()
    with pytest.raises(ArtifactError, match="cannot be read as a checkpoint"):
        load(path)
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_file_that_is_no_checkpoint_is_rejected(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"bad\.pth"):
        load_checkpoint(tmp_path / "bad.pth")


def test_missing_and_foreign_and_later_checkpoints_are_rejected(tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere\.pth does not exist"):
        load_checkpoint(tmp_path / "nowhere.pth")
    torch.save({"weights": 1}, tmp_path / "foreign.pth")
    with pytest.raises(ArtifactError, match="lacks state_dict"):
        load_checkpoint(tmp_path / "foreign.pth")
    torch.save({"state_dict": {}, "schema": 99}, tmp_path / "later.pth")
    with pytest.raises(ArtifactError, match="later version"):
        load_checkpoint(tmp_path / "later.pth")


def test_settled_statistics_bring_constant_embeddings_back(stores):
    store = stores["simsiam3d"]
    torch.manual_seed(0)
    model = build_model("simsiam2d_18", mode="simsiam3d")
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)):
        norm.running_var.fill_(1e12)  # far from settled
    mean, std = store.normalization()
    views = PlainViews(store, mean=mean, std=std, device=CPU)(np.arange(len(store)))
    before = encode(model, views, device=CPU, precision="fp32")[1].std(0).mean()
    recalibrate(model, views, device=CPU, precision="fp32")
    after = encode(model, views, device=CPU, precision="fp32")[1].std(0).mean()
    assert before < 1e-4 < 0.01 < after


def test_bf16_embeddings_are_close_to_float32(stores, checkpoints):
    store = stores["simsiam3d"]
    run = TrainedRun(checkpoints["simsiam3d"], mode="simsiam3d", given={})
    views = PlainViews(store, device=CPU, **vars(run.record.normalization))(
        np.arange(len(store))
    )
    full = encode(run.model, views, device=CPU, precision="fp32")[1]
    half = encode(run.model, views, device=CPU, precision="bf16")[1]
    # Each convolution rounds its input, its weights and its output to the 8 bits of
    # bf16, by no more than 2^-8 of their size; at worst all that adds up.
    layers = sum(isinstance(m, torch.nn.Conv2d) for m in run.model.modules())
    error = (half - full).norm(dim=1) / full.norm(dim=1)
    assert 2**-16 < error.median() < 3 * layers * 2**-8  # float32 would be below
    # Which candidates are alike is what the maps are made of: each stays itself.
    nearest = torch.cdist(half, full).argmin(dim=1)
    assert torch.equal(nearest, torch.arange(len(store)))


def test_heads_run_in_float32_whatever_the_precision(stores, checkpoints):
    """Computed in bf16, predictions would be numbers that bf16 can hold."""
    store = stores["simsiam3d"]
    run = TrainedRun(checkpoints["simsiam3d"], mode="simsiam3d", given={})
    views = PlainViews(store, device=CPU, **vars(run.record.normalization))(
        np.arange(len(store))
    )
    for head in encode(run.model, views, device=CPU, precision="bf16"):
        assert head.dtype == torch.float32
        assert (head != head.bfloat16().float()).float().mean() > 0.9


def test_embeddings_do_not_depend_on_who_wrote_the_table(stores, checkpoints, tmp_path):
    store = stores["simsiam3d"]
    run = TrainedRun(checkpoints["simsiam3d"], mode="simsiam3d", given={})
    embed_all(run, store, tmp_path / "a.npz")
    embed_all(run, store, tmp_path / "b.npz")
    first, second = (EmbeddingTable.load(tmp_path / f"{n}.npz") for n in "ab")
    np.testing.assert_array_equal(first.pred, second.pred)
    assert first.fingerprint == second.fingerprint
    assert first.record.tomogram("tomo1").voxel_size == pytest.approx(10)
    assert first.record.options.patches.box == 8


def test_embeddings_that_are_not_finite_are_rejected(stores, checkpoints, tmp_path):
    run = TrainedRun(checkpoints["simsiam3d"], mode="simsiam3d", given={})
    run.model.fc.bias.data[0] = float("nan")
    with pytest.raises(ArtifactError, match="not finite"):
        embed_all(run, stores["simsiam3d"], tmp_path / "out.npz")
    assert not list(tmp_path.iterdir())
