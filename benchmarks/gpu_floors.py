"""What the speed of a GPU is held against: the network alone, and its surroundings."""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.gpu_stage import Row
from lib.modes import MODES

BOX = 36
ARCH = {name: mode.architectures[0] for name, mode in MODES.items()}
NORMALIZATION = {
    name: {"mean": [0.5] * len(mode.views), "std": [0.2] * len(mode.views)}
    for name, mode in MODES.items()
}
SLOW_STEP = 0.2  # seconds; on such a card a run has fewer epochs
GPU_SHARE = 0.7  # of the memory of a card that a training step may need


def recipe():
    """Return the recipe that a run has by default."""
    from lib.training.recipes import CONTRASTIVE

    return CONTRASTIVE


def noise_store(mode, count, box=BOX):
    """Return a store of `count` candidates of noise, in the memory of the host."""
    from lib.patches.entries import Entry, EntryMetadata
    from lib.patches.options import PatchOptions
    from lib.patches.store import PatchStore

    options = PatchOptions(mode, box, (3, 5), 0.8, **recipe().patching[mode])
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (count, *options.patch_shape), dtype=np.uint8)
    coords = np.zeros((count, 3), np.int32)
    entry = Entry(coords, EntryMetadata("noise"), patches)
    return PatchStore([entry], options)


def new_model(mode, device):
    """Return an untrained network on the device, laid out as it is trained."""
    import torch

    from lib.training.models import build_model

    torch.manual_seed(0)
    model = build_model(ARCH[mode], mode=mode)
    return model.to(device, memory_format=torch.channels_last)


def new_trainer(store, folder, *, device, epochs, batch_size, compiled=False):
    """Return a trainer with the defaults of the command line."""
    from lib.artifacts import ExperimentDir
    from lib.run.options import RunOptions
    from lib.run.record import Normalization, RunRecord
    from lib.system.ranks import ALONE
    from lib.system.runtime import choose_precision
    from lib.training.checkpoint_writer import CheckpointWriter
    from lib.training.compute import Compute
    from lib.training.recipes import Schedule
    from lib.training.trainer import Trainer

    mode = store.options.mode
    record = RunRecord(
        options=RunOptions(seed=0), normalization=Normalization(**NORMALIZATION[mode])
    )
    return Trainer(
        new_model(mode, device),
        store,
        recipe(),
        Schedule(epochs, batch_size, 1e-3),
        CheckpointWriter(ExperimentDir(Path(folder)), record, ranks=ALONE),
        Compute(device, choose_precision("auto", device), compiled=compiled),
    )


def noise_views(mode, count, device, box=BOX):
    """Return views (count, V, box, box) of noise on the device."""
    import torch

    views = len(NORMALIZATION[mode]["mean"])
    return torch.randn(count, views, box, box, device=device)


class BareStep:
    """A step of the network alone: forward, loss, backward, optimizer."""

    def __init__(self, model, mode, count, device, *, precision="auto", box=BOX):
        import torch

        from lib.system.runtime import choose_precision

        self.model, self.device = model.train(), device
        self.precision = choose_precision(precision, device)
        self.views = [noise_views(mode, count, device, box) for _ in range(2)]
        self.recipe = recipe()
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=1e-4, weight_decay=1e-4, fused=True
        )

    def __call__(self, network=None):
        """Make a step, by the model or what wraps it."""
        from lib.system.runtime import autocast
        from lib.training.losses import training_loss

        with autocast(self.device, self.precision):
            outputs = (network or self.model)(*self.views)
        loss, _ = training_loss(
            *outputs,
            loss=self.recipe.loss,
            temperature=self.recipe.temperature,
            simsiam_weight=self.recipe.simsiam_weight,
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def fitting_batch(wanted, mode, device, box=BOX):
    """Return `wanted` or the first of its halves whose step fits on the card."""
    import torch

    from lib.training.compute import activation_bytes

    if device.type != "cuda":
        return wanted
    depth, views = MODES[mode].depth(ARCH[mode]), len(MODES[mode].views)

    def needed(batch):
        return share * activation_bytes(depth, batch=batch, views=views, box=box)

    room = GPU_SHARE * torch.cuda.mem_get_info(device)[0]
    share = 0.5 if precision_name(device) == "bf16" else 1  # of float32
    while wanted > 16 and needed(wanted) > room:
        wanted //= 2
    return wanted


def precision_name(device):
    """Return what ``--precision auto`` means on a device."""
    from lib.system.runtime import choose_precision

    return {"bf16": "bf16", "fp32": "float32"}[choose_precision("auto", device)]


def seconds(work, device, repeats=1):
    """Return the median time of a call, with what it leaves the GPU to do."""
    times = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def wait(device):
    """Wait for the GPU."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def fitting_count(each, wanted_seconds, least, most):
    """Return how often something of `each` seconds fits, within bounds."""
    return int(min(max(wanted_seconds / each, least), most))


def whole_run(mode, batch_size, device, smoke, *, run_seconds=12, goal=None):
    """Yield a whole run of training, as a user's, against the bare network.

    The steps of an epoch are as many as this card does in its share of
    `run_seconds`, so that a slow one is not waited for.
    """
    box = 8 if smoke else BOX
    batch_size = fitting_batch(8 if smoke else batch_size, mode, device, box)
    step = BareStep(new_model(mode, device), mode, batch_size, device, box=box)
    step()
    once = seconds(step, device, repeats=1 if smoke else 5)
    epochs = 2 if smoke else 20 if once < SLOW_STEP else 5
    steps = 2 if smoke else fitting_count(once, run_seconds / epochs, 4, 100)
    store = noise_store(mode, steps * batch_size, box)

    def epoch_of_bare_steps():
        for _ in range(steps):
            step()

    with tempfile.TemporaryDirectory() as folder:
        common = {"device": device, "batch_size": batch_size}
        if not smoke:
            new_trainer(store, folder, epochs=1, **common).run()  # sets the GPU up
        before = seconds(epoch_of_bare_steps, device)
        trainer = new_trainer(store, folder, epochs=epochs, **common)
        own = seconds(trainer.run, device) / epochs
        after = seconds(epoch_of_bare_steps, device)
        alone = statistics.median(entry["time"] for entry in trainer.state.history)
    bare = (before + after) / 2
    patches = 2 * store.options.views * len(store)
    what = f"{mode}, box {box}, batch {batch_size}, {precision_name(device)}"
    size = f"{epochs} epochs of {steps} steps"
    floor = f"{patches / bare:,.0f} patches/s, a step {1e3 * bare / steps:.2f} ms"
    rows = (
        (f"{what}: a whole run of {size}", own, goal),
        (f"{what}: its steps, without taking stock", alone, None),
    )
    for told, taken, aim in rows:
        ours, ratio = f"{patches / taken:,.0f} patches/s", bare / taken
        if aim is None:
            yield Row(told, ours, floor, ratio)
        else:
            yield Row.least(told, ours, floor, ratio, aim)
