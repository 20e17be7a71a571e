import math
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.artifacts import ExperimentDir
from lib.errors import ResourceError, TrainingError
from lib.modes import MODES
from lib.run.options import RunOptions
from lib.run.record import Normalization, RunRecord
from lib.system.ranks import ALONE
from lib.system.runtime import seed_everything, signals_deferred
from lib.training.checkpoint_writer import CheckpointWriter
from lib.training.checkpoints import load_checkpoint
from lib.training.compute import Compute
from lib.training.models import build_model
from lib.training.recipes import (
    CONTRASTIVE,
    Schedule,
)
from lib.training.trainer import Trainer

CPU = torch.device("cpu")


def make_trainer(store, folder, epochs=3, seed=5, recipe=CONTRASTIVE, **schedule):
    seed_everything(seed)
    mode = store.options.mode
    arch = MODES[mode].architectures[0]
    record = RunRecord(
        options=RunOptions.of({"seed": seed, "arch": arch, **vars(store.options)}),
        normalization=Normalization(*store.normalization()),
    )
    return Trainer(
        build_model(arch, mode=mode, dim=16),
        store,
        recipe,
        Schedule(epochs, batch_size=16, lr=1e-3, **schedule),
        CheckpointWriter(ExperimentDir(folder), record, ranks=ALONE),
        Compute(CPU),
    )


def weights(path):
    return load_checkpoint(path).state_dict


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("mode", ["simsiam2d3d", "simsiam3d"])
def test_training_leaves_its_files(stores, tmp_path, mode):
    trainer = make_trainer(
        stores[mode], tmp_path, epochs=4, keep_every=2, keep_all=True
    )
    trainer.run()
    present = {path.name for path in tmp_path.iterdir()}
    assert present == {
        "log.txt",
        "model_2.pth",
        "model_4.pth",
        "model_best.pth",
        "model_last.pth",
    }
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 4
    for key in ("epoch", "loss", "cosine_loss", "output_std", "lr", "time"):
        assert f"{key} " in lines[0]


def test_training_makes_two_views_of_a_candidate_alike(stores, tmp_path, monkeypatch):
    """Learning from one batch lowers its loss; not learning leaves it as it was."""

    def first_and_last_loss(lr):
        trainer = make_trainer(stores["simsiam3d"], tmp_path / str(lr), epochs=5)
        rows = np.arange(16)
        views = trainer.views(rows), trainer.views(rows, offset=1)
        batches = [(*views, rows)] * trainer.loader.steps
        monkeypatch.setattr(trainer.loader, "epoch", lambda _: iter(batches))
        trainer.recipe = replace(trainer.recipe, loss="simsiam", warm=0)
        trainer.schedule = replace(trainer.schedule, lr=lr)
        trainer.run()
        losses = [entry["cosine_loss"] for entry in trainer.state.history]
        return losses[0], losses[-1]

    first, last = first_and_last_loss(lr=1e-3)
    untrained, still_untrained = first_and_last_loss(lr=0.0)
    assert still_untrained == pytest.approx(untrained, abs=1e-6)
    assert last < first < untrained


