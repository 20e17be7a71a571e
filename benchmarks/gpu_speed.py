"""The stages of speed on a GPU; each yields rows of ours beside a floor."""

import tempfile

import numpy as np

from benchmarks.gpu_floors import (
    BOX,
    NORMALIZATION,
    BareStep,
    fitting_batch,
    fitting_count,
    new_model,
    new_trainer,
    noise_store,
    noise_views,
    precision_name,
    seconds,
    whole_run,
)
from benchmarks.gpu_stage import Row
from lib.modes import MODES, SIMSIAM2D3D, SIMSIAM3D


def train(device, smoke):
    """Yield training as a user's run against the bare network, in both modes."""
    for mode in MODES:
        yield from whole_run(mode, 256, device, smoke, run_seconds=15, goal=0.95)


def batches(device, smoke):
    """Yield the same with a small and a large batch."""
    for batch_size in (64,) if smoke else (64, 1024):
        yield from whole_run(SIMSIAM2D3D.name, batch_size, device, smoke, run_seconds=8)


def embed(device, smoke):
    """Yield the embedding of a store against the bare forward pass."""
    from lib.training.encoding import encode, encode_store

    box, batch_size = (8, 8) if smoke else (BOX, 256)
    both, single = SIMSIAM2D3D.name, SIMSIAM3D.name
    for mode, precision in ((both, "fp32"), (single, "fp32"), (both, "bf16")):
        if precision == "bf16" and precision_name(device) != "bf16":
            yield Row(f"{mode}, bf16", "not run: no bf16 in hardware")
            continue
        model = new_model(mode, device)
        views = noise_views(mode, batch_size, device, box)

        def bare(model=model, views=views, precision=precision):
            encode(model, views, device=device, precision=precision)

        bare()
        once = seconds(bare, device, repeats=3)
        count = 2 if smoke else fitting_count(once, 2, 4, 64)
        store = noise_store(mode, count * batch_size, box)

        def ours(model=model, store=store, mode=mode, precision=precision):
            encode_store(
                model,
                store,
                batch_size=batch_size,
                device=device,
                precision=precision,
                **NORMALIZATION[mode],
            )

        ours()
        pairs = [
            (count * seconds(bare, device, repeats=3), seconds(ours, device))
            for _ in range(1 if smoke else 3)
        ]
        floor, own = np.median(pairs, axis=0)
        patches = store.options.views * len(store)
        yield Row.least(
            f"{mode}, box {box}, batches of {batch_size}, {precision}",
            f"{patches / own:,.0f} patches/s",
            f"bare forward {patches / floor:,.0f} patches/s",
            float(np.median([bare / whole for bare, whole in pairs])),
            0.9,
        )


def loader(device, smoke):
    """Yield batches without a network, against the copy alone and the network."""
    from lib.training.loader import host_source, resident_source

    mode, box = SIMSIAM2D3D.name, 8 if smoke else BOX
    batch_size = fitting_batch(8 if smoke else 256, mode, device, box)
    steps = 2 if smoke else 20
    store = noise_store(mode, steps * batch_size, box)
    step = BareStep(new_model(mode, device), mode, batch_size, device, box=box)
    step()
    network = seconds(step, device, repeats=1 if smoke else 5)
    rows = np.random.default_rng(0).permutation(len(store))
    parts = np.array_split(np.concatenate([rows, rows]), steps)
    sources = {"resident": resident_source, "gathered from the host": host_source}
    with tempfile.TemporaryDirectory() as folder:
        trainer = new_trainer(
            store, folder, device=device, epochs=1, batch_size=batch_size
        )
    for name, make in sources.items():
        source = trainer.loader.source = make(store, device)

        def copies(source=source):
            for part in parts:
                source(part, 0 * part)

        def epoch():
            for _ in trainer.loader.epoch(1):
                pass

        copies()
        epoch()
        repeats = 1 if smoke else 5
        floor, own = seconds(copies, device, repeats), seconds(epoch, device, repeats)
        patches = 2 * store.options.views * len(store)
        ours = f"{patches / own:,.0f} patches/s"
        yield Row(
            f"{name}, batch {batch_size}",
            ours,
            f"its copies alone {patches / floor:,.0f} patches/s",
            floor / own,
        )
        yield Row.least(
            f"{name}, batch {batch_size}: against what the network takes",
            ours,
            f"bare network {patches / (network * steps):,.0f} patches/s",
            network * steps / own,
            1.0,
        )
