"""Preparation of the patch store: candidates and patches of each tomogram, once.

Shards are keyed by the tomogram's files (path, size, time) and by every option that
changes a patch. A second run, or inference after training, finds its shards; a
changed file or option makes a new one. Several jobs may prepare into one folder, of
several users and machines: they share the work, and each finds what another made.
"""

import hashlib
import json
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from lib.artifacts import claim, first_folder, remove_partial_files
from lib.candidates.dog import find_candidates
from lib.errors import InputError, OptionError, ResourceError, user_files, warn
from lib.inputs.noted_files import note_file
from lib.patches.resources import announce
from lib.patches.sharing import share_out
from lib.patches.store import PatchStore, find_shards, is_whole
from lib.patches.tomogram_data import load_tomogram
from lib.patches.views import cut_views
from lib.patches.workers import cores, within_memory, worker_count
from lib.system.ranks import ALONE
from lib.system.runtime import enough_memory

STORE_SCHEMA = 4
CACHE_NAME = ".patches"
CUT_AT_ONCE = 256  # candidates; bounds the memory of cutting


@contextmanager
def store_folder(exp_dir, *, cache_dir=None, no_cache=False, ranks=ALONE):
    """Yield the folder of the shards; with `no_cache` it goes when the block ends."""
    if no_cache and ranks.world > 1:
        raise OptionError(
            "--no_cache makes a folder for one process, and several share the patches "
            "here; leave it out, or name a folder with --cache_dir and remove it after"
        )
    folder = Path(cache_dir) if cache_dir else Path(exp_dir) / CACHE_NAME
    if not no_cache:
        yield folder
        return
    with user_files(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder, prefix="once-")
    with temporary as once:
        yield Path(once)


def prepare_store(
    tomograms, options, *, cache, workers=None, device="cpu", ranks=ALONE
):
    """Return the patch store of an image list, preparing what is missing.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
    options : PatchOptions
    cache : path-like
        Folder of the shards.
    workers : int, optional
        Processes; by default as `lib.patches.workers.worker_count` says.
    device : str
        Where candidates are searched.
    ranks : lib.system.ranks.Ranks
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
    folders = [cache / _key(tomogram, options) for tomogram in tomograms]
    shards = find_shards(folders, quiet=not ranks.is_main)
    missing = [
        (tomogram, folder)
        for tomogram, folder in zip(tomograms, folders, strict=True)
        if folder not in shards
    ]
    if missing:
        total = len(tomograms)
        need = announce(missing, options, cache, total, quiet=not ranks.is_main)
        # By place in the list: what is missing may already differ between ranks.
        mine = [pair for pair in missing if folders.index(pair[1]) in ranks.part(total)]
        count = worker_count(workers, len(mine), need, device)
        _prepare_all(mine, options, cache=cache, workers=count, device=device)
    ranks.barrier()
    unseen = [folder for folder in folders if folder not in shards]
    shards |= find_shards(unseen, anew=True, quiet=True)
    if len(shards) < len(folders):
        raise ResourceError(
            f"{cache} lacks {len(folders) - len(shards)} of {len(folders)} tomograms "
            "that other processes prepared; name a folder that all nodes see with "
            "--cache_dir"
        )
    known = [
        replace(shard, facts={**shard.facts, **note_file(tomogram.rec_path)})
        for tomogram, shard in zip(tomograms, map(shards.get, folders), strict=True)
    ]
    _report_empty(known)
    return PatchStore([shard for shard in known if len(shard.coords)], options)


def _prepare_all(missing, options, *, cache, workers, device):
    with user_files(cache):
        cache.mkdir(parents=True, exist_ok=True)
    remove_partial_files(cache)
    prepare = partial(
        _prepare_once,
        options=options,
        device=device,
        threads=max(1, cores() // max(workers, 1)),
    )
    with within_memory(max(workers, 1)):
        share_out(missing, prepare, cache=cache, workers=workers)
    remove_partial_files(cache)  # of jobs that were killed meanwhile


def _prepare_once(tomogram, folder, options, device, threads):
    """Write the shard of one tomogram unless it is there.

    Returns
    -------
    bool
        False when another process is at it.
    """
    with claim(folder) as mine:
        if mine and not is_whole(folder):
            _prepare(tomogram, folder, options, device, threads)
    return mine


def _prepare(tomogram, folder, options, device, threads):
    """Write the shard of one tomogram; it appears whole or not at all."""
    with first_folder(folder, is_whole=is_whole) as unfinished:
        scene = load_tomogram(tomogram, options, threads=threads)
        advice = (
            f"to search {tomogram.name}; free it of other programs, lower "
            "--num_workers, or prepare the tomograms on the CPU: --dry_run --gpus -1"
        )
        with enough_memory(device, advice):
            found = find_candidates(
                scene.volume,
                options.sigmas,
                box=options.box,
                diameter=options.dog_diameter,
                boundary=options.dog_boundary,
                std_multiplier=options.dog_std_multiplier,
                bright=options.bright,
                masked=scene.masked,
                device=device,
                threads=threads,
            )
        facts = {
            "name": tomogram.name,
            "rec_path": str(tomogram.rec_path),
            "shape": list(tomogram.shape),
            "voxel_size": tomogram.info.voxel_size,
            "order": tomogram.order,
            "z_sign": tomogram.z_sign,
            "gold": scene.masked.gold if scene.masked else 0,
            "fill": scene.masked.fill if scene.masked else 0.0,
        }
        facts |= _write_patches(unfinished, scene, found.coords, options)
        (unfinished / "facts.json").write_text(json.dumps(facts))


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
                pairing=options.pairing,
            )
            patches = patches[seen]
            stream.write(patches.tobytes())
            boxes = patches[:, 0, :, inner, inner].astype(np.int64)
            total += boxes.sum((0, 2, 3))
            squares += (boxes**2).sum((0, 2, 3))
            kept.append(chunk[seen])
    kept = np.concatenate([np.zeros((0, 3), np.int32), *kept])
    np.save(folder / "coords.npy", kept)
    return {
        "patch_shape": options.patch_shape,
        "left_out": len(coords) - len(kept),
        "pixels": len(kept) * options.box**2,
        "total": total.tolist(),
        "squares": squares.tolist(),
    }


def _key(tomogram, options):
    """Return the name of a shard: a digest of its files and options."""
    paths = (tomogram.rec_path,)
    if options.needs_tilts:
        paths += (tomogram.tilt_path, tomogram.angle_path)
    with user_files():
        stats = [(str(path.resolve()), path.stat()) for path in paths]
    files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    content = json.dumps([STORE_SCHEMA, tomogram.name, files, asdict(options)])
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