def test_resumed_run_equals_an_uninterrupted_one(stores, tmp_path):
    store = stores["simsiam3d"]
    whole = make_trainer(store, tmp_path / "whole", epochs=3)
    whole.run()

    cut = make_trainer(store, tmp_path / "cut", epochs=3)

    def interrupt_after_two(entry):
        if entry["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.run(after_epoch=interrupt_after_two)
    assert load_checkpoint(tmp_path / "cut" / "model_last.pth").epoch == 2

    again = make_trainer(store, tmp_path / "cut", epochs=3)
    again.resume()
    again.run()
    for name in ("model_last.pth", "model_best.pth"):
        assert_same(
            weights(tmp_path / "whole" / name), weights(tmp_path / "cut" / name)
        )
    assert [entry["loss"] for entry in again.state.history] == [
        entry["loss"] for entry in whole.state.history
    ]
    assert len((tmp_path / "cut" / "log.txt").read_text().splitlines()) == 3


def test_log_that_a_kill_left_behind_the_checkpoint_is_made_whole(stores, tmp_path):
    make_trainer(stores["simsiam3d"], tmp_path, epochs=2).run()
    log = tmp_path / "log.txt"
    whole = log.read_text()
    log.write_text(whole.splitlines(keepends=True)[0])
    again = make_trainer(stores["simsiam3d"], tmp_path, epochs=2)
    again.resume()
    again.run()
    assert log.read_text() == whole


def test_same_seed_same_weights_and_other_seed_others(stores, tmp_path):
    store = stores["simsiam3d"]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_trainer(store, tmp_path / name, epochs=1, seed=seed).run()
    a, b, c = (weights(tmp_path / name / "model_last.pth") for name in "abc")
    assert_same(a, b)
    assert not torch.equal(a["fc.weight"], c["fc.weight"])


def test_interrupt_within_an_epoch_keeps_the_finished_one(stores, tmp_path):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=5)

    def interrupt_in_second_epoch(*_):
        if trainer.state.epoch == 1:
            raise KeyboardInterrupt

    trainer.model.register_forward_pre_hook(interrupt_in_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert load_checkpoint(tmp_path / "model_last.pth").epoch == 1
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 1


def test_loss_that_is_not_finite_stops_with_epoch_and_tomograms(stores, tmp_path):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=5)

    def diverge(_, __, outputs):
        if trainer.state.epoch == 1:
            return [output * math.nan for output in outputs]
        return outputs

    trainer.model.register_forward_hook(diverge)
    with pytest.raises(TrainingError, match="epoch 2, step 1, with patches of tomo1"):
        trainer.run()
    kept = load_checkpoint(tmp_path / "model_last.pth")
    assert kept.epoch == 1
    assert all(v.isfinite().all() for v in kept.state_dict.values())


def test_too_little_memory_names_the_batch(stores, tmp_path):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=1)

    def full(*_):
        raise torch.OutOfMemoryError

    trainer.model.register_forward_pre_hook(full)
    with pytest.raises(ResourceError, match="too little memory for --batch_size 16"):
        trainer.run()


def test_what_is_written_last_is_not_cut_off(request):
    # A background job may have been started with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with signals_deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_collapsed_epoch_never_becomes_the_best(stores, tmp_path):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=2)
    trainer.model.pred[3].weight.data.zero_()  # every prediction is the bias
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0)
    health = trainer.run()
    assert health.verdict == "collapsed"
    assert "means nothing" in health.message
    assert not (tmp_path / "model_best.pth").exists()
    assert (tmp_path / "model_last.pth").exists()


def test_collapse_is_told_while_it_can_still_be_stopped(stores, tmp_path, capsys):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=2, keep_every=1)
    trainer.model.pred[3].weight.data.zero_()
    trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0)
    trainer.run()
    said = capsys.readouterr().err
    assert "after epoch 1 the model is collapsed" in said
    assert "stop with Ctrl-C" in said
    assert "after epoch 2" not in said  # the end of the run says that


def test_resuming_with_another_seed_is_rejected(stores, tmp_path):
    make_trainer(stores["simsiam3d"], tmp_path, epochs=1).run()
    with pytest.raises(TrainingError, match="--seed 5, not 6"):
        make_trainer(stores["simsiam3d"], tmp_path, epochs=2, seed=6).resume()


def test_resuming_from_a_peers_checkpoint_is_rejected(stores, tmp_path):
    trainer = make_trainer(stores["simsiam3d"], tmp_path, epochs=1)
    weights_alone = {"epoch": 3, "state_dict": trainer.model.state_dict()}
    torch.save(weights_alone, tmp_path / "model_last.pth")
    with pytest.raises(TrainingError, match="--load_model"):
        trainer.resume()
