"""Entries of the cache made: candidates searched, patches cut, each written as a whole.

A patch entry needs the candidates of its tomogram: they are read where they are, and
searched where not, so that the tomogram is read once.
"""

from dataclasses import asdict

import numpy as np

from lib.artifacts import Watch, claim, first_folder
from lib.artifacts.fingerprints import code_digest
from lib.artifacts.measures import pick_measures
from lib.candidates.chosen import SEARCHED
from lib.candidates.dog import find_candidates
from lib.patches.entries import PATCHES, Entry, EntryMetadata, find_entries, is_whole
from lib.patches.keys import CUTTING, FINDING, candidates_folder
from lib.patches.measures import measure
from lib.patches.selection import choose_by_mask, without_excluded
from lib.patches.tomogram_data import load_tomogram
from lib.patches.views import cut_views, fits_all
from lib.system.runtime import enough_memory

CUT_AT_ONCE = 256  # candidates; bounds the memory of cutting


def make_candidates(tomogram, folder, *, options, device, threads):
    """Write the candidates of one tomogram unless they are there.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
    folder : Path
        Of the entry.
    options : lib.patches.options.PatchOptions
    device : str or torch.device
    threads : int

    Returns
    -------
    bool
        False when another process makes them.
    """
    with claim(folder) as mine:
        if mine and not is_whole(folder):
            _search(tomogram, None, folder, options, device, threads)
    return mine


def make_patches(
    tomogram, folder, *, options, offsets, device, threads, chosen=SEARCHED
):
    """Write the patches of one tomogram unless they are there.

    Parameters
    ----------
    tomogram, folder, options, device, threads
        As of `make_candidates`.
    offsets : tuple of lib.patches.views.PatchOffset
        At which patches are cut.
    chosen : lib.candidates.chosen.Chosen
        What the user decides of the candidates.

    Returns
    -------
    bool
        False when another process makes them.
    """
    with claim(folder) as mine:
        if mine and not is_whole(folder):
            parted = any(offset.tilts != "all" for offset in offsets)
            data = load_tomogram(
                tomogram, options, halves=options.halves and parted, threads=threads
            )
            if chosen.is_given:
                found = given_entry(tomogram, chosen, data.masked)
            else:
                found = _find(tomogram, data, folder, options, device, threads)
            found = choose_by_mask(found, tomogram, options)
            found = without_excluded(found, chosen)
            with first_folder(folder, is_whole=is_whole) as unfinished:
                _cut(data, found, options, offsets, unfinished)
    return mine


def _find(tomogram, data, folder, options, device, threads):
    """Return the candidates of a tomogram, searched unless they are there."""
    searched = candidates_folder(folder.parent, tomogram, options, device)
    # Whoever else searches it: the claim only keeps it from being removed.
    Watch(folder.parent).free([searched])  # removes the claim of a killed job
    with claim(searched):
        return find_entries([searched], quiet=True).get(searched) or _search(
            tomogram, data, searched, options, device, threads
        )


def given_entry(tomogram, chosen, masked=None):
    """Return the candidates that the user gives in a tomogram, as an entry.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
    chosen : lib.candidates.chosen.Chosen
    masked : lib.candidates.masked.Masked, optional
        What of the volume is no specimen.
    """
    return Entry(chosen.given[tomogram.name], _metadata(tomogram, masked))


def _search(tomogram, data, folder, options, device, threads):
    """Find the candidates of a tomogram; write and return their entry.

    `data` is that of the tomogram, where it was read and candidates are searched in it.
    """
    if data is None or options.in_view:
        searched = tomogram.shown if options.in_view else tomogram
        data = load_tomogram(searched, options, threads=threads, tilts=False)
    advice = (
        f"to search {tomogram.name}; free it of other programs, lower --num_workers, "
        "or run on the CPU: --gpus -1"
    )
    with enough_memory(device, advice):
        found = find_candidates(
            data.volume,
            options.sigmas,
            box=options.box,
            diameter=options.dog_diameter,
            boundary=options.dog_boundary,
            std_multiplier=options.dog_std_multiplier,
            bright=options.bright,
            masked=data.masked,
            device=device,
            threads=threads,
        )
    metadata = _metadata(tomogram, data.masked)
    entry = Entry(found.coords, metadata, measures={"response": found.scores})
    with first_folder(folder, is_whole=is_whole) as unfinished:
        entry.write(unfinished)
    return entry


def _metadata(tomogram, masked):
    return EntryMetadata(
        name=tomogram.name,
        rec_path=str(tomogram.rec_path),
        shape=tomogram.shape,
        voxel_size=tomogram.info.voxel_size,
        order=tomogram.order,
        z_sign=tomogram.z_sign,
        gold=masked.gold if masked else 0,
        fill=masked.fill if masked else 0.0,
        code=code_digest(FINDING),
    )


def _cut(data, found, options, offsets, folder):
    """Cut the patches of candidates and write their entry into a folder."""
    # At all offsets, whichever are cut: training and inference have the same rows.
    whole = fits_all(
        data, found.coords, box=options.box, mode=options.mode, offsets=options.offsets
    )
    coords = found.coords[whole]
    inner = slice(options.context, options.context + options.box)
    shape = (len(offsets), *options.patch_shape[1:])
    total, squares = np.zeros((2, options.views), np.int64)
    # Candidates are stored by their strength and cut by z: a chunk then needs few
    # slices of the tomogram.
    by_z = np.argsort(coords[:, 2], kind="stable")
    with (folder / PATCHES).open("wb") as stream:
        for start in range(0, len(coords), CUT_AT_ONCE):
            rows = by_z[start : start + CUT_AT_ONCE]
            patches = cut_views(
                data,
                coords[rows],
                box=options.box,
                context=options.context,
                mode=options.mode,
                offsets=offsets,
            )
            for row, patch in zip(rows.tolist(), patches, strict=True):
                stream.seek(row * patch.nbytes)
                stream.write(patch)
            boxes = patches[:, 0, :, inner, inner].astype(np.int64)
            total += boxes.sum((0, 2, 3))
            squares += (boxes**2).sum((0, 2, 3))
    metadata = {
        **asdict(found.metadata),
        "code": code_digest(CUTTING),
        "patch_shape": shape,
        "left_out": len(found.coords) - len(coords),
        "pixels": len(coords) * options.box**2,
        "total": total.tolist(),
        "squares": squares.tolist(),
    }
    measured = found.measures | measure(
        data, found.coords, diameter=options.dog_diameter, compress=options.compress
    )
    measures = pick_measures(measured, whole)
    Entry(coords, EntryMetadata(**metadata), measures=measures).write(folder)
