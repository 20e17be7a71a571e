"""A small labelled-by-construction data set that several test files share."""

import os

import mrcfile
import numpy as np
import pytest

from lib.inputs.image_list import read_image_list
from lib.patches.options import PatchOptions
from lib.patches.preparation import prepare_store
from lib.runtime import choose_device

SHAPE = (24, 72, 72)  # (Z, Y, X)
# Where the tests marked "gpu" run: "cuda" in ``make gpu``.
TEST_DEVICE = os.environ.get("TEST_DEVICE", "cpu")
ANGLES = np.arange(-30, 31, 10.0)


@pytest.fixture(scope="session")
def device():
    """Return where the tests marked "gpu" run."""
    return choose_device("0" if TEST_DEVICE == "cuda" else "-1")


@pytest.fixture
def one_thread():
    """Keep threads from waiting for each other over tiny patches."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_tomogram(path, seed, shape=SHAPE, order="zxy"):
    """Write noise with dark blobs as float32, axes as named by --order."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=shape).astype(np.float32)
    z, y, x = np.indices(shape)
    for _ in range(12):
        cz, cy, cx = rng.integers(6, np.array(shape) - 6)
        volume[(z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= 9] -= 4
    if order == "xzy":
        volume = np.ascontiguousarray(volume.transpose(1, 0, 2))
    with mrcfile.new(path, volume, overwrite=True) as mrc:
        mrc.voxel_size = 10.0


def write_tilts(path, seed, shape=SHAPE):
    """Write a tilt series of noise and its angles."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(len(ANGLES), *shape[1:])).astype(np.float32)
    with mrcfile.new(path, images, overwrite=True) as mrc:
        mrc.voxel_size = 10.0
    path.with_suffix(".tlt").write_text("\n".join(f"{a:.2f}" for a in ANGLES) + "\n")


def write_data_set(folder, names=("tomo1", "tomo2"), shape=SHAPE):
    """Write tomograms, tilt series and their image list; return the list's path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image_name\trec_path\ttilt_path\tangle_path"]
    for seed, name in enumerate(names):
        rec, tilts = folder / f"{name}.rec", folder / f"{name}.ali"
        write_tomogram(rec, seed, shape)
        write_tilts(tilts, seed, shape)
        lines.append(f"{name}\t{rec}\t{tilts}\t{tilts.with_suffix('.tlt')}")
    listed = folder / "images.txt"
    listed.write_text("\n".join(lines) + "\n")
    return listed


def small_options(mode="simsiam3d", **changes):
    """Patch options that suit the small data set."""
    options = {
        "box": 8,
        "sigmas": (1.5, 3.0),
        "gauss": 0.8,
        "order": "zxy",
        "dog_boundary": 6,
        "dog_diameter": 8,
    }
    return PatchOptions(mode, **{**options, **changes})


@pytest.fixture(scope="session")
def data_set(tmp_path_factory):
    """The path of the image list of two small tomograms."""
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def stores(data_set, tmp_path_factory):
    """The patch store of each mode."""
    cache = tmp_path_factory.mktemp("cache")
    rows = read_image_list(data_set, project=data_set.parent, needs_tilts=True)
    return {
        mode: prepare_store(rows, small_options(mode), cache=cache, workers=0)
        for mode in ("simsiam2d3d", "simsiam3d")
    }
