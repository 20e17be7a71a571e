"""The stages of the speed benchmark that train or embed with the network."""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.stage_tools import BOX, PROJECT, quiet, seconds, synthetic, wait


def train(device, small):
    """The epochs of simsiam_main.py, as its log has them, against the bare network.

    All that an epoch holds is in them: patches read and transformed, recalibration,
    snapshot, checkpoint, log. The bare network trains on views that are in place,
    before and after, in the same precision.
    """
    import torch

    from lib.training.checkpoints import load_checkpoint

    batch = 32 if small else 256
    with tempfile.TemporaryDirectory() as folder:
        listed = synthetic(folder, *((1, (96, 96, 48)) if small else (7, (256,) * 3)))
        for mode in ("simsiam3d", "simsiam2d3d"):
            model, trainer = small_trainer(device, batch, mode=mode)
            model.recompute = False
            step, views = bare_step(model, trainer)

            def bare(step=step, views=views, model=model):
                for _ in range(2 if small else 10):
                    step(model, views)
                wait(device)

            step(model, views)
            before = seconds(bare)
            quiet(
                f"{sys.executable} {PROJECT}/simsiam_main.py {mode} --exp_id {mode} "
                f"--train_img_txt {listed} --exp_dir {folder}/exp --num_epochs 4 "
                f"--gpus {-1 if device == 'cpu' else 0} --bbox {BOX} --dog 3,5 "
                f"--batch_size {batch} --pretrained_model none --force".split()
            )
            floor = (before + seconds(bare)) / (4 if small else 20)
            run = Path(folder) / "exp" / mode / mode
            record = load_checkpoint(run / "model_last.pth").record
            steps = record.n_candidates / batch
            lines = (run / "log.txt").read_text().splitlines()
            own = np.median([float(line.rsplit(" ", 1)[1]) for line in lines[1:4]])
            patches = 2 * trainer.store.options.views * batch
            yield (
                f"{mode}, box {BOX}, batch {batch}, {record.n_candidates:,} "
                f"candidates, {record.options.training.precision}, epochs 2 to 4",
                f"{patches * steps / own:.0f} patches/s",
                f"bare network {patches / floor:.0f} patches/s",
                f"{floor * steps / own:.3f}",
            )
            if device == "cpu":
                plain = model.to(memory_format=torch.contiguous_format)
                nchw = seconds(partial(step, plain, views.contiguous()))
                yield (
                    f"bare network, one step, {mode}",
                    f"channels last {floor:.2f} s",
                    f"plain eager {nchw:.2f} s",
                    f"{floor / nchw:.2f}",
                )


def compiled(device, small):
    """The network as --compile trains it against the same network without."""
    import torch

    model, trainer = small_trainer(device, 32 if small else 64)
    step, views = bare_step(model, trainer)
    fast = torch.compile(model, dynamic=False)

    def once(network):
        step(network, views)
        wait(device)

    first = seconds(lambda: once(fast))
    once(model)
    pairs = [
        (seconds(lambda: once(model)), seconds(lambda: once(fast))) for _ in range(3)
    ]
    plain, own = np.median(pairs, axis=0)
    yield (
        f"a step, 2 views, box {BOX}, batch {len(views)}",
        f"{own:.2f} s (the first {first:.0f} s)",
        f"not compiled {plain:.2f} s",
        f"{np.median([own / plain for plain, own in pairs]):.2f}",
    )


def bare_step(model, trainer):
    """Return a training step of the network alone, and views already in place."""
    import torch

    from lib.system.runtime import autocast
    from lib.training.losses import training_loss

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.train()

    def step(network, views):
        with autocast(trainer.compute.device, trainer.compute.precision):
            outputs = network(views, views)
        optimizer.zero_grad(set_to_none=True)
        loss, _ = training_loss(
            *outputs, loss="nt_xent", temperature=0.2, simsiam_weight=0.1
        )
        loss.backward()
        optimizer.step()

    return step, trainer.views(np.arange(trainer.schedule.batch_size))


def embed(device, small):
    """Embedding of a store against the bare forward pass."""
    import torch

    from lib.training.encoding import encode, encode_store

    model, trainer = small_trainer(device, 96 if small else 512)
    store, batch = trainer.store, trainer.schedule.batch_size
    views = trainer.views(np.arange(batch))
    where = torch.device(device)

    def bare():
        for _ in range(-(-len(store) // batch)):
            encode(model, views, device=where, precision="fp32")
        wait(device)

    def ours():
        norm = vars(trainer.writer.record.normalization)
        encode_store(model, store, batch_size=batch, device=where, **norm)

    bare()
    floors, times = zip(
        *[(seconds(bare), seconds(ours)) for _ in range(3)], strict=True
    )
    count = len(store) * store.options.views
    yield (
        f"{len(store)} candidates, box {BOX}",
        f"{count / np.median(times):.0f} patches/s",
        f"bare forward {count / np.median(floors):.0f} patches/s",
        f"{np.median(np.divide(floors, times)):.3f}",
    )


def small_trainer(device, count, mode="simsiam2d3d"):
    """Return a model and its trainer on `count` random candidates in memory."""
    import torch

    from lib.artifacts import ExperimentDir
    from lib.modes import MODES
    from lib.patches.entries import Entry, EntryMetadata
    from lib.patches.options import PatchOptions
    from lib.patches.store import PatchStore
    from lib.run.options import RunOptions
    from lib.run.record import Normalization, RunRecord
    from lib.system.ranks import ALONE
    from lib.system.runtime import choose_precision
    from lib.training.checkpoint_writer import CheckpointWriter
    from lib.training.compute import Compute
    from lib.training.models import build_model
    from lib.training.recipes import CONTRASTIVE, Schedule
    from lib.training.trainer import Trainer

    options = PatchOptions(mode, BOX, (3, 5), 0.8)
    if device != "cpu":
        count *= 16
    rng = np.random.default_rng(0)
    shape = (count, *options.patch_shape)
    patches = rng.integers(0, 256, shape, dtype=np.uint8)
    each = {"total": 127, "squares": 2e4}
    sums = {name: (value,) * options.views for name, value in each.items()}
    metadata = EntryMetadata("noise", pixels=1, **sums)
    entry = Entry(np.zeros((count, 3), np.int32), metadata, patches)
    where = torch.device(device)
    model = build_model(MODES[mode].architectures[0], mode=mode)
    experiment = ExperimentDir(Path(tempfile.gettempdir()))
    record = RunRecord(
        options=RunOptions(seed=0),
        normalization=Normalization((0.5,) * options.views, (0.2,) * options.views),
    )
    trainer = Trainer(
        model,
        PatchStore([entry], options),
        CONTRASTIVE,
        Schedule(4, min(count, 256), 1e-3),
        CheckpointWriter(experiment, record, ranks=ALONE),
        Compute(where, choose_precision("auto", where)),
    )
    return model, trainer
