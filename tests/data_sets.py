"""A small data set, made in place, and the options that suit it."""

import numpy as np

from lib.patches.options import PatchOptions
from tests.mrc_files import write_mrc

SHAPE = (24, 72, 72)  # (Z, Y, X)
ANGLES = np.arange(-30, 31, 10.0)


def write_blobs(path, seed, shape=SHAPE, order="zxy"):
    """Write a tomogram of noise with dark blobs, as float32 in the order given."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=shape).astype(np.float32)
    z, y, x = np.indices(shape)
    for _ in range(12):
        cz, cy, cx = rng.integers(6, np.array(shape) - 6)
        volume[(z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= 9] -= 4
    write_mrc(path, volume, order=order)


def write_tilts(path, seed, shape=SHAPE):
    """Write a tilt series of noise and its angles."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(len(ANGLES), *shape[1:])).astype(np.float32)
    write_mrc(path, images)
    path.with_suffix(".tlt").write_text("\n".join(f"{a:.2f}" for a in ANGLES) + "\n")


def write_data_set(folder, names=("tomo1", "tomo2"), shape=SHAPE):
    """Write tomograms, tilt series and their image list; return the list's path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image_name\trec_path\ttilt_path\tangle_path"]
    for seed, name in enumerate(names):
        rec, tilts = folder / f"{name}.rec", folder / f"{name}.ali"
        write_blobs(rec, seed, shape)
        write_tilts(tilts, seed, shape)
        lines.append(f"{name}\t{rec}\t{tilts}\t{tilts.with_suffix('.tlt')}")
    listed = folder / "images.txt"
    listed.write_text("\n".join(lines) + "\n")
    return listed


def small_options(mode="simsiam3d", **changes):
    """Return patch options that suit the small data set."""
    options = {
        "box": 8,
        "sigmas": (1.5, 3.0),
        "gauss": 0.8,
        "order": "zxy",
        "dog_boundary": 6,
        "dog_diameter": 8,
    }
    return PatchOptions(mode, **{**options, **changes})
