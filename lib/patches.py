"""The patch store: what the network sees of every candidate, 8-bit, on disk.

One shard a tomogram, keyed by its files (path, size, time) and by every option
that changes a patch. A second run, or inference after training, finds its shards;
a changed file or option makes a new one. Shards are memory-mapped, so memory does
not grow with the number of tomograms.
"""

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.candidates import expected_count, find_candidates
from lib.errors import InputError, OptionError, ResourceError, warn
from lib.preprocess import preprocess_tilt_images, preprocess_tomogram
from lib.runtime import ALONE
from lib.tomo_io import (
    ORDERS,
    inspect_mrc,
    read_tilt_series,
    read_tomogram,
    resolve_order,
)
from lib.views import NEIGHBOURS, VIEWS_BY_MODE, Scene, cut_views

STORE_SCHEMA = 1
CACHE_NAME = ".patches"
CUT_AT_ONCE = 256  # candidates; bounds the memory of cutting
FLOAT_COPIES = 3  # of a tomogram, at the peak of its preparation


@dataclass(frozen=True)
class PatchOptions:
    """Everything that decides which patches there are.

    Attributes
    ----------
    mode : str
        Key of `lib.views.VIEWS_BY_MODE`.
    box : int
        Edge of a patch, even [voxels].
    sigmas : tuple of float
        Of the DoG pyramid [voxels].
    gauss : float
        Denoising Gaussian [voxels].
    order : str
        Axes of the tomogram files, see `lib.tomo_io`.
    compress, bright, flip_tilt_angles : bool
    dog_diameter, dog_boundary : int
        See `lib.candidates.find_candidates`.
    dog_std_multiplier : float
    tilt_range : float
        [degrees].
    """

    mode: str
    box: int
    sigmas: tuple
    gauss: float
    order: str = "xzy"
    compress: bool = False
    bright: bool = False
    dog_diameter: int = 14
    dog_boundary: int = 30
    dog_std_multiplier: float = 0.5
    tilt_range: float = 20.0
    flip_tilt_angles: bool = False

    def __post_init__(self):
        object.__setattr__(self, "sigmas", tuple(self.sigmas))
        ascending = all(
            a < b for a, b in zip((0, *self.sigmas), self.sigmas, strict=False)
        )
        if len(self.sigmas) < 2 or not ascending:
            raise OptionError(
                f"--dog {self.sigmas}: two or more positive, ascending sigmas needed"
            )
        if self.box < 8 or self.box % 2:
            raise OptionError(
                f"--bbox {self.box} must be even and at least 8: the candidate sits "
                "on its centre pixel"
            )
        if not 0 <= self.gauss < 50:
            raise OptionError(f"--gauss {self.gauss} must be 0 (off) to 50 voxels")
        if not 0 <= self.tilt_range <= 90:
            raise OptionError(f"--tilt_range {self.tilt_range} must be 0 to 90 degrees")
        if self.dog_diameter < 1 or self.dog_boundary < 0:
            raise OptionError("--dog_diameter and --dog_boundary must be positive")

    @property
    def context(self):
        """Pixels kept around a box, so that it can be turned without empty corners."""
        return -(-self.box * 21 // 100)  # box (sqrt 2 - 1) / 2, rounded up

    @property
    def edge(self):
        """Edge of a stored patch [px]."""
        return self.box + 2 * self.context

    @property
    def views(self):
        """Number of views of a candidate."""
        return len(VIEWS_BY_MODE[self.mode])

    @property
    def bytes_per_candidate(self):
        """Disk that a candidate takes."""
        return (1 + len(NEIGHBOURS)) * self.views * self.edge**2


@dataclass(frozen=True)
class Shard:
    """The patches of one tomogram.

    Attributes
    ----------
    patches : ndarray of uint8, shape (N, P, V, S, S)
        Memory-mapped; see `lib.views.cut_views`.
    coords : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels].
    facts : dict
        name, rec_path, shape (of the file, Z, Y, X), voxel_size, order, z_sign,
        patch_shape, left_out (candidates without a full patch), and for the
        normalisation the sums over the boxes: pixels, total and squares a view.
    """

    patches: np.ndarray
    coords: np.ndarray
    facts: dict

    @classmethod
    def load(cls, folder):
        """Open a finished shard."""
        facts = json.loads((folder / "facts.json").read_text())
        coords = np.load(folder / "coords.npy")
        shape = (len(coords), *facts["patch_shape"])
        if not len(coords):
            return cls(np.zeros(shape, np.uint8), coords, facts)
        patches = np.memmap(folder / "patches.u8", np.uint8, mode="r", shape=shape)
        return cls(patches, coords, facts)


class PatchStore:
    """The shards of all tomograms of a list, as one table of candidates.

    Parameters
    ----------
    shards : list of Shard
        In the order of the image list.
    options : PatchOptions
    """

    def __init__(self, shards, options):
        self.shards = shards
        self.options = options
        self.starts = np.cumsum([0] + [len(shard.coords) for shard in shards])
        self.coords = np.concatenate([shard.coords for shard in shards])
        self.names = np.repeat(
            [shard.facts["name"] for shard in shards], np.diff(self.starts)
        )

    def __len__(self):
        return int(self.starts[-1])

    @property
    def nbytes(self):
        """Bytes of all patches."""
        return sum(shard.patches.nbytes for shard in self.shards)

    def normalisation(self):
        """Return mean and std of each view's pixels, scaled to 0..1.

        Returns
        -------
        mean, std : list of float, length V
        """
        pixels = sum(shard.facts["pixels"] for shard in self.shards)
        total = np.sum([shard.facts["total"] for shard in self.shards], axis=0)
        squares = np.sum([shard.facts["squares"] for shard in self.shards], axis=0)
        mean = total / pixels
        std = np.sqrt(squares / pixels - mean**2)
        return (mean / 255).tolist(), (std / 255).tolist()

    def gather(self, rows, places):
        """Copy patches out of the store.

        Parameters
        ----------
        rows : ndarray of int, shape (B,)
            Candidates.
        places : ndarray of int, shape (B,)
            0 for the candidate itself, p for its p-th neighbour.

        Returns
        -------
        ndarray of uint8, shape (B, V, S, S)
        """
        edge = self.options.edge
        batch = np.empty((len(rows), self.options.views, edge, edge), np.uint8)
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(owner):
            here = owner == number
            local = rows[here] - self.starts[number]
            batch[here] = self.shards[number].patches[local, places[here]]
        return batch


def prepare_store(rows, options, *, cache, workers=None, device="cpu", ranks=ALONE):
    """Return the patch store of an image list, preparing what is missing.

    Parameters
    ----------
    rows : list of lib.image_list.ImageRow
    options : PatchOptions
    cache : path-like
        Folder of the shards.
    workers : int, optional
        Processes; by default as many as cores and memory allow.
    device : str
        Where candidates are searched.
    ranks : lib.runtime.Ranks
        Ranks that share the preparation.

    Returns
    -------
    PatchStore

    Raises
    ------
    InputError
        When a file cannot be used, or no tomogram holds a candidate.
    ResourceError
        When disk or memory do not suffice; nothing has been written then.
    """
    cache = Path(cache)
    folders = [cache / _key(row, options) for row in rows]
    missing = [
        (row, folder)
        for row, folder in zip(rows, folders, strict=True)
        if not (folder / "facts.json").is_file()
    ]
    if missing:
        need = announce(missing, options, cache, len(rows), quiet=not ranks.is_main)
        # By place in the list: what is missing may already differ between ranks.
        mine = [
            pair for pair in missing if folders.index(pair[1]) in ranks.part(len(rows))
        ]
        _prepare_all(mine, options, workers=workers, device=device, need=need)
    ranks.barrier()
    shards = [Shard.load(folder) for folder in folders]
    _report_empty(shards)
    return PatchStore([s for s in shards if len(s.coords)], options)


def announce(missing, options, cache, total, quiet=False):
    """Say what the preparation will cost; refuse when the disk is too small.

    Returns
    -------
    int
        Memory that one process needs [bytes].
    """
    expected, memory = 0, 0
    for row, _ in missing:
        shape, tilts = _shapes(row, options)
        expected += expected_count(
            shape,
            diameter=options.dog_diameter,
            boundary=options.dog_boundary,
            box=options.box,
        )
        floats = FLOAT_COPIES * np.prod(shape) + (np.prod(tilts) if tilts else 0)
        memory = max(memory, 4 * int(floats))
    disk = expected * options.bytes_per_candidate
    if not quiet:
        print(
            f"preparing {len(missing)} of {total} tomograms: about {expected:,} "
            f"candidates, {disk / 1e9:.2f} GB on disk in {cache}, "
            f"{memory / 1e9:.1f} GB of memory for each at work",
            flush=True,
        )
    existing = next(p for p in (cache, *cache.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if disk > free:
        raise ResourceError(
            f"{cache} has {free / 1e9:.2f} GB free, the patches need about "
            f"{disk / 1e9:.2f} GB; name a larger disk with --cache_dir, or fewer "
            "candidates with --dog_std_multiplier or --dog_diameter"
        )
    return memory


def _shapes(row, options):
    """Return (Z, Y, X) of a tomogram and (T, Y, X) of its tilts, by the headers."""
    tilted = options.mode == "simsiam2d3d"
    tilts = inspect_mrc(row.tilt_path).shape if tilted else None
    info = inspect_mrc(row.rec_path)
    axes = ORDERS[resolve_order(info, options.order, tilts)]
    return tuple(info.shape[axis] for axis in axes), tilts


def _prepare_all(missing, options, *, workers, device, need):
    count = _worker_count(workers, len(missing), need)
    bar = tqdm(total=len(missing), desc="tomograms", unit="tomogram", disable=None)
    if count <= 1:
        for row, folder in missing:
            _prepare(row, folder, options, device)
            bar.update()
    else:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            os_threads = max(1, len(os.sched_getaffinity(0)) // count)
            futures = [
                pool.submit(_prepare, row, folder, options, device, os_threads)
                for row, folder in missing
            ]
            for future in futures:
                future.result()
                bar.update()
    bar.close()


def _worker_count(workers, tomograms, need):
    if workers is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        workers = min(len(os.sched_getaffinity(0)), int(memory // (2 * max(need, 1))))
    return min(workers, tomograms)


def _prepare(row, folder, options, device, os_threads=None):
    """Write the shard of one tomogram; it appears whole or not at all."""
    if os_threads:
        os.environ["OMP_NUM_THREADS"] = str(os_threads)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        scene, volume = load_scene(row, options)
        found = find_candidates(
            scene.volume,
            options.sigmas,
            box=options.box,
            diameter=options.dog_diameter,
            boundary=options.dog_boundary,
            std_multiplier=options.dog_std_multiplier,
            bright=options.bright,
            device=device,
        )
        facts = {
            "name": row.name,
            "rec_path": str(row.rec_path),
            "shape": list(volume.array.shape),
            "voxel_size": volume.voxel_size,
            "order": volume.order,
            "z_sign": volume.z_sign,
        }
        facts |= _write_patches(partial, scene, found.coords, options)
        (partial / "facts.json").write_text(json.dumps(facts))
        if not folder.exists():
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_scene(row, options):
    """Read and preprocess what shows the candidates of one tomogram.

    Parameters
    ----------
    row : lib.image_list.ImageRow
    options : PatchOptions

    Returns
    -------
    Scene, lib.tomo_io.Volume
    """
    tilted = options.mode == "simsiam2d3d"
    tilt_shape = inspect_mrc(row.tilt_path).shape if tilted else None
    raw, volume = read_tomogram(
        row.rec_path, options.order, compress=options.compress, tilt_shape=tilt_shape
    )
    data = preprocess_tomogram(raw, options.gauss)
    del raw
    depth = volume.array.shape[0]
    if not tilted:
        return Scene(data, depth=depth, z_sign=volume.z_sign), volume
    series = read_tilt_series(
        row.tilt_path,
        row.angle_path,
        tomogram_xy=data.shape[:0:-1],
        max_tilt=options.tilt_range,
        flip=options.flip_tilt_angles,
    )
    images = preprocess_tilt_images(series.images, options.gauss)
    return Scene(data, images, series.angles, volume.z_sign, depth), volume


def _write_patches(folder, scene, coords, options):
    """Cut and write the patches; return the sums of their pixels and the rest."""
    inner = slice(options.context, options.context + options.box)
    chunks = [coords[i : i + CUT_AT_ONCE] for i in range(0, len(coords), CUT_AT_ONCE)]
    total = np.zeros(options.views, np.int64)
    squares = np.zeros(options.views, np.int64)
    kept = []
    with (folder / "patches.u8").open("wb") as stream:
        for chunk in chunks:
            patches, seen = cut_views(
                scene,
                chunk,
                box=options.box,
                context=options.context,
                mode=options.mode,
            )
            patches = patches[seen]
            stream.write(patches.tobytes())
            boxes = patches[:, 0, :, inner, inner].astype(np.int64)
            total += boxes.sum((0, 2, 3))
            squares += (boxes**2).sum((0, 2, 3))
            kept.append(chunk[seen])
        stream.flush()
        os.fsync(stream.fileno())
    kept = np.concatenate([np.zeros((0, 3), np.int32), *kept])
    np.save(folder / "coords.npy", kept)
    return {
        "patch_shape": [1 + len(NEIGHBOURS), options.views, *2 * [options.edge]],
        "left_out": len(coords) - len(kept),
        "pixels": len(kept) * options.box**2,
        "total": total.tolist(),
        "squares": squares.tolist(),
    }


@contextmanager
def store_folder(exp_dir, *, cache_dir=None, no_cache=False):
    """Yield the folder of the shards; with `no_cache` it goes when the block ends."""
    folder = Path(cache_dir) if cache_dir else Path(exp_dir) / CACHE_NAME
    if not no_cache:
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="once-") as once:
        yield Path(once)


def _key(row, options):
    """Return the name of a shard: a digest of its files and options."""
    paths = (row.rec_path,)
    if options.mode == "simsiam2d3d":
        paths += (row.tilt_path, row.angle_path)
    stats = [(str(path.resolve()), path.stat()) for path in paths]
    files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    content = json.dumps([STORE_SCHEMA, row.name, files, asdict(options)])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _report_empty(shards):
    """Refuse a list without candidates; name the tomograms that have none."""
    empty = [s.facts["name"] for s in shards if not len(s.coords)]
    if len(empty) == len(shards):
        raise InputError(
            "no candidates in any tomogram: check --order, and the contrast (protein "
            "must be dark, else --bright); or lower --dog_std_multiplier"
        )
    if empty:
        warn(f"no candidates in {', '.join(empty)}; left out")
