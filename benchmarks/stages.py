"""The stages of the speed benchmark: each yields (size, ours, floor, ratio)."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
BOX = 36


def candidates(device, small):
    """All of candidate search against its own Gaussian filters."""
    from scipy.ndimage import gaussian_filter

    from lib.candidates.dog import find_candidates
    from lib.candidates.scale_space import gaussian_volume, gaussian_volume_torch

    shape = (64, 128, 128) if small else (256, 512, 512)
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=shape).astype(np.float32), 0.8)
    volume = np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)
    sigmas = (3, 5)

    def filters():
        if device == "cpu":
            for sigma in sigmas:
                gaussian_volume(volume, sigma)
        else:
            import torch

            data = torch.from_numpy(volume).to(device).float()
            for sigma in sigmas:
                gaussian_volume_torch(data, sigma)
            torch.cuda.synchronize()

    if device != "cpu":
        filters()  # the first call sets the GPU up
    floor = seconds(filters)
    ours = seconds(lambda: find_candidates(volume, sigmas, box=BOX, device=device))
    yield (
        told(shape),
        f"{ours:.2f} s",
        f"Gaussians {floor:.2f} s",
        f"{ours / floor:.2f}",
    )


def store(device, small):
    """Preparation of a tomogram, and finding it again."""
    from lib.inputs.image_list import read_image_list
    from lib.patches.options import PatchOptions
    from lib.patches.preparation import prepare_store

    with tempfile.TemporaryDirectory() as folder:
        listed = synthetic(folder, 1, (96, 96, 48) if small else (256, 256, 128))
        rows = read_image_list(listed, project=PROJECT, needs_tilts=True)
        options = PatchOptions("simsiam2d3d", BOX, (3, 5), 0.8)

        def prepare():
            return prepare_store(rows, options, cache=f"{folder}/cache", device=device)

        first = seconds(prepare)
        again = seconds(prepare)
        count = len(prepare())
    size = f"1 tomogram, {count:,} candidates"
    yield size, f"{again:.3f} s again", f"first {first:.2f} s", f"{again / first:.3f}"


def train(device, small):
    """Whole runs as a user's, all that an epoch holds, against the bare network."""
    import torch

    model, trainer = small_trainer(device, 96 if small else 1024)
    step, views = bare_step(model, trainer)
    steps = trainer.loader.steps
    patches = 2 * trainer.store.options.views * len(views) * steps

    def bare():
        for _ in range(steps):
            step(model, views)
        wait(device)

    step(model, views)
    before = seconds(bare)
    trainer.run()
    epochs = [entry["time"] for entry in trainer.state.history]
    model.train()
    floor, own = (before + seconds(bare)) / 2, np.median(epochs[1:])
    yield (
        f"{trainer.store.options.views} views, box {BOX}, batch {len(views)}, "
        f"{len(trainer.store):,} candidates, {trainer.compute.precision}, "
        "epochs 2 to 4",
        f"{patches / own:.0f} patches/s",
        f"bare network {patches / floor:.0f} patches/s",
        f"{floor / own:.3f}",
    )
    if device == "cpu":
        plain = model.to(memory_format=torch.contiguous_format)
        nchw = seconds(lambda: step(plain, views.contiguous()))
        yield (
            "bare network, one step",
            f"channels last {floor / steps:.2f} s",
            f"plain eager {nchw:.2f} s",
            f"{floor / steps / nchw:.2f}",
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


def plots(_device, small):
    """plot_2d.py against its own clustering and UMAP."""
    import lib.pictures.map_pictures  # noqa: F401 - matplotlib's import is no cost of the plots
    from lib.maps.clustering import over_cluster
    from lib.maps.layout import (
        ProjectionOptions,
        nearest_neighbors,
        project_2d,
        unit_rows,
    )

    count = 1000 if small else 20_000
    with tempfile.TemporaryDirectory() as folder:
        table = clustered_table(count)
        table.save(Path(folder) / "all_output_info.npz")
        vectors = unit_rows(table.pred)
        layout = ProjectionOptions("umap", 40, 0.5, 42)

        def umap_alone():
            labels = over_cluster(vectors, n_cluster=48, seed=42)
            near = nearest_neighbors(vectors, 40)
            map_xy = project_2d(vectors, layout, neighbors=near)
            project_2d(vectors, layout, neighbors=near, labels=labels, start=map_xy)

        command = [sys.executable, PROJECT / "plot_2d.py", "--input"]
        command += [Path(folder) / "all_output_info.npz"]
        project_2d(
            vectors[:200], ProjectionOptions("umap", 10, 0.5, 42)
        )  # compile first
        floor = seconds(umap_alone)
        ours = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    size = f"{count:,} candidates"
    yield size, f"{ours:.1f} s", f"UMAP, clusters {floor:.1f} s", f"{ours / floor:.2f}"


def paint(_device, small):
    """Painting a tomogram against reading it and writing the arrays."""
    from lib.overlay.paint import Markers, paint_tomogram

    shape = (32, 128, 128) if small else (256, 512, 512)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        source = folder / "tomogram.npy"
        np.save(source, rng.normal(size=shape).astype(np.float32))
        volume = np.load(source, mmap_mode="r")
        positions = rng.integers(0, np.array(shape)[::-1], (5000, 3))
        markers = Markers.of(
            positions, rng.integers(0, 256, (5000, 3), dtype=np.uint8), 12
        )

        def copy():
            for name in ("gray", "color"):
                out = np.lib.format.open_memmap(
                    folder / f"{name}.npy", "w+", np.uint8, (*shape, 3)
                )
                for target, section in zip(out, volume, strict=True):
                    target[...] = section[..., None].view(np.uint8)[..., :1]
                out.flush()

        def ours():
            paint_tomogram(
                volume,
                markers,
                gray_path=folder / "rec.npy",
                color_path=folder / "hm.npy",
                paired=False,
            )

        floor, own = seconds(copy), seconds(ours)
    yield (
        told(shape),
        f"{own:.2f} s",
        f"read and write {floor:.2f} s",
        f"{own / floor:.2f}",
    )


def memory(_device, small):
    """Anonymous memory of training on more and more tomograms, and on a large one.

    In small batches: those of a small set are uneven parts of --batch_size, and with
    the documented 256 their activations would hide what the data set adds.
    """
    training = "--num_epochs 1 --bbox 16 --batch_size 32 --dog_std_multiplier 1.5"
    sizes = {(96, 96, 48): (1, 2)} if small else {(256, 256, 128): (4, 8, 16)}
    for size, counts in sizes.items():
        peaks = [_peak_of_training(count, size, training) for count in counts]
        for count, peak in zip(counts, peaks, strict=True):
            yield (
                f"{count} tomograms of {told(size[::-1])}",
                f"{peak / 1e9:.3f} GB",
                f"first {peaks[0] / 1e9:.3f} GB",
                f"{peak / peaks[0]:.3f}",
            )
    large = (128, 128, 64) if small else (512, 512, 256)
    peak = _peak_of_training(1, large, "--dry_run")
    volume = 4 * np.prod(large)
    yield (
        f"searching one of {told(large[::-1])}",
        f"{peak / 1e9:.3f} GB",
        f"float32 volume {volume / 1e9:.3f} GB",
        f"{peak / volume:.2f}",
    )


def _peak_of_training(count, size, extra):
    from benchmarks.peak_memory import PeakMemory

    with tempfile.TemporaryDirectory() as folder:
        listed = synthetic(folder, count, size)
        command = (
            f"simsiam_main.py simsiam2d3d --gpus -1 --train_img_txt {listed} --exp_dir "
            f"{folder}/exp --num_workers 1 --pretrained_model none --force {extra}"
        ).split()
        with PeakMemory() as watched:
            _quiet([sys.executable, PROJECT / command[0], *command[1:]])
        return watched.peak


def help_time(_device, _small):
    """--help of each script against Python's own start."""
    floor = min(
        seconds(lambda: _quiet([sys.executable, "-c", "pass"])) for _ in range(5)
    )
    for script in sorted(PROJECT.glob("*.py")):
        if script.name == "opts.py":
            continue
        command = [sys.executable, script, "--help"]
        own = min(seconds(lambda c=command: _quiet(c)) for _ in range(5))
        yield (
            script.name,
            f"{own:.3f} s",
            f"python {floor:.3f} s",
            f"{own - floor:+.3f} s",
        )


STAGES = {
    "candidates": candidates,
    "store": store,
    "train": train,
    "compile": compiled,
    "embed": embed,
    "plots": plots,
    "paint": paint,
    "memory": memory,
    "help": help_time,
}


class Silent:
    """A progress bar that is never drawn."""

    def update(self):
        """Say that nothing was drawn."""
        return False


def seconds(work):
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def wait(device):
    """Wait for the GPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def told(shape):
    """Return x, y, z of a (Z, Y, X) shape in words."""
    return "x".join(map(str, shape[::-1]))


def synthetic(folder, count, size):
    """Write synthetic tomograms; return their image list."""
    make = [sys.executable, PROJECT / "sample_data" / "make_synthetic.py"]
    make += ["--out", folder, "--tomograms", str(count), "--size", *map(str, size)]
    subprocess.run(make, check=True, capture_output=True)
    return Path(folder) / "image_list.txt"


def small_trainer(device, count):
    """Return a model and its trainer on `count` random candidates in memory."""
    import torch

    from lib.artifacts import ExperimentDir
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

    options = PatchOptions("simsiam2d3d", BOX, (3, 5), 0.8)
    if device != "cpu":
        count *= 16
    rng = np.random.default_rng(0)
    shape = (count, *options.patch_shape)
    patches = rng.integers(0, 256, shape, dtype=np.uint8)
    sums = {"pixels": 1, "total": (127, 127), "squares": (2e4, 2e4)}
    metadata = EntryMetadata("noise", **sums)
    entry = Entry(np.zeros((count, 3), np.int32), metadata, patches)
    where = torch.device(device)
    model = build_model("simsiam2d3d_18", mode="simsiam2d3d")
    experiment = ExperimentDir(Path(tempfile.gettempdir()))
    record = RunRecord(
        options=RunOptions(seed=0),
        normalization=Normalization((0.5, 0.5), (0.2, 0.2)),
    )
    trainer = Trainer(
        model,
        PatchStore([entry], options),
        CONTRASTIVE,
        Schedule(4, 256 if device != "cpu" else min(count, 128), 1e-3),
        CheckpointWriter(experiment, record, ranks=ALONE),
        Compute(where, choose_precision("auto", where)),
    )
    return model, trainer


def clustered_table(count):
    """Return an embedding of clusters, with noise for patches."""
    from lib.artifacts import EmbeddingTable

    rng = np.random.default_rng(0)
    centers = rng.normal(size=(60, 128))
    pred = centers[rng.integers(60, size=count)] + 0.5 * rng.normal(size=(count, 128))
    return EmbeddingTable(
        name=np.repeat("tomo1", count),
        coords=rng.integers(0, 500, (count, 3)),
        pred=pred.astype(np.float32),
        proj=pred.astype(np.float32),
        subvol=rng.normal(size=(count, 1, BOX, BOX)).astype(np.float32),
    )


def _quiet(command):
    subprocess.run(command, check=True, capture_output=True)
