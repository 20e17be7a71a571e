"""Training on a GPU, and by several of them, must be what it is on the CPU.

As `test_gpu`, by ``make gpu`` on the GPU and by ``make test`` on the CPU.
"""

from dataclasses import replace

import gpu_ranks
import numpy as np
import pytest
import torch
from gpu_ranks import full

from lib.artifacts import ExperimentDir
from lib.errors import ResourceError
from lib.run.options import RunOptions
from lib.run.record import Normalization, RunRecord
from lib.system.ranks import ALONE
from lib.system.runtime import choose_precision, seed_everything
from lib.training.checkpoint_writer import CheckpointWriter
from lib.training.checkpoints import load_checkpoint
from lib.training.compute import Compute
from lib.training.models import build_model
from lib.training.recipes import Schedule, find_recipe
from lib.training.trainer import Trainer
from tests.conftest import TEST_DEVICE

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("one_thread")]
CPU = torch.device("cpu")
ON_GPU = TEST_DEVICE == "cuda"
# Of a loss after some steps. Adam makes steps of noise too, so that the last digits
# of a GPU's sums, whose order is free, are seen in the second or third.
ROUNDING = 0.03


def make_trainer(store, folder, device, epochs=3, precision="fp32", name="contrastive"):
    mode = store.options.mode
    seed_everything(5)
    record = RunRecord(
        options=RunOptions(seed=5),
        normalization=Normalization(*store.normalization()),
    )
    return Trainer(
        build_model(gpu_ranks.ARCH[mode], mode=mode, dim=16),
        store,
        # At a constant rate, so that a short run is the beginning of a longer one.
        find_recipe(name).with_schedule(cosine=False, steps=(), warm=0.0),
        Schedule(epochs, batch_size=16, lr=1e-3),
        CheckpointWriter(ExperimentDir(folder), record, ranks=ALONE),
        Compute(device, precision),
    )


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.history]


def test_training_follows_the_cpus(stores, tmp_path, device):
    curves = []
    for name, place in (("cpu", CPU), ("device", device)):
        trainer = make_trainer(stores["simsiam3d"], tmp_path / name, place)
        trainer.run()
        curves.append(losses(trainer))
    assert curves[1] == pytest.approx(curves[0], rel=ROUNDING)


def test_training_falls_in_the_precision_of_the_device(stores, tmp_path, device):
    trainer = make_trainer(
        stores["simsiam3d"],
        tmp_path,
        device,
        epochs=5,
        precision=choose_precision("auto", device),
    )
    rows = np.arange(16)
    pair = trainer.views(rows), trainer.views(rows, offset=1)
    trainer.loader.epoch = lambda _: iter([(*pair, rows)] * trainer.loader.steps)
    trainer.recipe = replace(trainer.recipe, loss="simsiam")
    trainer.run()
    curve = losses(trainer)
    assert curve[-1] < curve[0]


@pytest.mark.parametrize("name", ["contrastive", "simsiam"])
@pytest.mark.parametrize("there", ["to it", "from it"] if ON_GPU else ["to it"])
def test_run_goes_on_where_another_device_left_it(
    stores, tmp_path, device, there, name
):
    store = stores["simsiam3d"]
    before, after = (CPU, device) if there == "to it" else (device, CPU)
    whole = make_trainer(store, tmp_path / "whole", before, 2, name=name)
    whole.run()
    make_trainer(store, tmp_path / "moved", before, 1, name=name).run()
    moved = make_trainer(store, tmp_path / "moved", after, 2, name=name)
    moved.resume()
    kept = load_checkpoint(tmp_path / "moved" / "model_last.pth")
    for key, value in moved.model.state_dict().items():
        assert torch.equal(value.cpu(), kept.state_dict[key])
    states = list(moved.optimizer.state_dict()["state"].values())
    for state, expected in zip(states, kept.optimizer["state"].values(), strict=True):
        for key, value in state.items():
            assert value is None or value.device == after
            assert value is None or torch.equal(value.cpu(), expected[key])
    assert states or name == "simsiam"  # plain SGD has none
    moved.run()
    assert losses(moved) == pytest.approx(losses(whole), rel=ROUNDING)


def test_resumed_run_is_the_uninterrupted_one(stores, tmp_path, device):
    store = stores["simsiam3d"]
    whole = make_trainer(store, tmp_path / "whole", device)
    whole.run()
    cut = make_trainer(store, tmp_path / "cut", device)
    epoch = cut.loader.epoch

    def interrupted(number):
        if number == 3:
            raise KeyboardInterrupt
        return epoch(number)

    cut.loader.epoch = interrupted
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    again = make_trainer(store, tmp_path / "cut", device)
    again.resume()
    again.run()
    assert losses(again) == pytest.approx(losses(whole), rel=ROUNDING if ON_GPU else 0)


def test_too_little_memory_is_told_in_words(stores, tmp_path, device):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, device, epochs=2)
    step = trainer.network

    def full_in_epoch_2(*views):
        return full() if trainer.state.epoch == 1 else step(*views)

    trainer.network = full_in_epoch_2
    with pytest.raises(ResourceError, match="too little memory for --batch_size 16"):
        trainer.run()
    assert load_checkpoint(tmp_path / "model_last.pth").epoch == 1


def backends():
    """Return the ways in which this machine can train together: backend, processes."""
    nccl, shared = "cpu:gloo,cuda:nccl", ("gloo", 2)  # on one card they share it
    if not ON_GPU:
        return [shared]
    cards = torch.cuda.device_count()
    return [(nccl, world) for world in (1, 2) if world <= cards] + [shared]


@pytest.mark.parametrize(("backend", "world"), backends())
def test_ranks_have_the_gradients_of_one_process(tmp_path, device, backend, world):
    model = gpu_ranks.new_model(gpu_ranks.MODE, device).train()
    expected = gpu_ranks.gradients(model, gpu_ranks.step_views(device), device)
    path = tmp_path / "gradients.pt"
    gpu_ranks.start(
        gpu_ranks.step_together, world, backend=backend, kind=TEST_DEVICE, path=path
    )
    found = torch.load(path, weights_only=True)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # float32 leaves 0.3 % after twenty layers; what follows of a batch norm or a
        # contrast over a half of the batch is more than a tenth.
        assert (found[name] - value).norm() <= 0.02 * value.norm() + 1e-5, name


@pytest.mark.long  # on the CPU, where test_distributed.py has the same by commands
@pytest.mark.skipif(
    ON_GPU and torch.cuda.device_count() < 2, reason="there are not two cards"
)
def test_two_ranks_have_the_losses_of_one(tmp_path):
    gpus = "0" if ON_GPU else "-1"
    one, two = tmp_path / "1", tmp_path / "2"
    gpu_ranks.train_together(0, 1, gpus=gpus, folder=one)
    gpu_ranks.start(gpu_ranks.train_together, 2, gpus=gpus, folder=two)
    curves = [
        [entry["loss"] for entry in load_checkpoint(f / "model_last.pth").history]
        for f in (one, two)
    ]
    assert curves[1] == pytest.approx(curves[0], rel=ROUNDING)
