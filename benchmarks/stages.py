"""The stages of the speed benchmark: each yields (size, ours, floor, ratio)."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.stage_tools import BOX, PROJECT, quiet, seconds, synthetic, told
from benchmarks.stages_network import compiled, embed, train


def candidates(device, small):
    """All of candidate search against its own Gaussian filters."""
    from scipy.ndimage import gaussian_filter

    from lib.candidates.dog import find_candidates
    from lib.candidates.scale_space import gaussian_volume, gaussian_volume_torch
    from lib.run.candidate_options import PatchSettings

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
    options = {
        "box": BOX,
        "diameter": PatchSettings.dog_diameter,
        "boundary": PatchSettings.dog_boundary,
        "std_multiplier": PatchSettings.dog_std_multiplier,
    }
    ours = seconds(lambda: find_candidates(volume, sigmas, device=device, **options))
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
            quiet([sys.executable, PROJECT / command[0], *command[1:]])
        return watched.peak


def help_time(_device, _small):
    """--help of each script against Python's own start."""
    floor = min(
        seconds(lambda: quiet([sys.executable, "-c", "pass"])) for _ in range(5)
    )
    for script in sorted(PROJECT.glob("*.py")):
        if script.name == "opts.py":
            continue
        command = [sys.executable, script, "--help"]
        own = min(seconds(lambda c=command: quiet(c)) for _ in range(5))
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
GOALS = {
    "candidates": "at most 1.5",
    "store": "at most 0.01",
    "train": "at least 0.95; channels last at most 1",
    "compile": "at most 1",
    "embed": "at least 0.95",
    "plots": "at most 1.2",
    "paint": "at most 1.5",
    "memory": "at most 1.1; of a volume at most 4",
    "help": "at most +0.1 s",
}


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
