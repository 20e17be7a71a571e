"""Preparation of an image list: candidates and patches of each tomogram, once.

A second run, or inference after training, finds the entries that it needs in the
cache; a changed file or option makes new ones, see `lib.patches.keys`. Several jobs
may prepare into one folder, of several users and machines: they share the work, and
each finds what another made.
"""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

from lib.artifacts import remove_partial_files
from lib.candidates.chosen import SEARCHED
from lib.candidates.dog import widest_diameter
from lib.errors import (
    ResourceError,
    user_files,
    warn_once,
)
from lib.inputs.noted_files import note_file
from lib.patches.entries import find_entries
from lib.patches.keys import candidates_folder, patches_folder
from lib.patches.making import given_entry, make_candidates, make_patches
from lib.patches.resources import (
    announce,
    cores,
    share_out,
    within_memory,
    worker_count,
)
from lib.patches.selection import chosen_entries, not_empty
from lib.patches.store import PatchStore
from lib.system.ranks import ALONE


def prepare_candidates(
    tomograms,
    options,
    *,
    cache,
    workers=None,
    device="cpu",
    ranks=ALONE,
    chosen=SEARCHED,
):
    """Return the candidates of an image list, searching what is missing.

    Parameters
    ----------
    tomograms, options, cache, workers, device, ranks, chosen
        As of `prepare_store`.

    Returns
    -------
    list of lib.patches.entries.Entry
        Without patches; those with candidates, in the order of the list.

    Raises
    ------
    InputError, ResourceError
        As `prepare_store`.
    """
    cache = Path(cache)
    choose = partial(chosen_entries, quiet=not ranks.is_main)
    if chosen.is_given:
        entries = [given_entry(tomogram, chosen) for tomogram in tomograms]
        return choose(entries, tomograms, options, chosen)
    folders = [candidates_folder(cache, t, options, device) for t in tomograms]
    make = partial(make_candidates, options=options, device=device)
    entries = _prepare(
        tomograms,
        folders,
        make,
        options=options,
        offsets=(),
        cache=cache,
        workers=workers,
        device=device,
        ranks=ranks,
    )
    return choose(entries, tomograms, options, chosen)


def prepare_store(
    tomograms,
    options,
    *,
    cache,
    workers=None,
    device="cpu",
    ranks=ALONE,
    embedded_only=False,
    chosen=SEARCHED,
):
    """Return the patch store of an image list, preparing what is missing.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
    options : lib.patches.options.PatchOptions
    cache : path-like
        Folder of the entries.
    workers : int, optional
        Processes; by default as `lib.patches.resources.worker_count` says.
    device : str or torch.device
        Where candidates are searched.
    ranks : lib.system.ranks.Ranks
        Ranks that share the preparation.
    embedded_only : bool
        Whether the patches that are embedded suffice, without those of the pairs.
    chosen : lib.candidates.chosen.Chosen
        What the user decides of the candidates; with given ones, of each tomogram.

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
    offsets = options.offsets[:1] if embedded_only else options.offsets
    same = {"options": options, "device": device, "chosen": chosen}
    name = partial(patches_folder, cache, **same)
    folders = [name(tomogram, offsets=offsets) for tomogram in tomograms]
    # Those of training hold what is embedded too.
    instead = [name(tomogram, offsets=options.offsets) for tomogram in tomograms]
    make = partial(make_patches, offsets=offsets, **same)
    entries = _prepare(
        tomograms,
        folders,
        make,
        instead=instead,
        options=options,
        offsets=offsets,
        cache=cache,
        workers=workers,
        device=device,
        ranks=ranks,
        chosen=chosen,
    )
    return PatchStore(entries, options)


def warn_of_small_box(options):
    """Warn of patches that do not show the particles that are searched as a whole."""
    widest = widest_diameter(options.sigmas)
    if options.box < widest:
        given = ",".join(f"{sigma:g}" for sigma in options.sigmas)
        warn_once(
            f"--bbox {options.box} is smaller than the particles that --dog {given} "
            f"looks for, up to {widest:.0f} voxels: patches will not show them "
            f"whole; give --bbox {2 * math.ceil(widest / 2)} or more, or smaller "
            "sigmas"
        )


def _prepare(
    tomograms,
    folders,
    make,
    *,
    options,
    offsets,
    cache,
    workers,
    device,
    ranks,
    instead=None,
    chosen=SEARCHED,
):
    """Return the entries of a list, those that are not there made by `make`.

    An entry of `instead`, where there is one, is taken in place of that of `folders`.
    """
    if ranks.is_main and not chosen.is_given:
        warn_of_small_box(options)
    instead = instead or folders
    found = _find(folders, instead, quiet=not ranks.is_main)
    total = len(tomograms)
    missing = [number for number in range(total) if number not in found]
    if missing:
        need = announce(
            [tomograms[number] for number in missing],
            options,
            cache,
            offsets=offsets,
            total=total,
            chosen=chosen,
            quiet=not ranks.is_main,
        )
        # By the list: what is missing may already differ between ranks.
        mine = [
            (tomograms[number], folders[number])
            for number in missing
            if number in ranks.part(total)
        ]
        count = worker_count(workers, len(mine), need, device)
        _make_all(mine, make, cache=cache, workers=count)
    ranks.barrier()
    found |= _find(folders, instead, but=found, anew=True, quiet=True)
    if len(found) < total:
        raise ResourceError(
            f"{cache} lacks {total - len(found)} of {total} tomograms that other "
            "processes prepared; name a folder that all nodes see with --cache_dir"
        )
    entries = [
        replace(found[number], metadata=_of_list(found[number].metadata, tomogram))
        for number, tomogram in enumerate(tomograms)
    ]
    return not_empty(entries, options, chosen, quiet=not ranks.is_main)


def _of_list(metadata, tomogram):
    """Return the metadata of an entry with what the list at hand says.

    An entry is shared by lists that name the tomogram by another path, give its voxel
    size or not, or have its tilt series or not.
    """
    noted = note_file(tomogram.rec_path) | tomogram.companions.paths()
    return replace(metadata, voxel_size=tomogram.voxel_size, **noted)


def _find(folders, instead, *, but=(), anew=False, quiet=False):
    """Return the entries that are there, by their index in the list."""
    sought = [n for n in range(len(folders)) if n not in but]
    entries = find_entries({folders[n] for n in sought}, anew=anew, quiet=quiet)
    others = {instead[n] for n in sought if folders[n] not in entries}
    others -= set(folders)
    entries |= find_entries(others, quiet=quiet)
    found = {n: entries.get(folders[n]) or entries.get(instead[n]) for n in sought}
    return {n: entry for n, entry in found.items() if entry is not None}


def _make_all(missing, make, *, cache, workers):
    with user_files(cache):
        cache.mkdir(parents=True, exist_ok=True)
    remove_partial_files(cache)
    make = partial(make, threads=max(1, cores() // max(workers, 1)))
    with within_memory(max(workers, 1)):
        share_out(missing, make, cache=cache, workers=workers)
    remove_partial_files(cache)  # of jobs that were killed meanwhile
