"""Tomograms, aligned tilt series and tilt angles below folders, by their names.

A list that writes itself has the tomograms of each tilt series once: halves,
denoised copies, masks and other samplings are left out, with the reason. A raw series
never becomes ``tilt_path``. Headers are opened only of the tomograms that are chosen,
and of the series that may belong to them.
"""

import os
from dataclasses import replace
from pathlib import Path

from lib.errors import InputError
from lib.inputs.choice import choose_tomograms
from lib.inputs.folder_walk import is_series_name, walk_folders
from lib.inputs.found import FoundFiles, FoundTomogram, with_own_names
from lib.inputs.found_halves import A_HALF, with_halves
from lib.inputs.mrc import inspect_mrc
from lib.inputs.naming import RELION_LIST, VOLUMES
from lib.inputs.plain_text import expand_path
from lib.inputs.relion_list import read_relion_list
from lib.inputs.series_files import SeriesFiles

STACK_SECTIONS, STACK_WIDTH = 200, 2000  # fewer and wider: images, not a volume


def find_files(folders):
    """Find the tomograms below folders, and their aligned tilt series and angles.

    Parameters
    ----------
    folders : sequence of path-like

    Returns
    -------
    FoundFiles
        Tomograms in the order of their names.

    Raises
    ------
    InputError
        When a folder cannot be read, or no tomogram is found.
    """
    walk = walk_folders(folders)
    found = FoundFiles(walk.roots, n_files=walk.n_files, left_out=list(walk.notes))
    chosen, claimed = _of_relion(walk, found)
    volumes = [
        (path, name)
        for path, name in walk.named
        if name.ending in VOLUMES and os.path.realpath(path) not in claimed
    ]
    if chosen:  # a project of RELION has many volumes that are no tomograms
        volumes = _surely_tomograms(volumes, found)
    series = SeriesFiles(walk.named, walk.recorded)
    chosen = _once(chosen + choose_tomograms(volumes, series, found), found)
    opened = [one for tomogram in chosen if (one := _open(tomogram, found))]
    opened = with_halves(opened, volumes, found)
    twins = {}
    for tomogram in opened:
        twins.setdefault(tomogram.series_name, []).append(tomogram)
    found.renamed = sorted(name for name, same in twins.items() if len(same) > 1)
    found.tomograms = [
        replace(one, **series.of(one, [twin.path for twin in twins[one.series_name]]))
        for one in with_own_names(twins)
    ]
    if not found.tomograms:
        raise InputError(_nothing(found))
    return found


def _of_relion(walk, found):
    """Return the tomograms of RELION's lists, and the files that are theirs."""
    rows, claimed = [], set()
    for star in walk.stars:
        if star.name.lower() != RELION_LIST:
            continue
        try:
            rows += read_relion_list(star)
        except InputError as error:
            found.left_out.append((str(star), str(error).removeprefix(f"{star} ")))
    whole = {row.name for row in rows if not row.is_copy}
    chosen = []
    for row in rows:
        files = (row.path, *row.halves, *row.copies)
        claimed.update(map(os.path.realpath, files))
        is_further_copy = row.is_copy and row.name in whole
        found.left_out += [
            (str(path), "a processed copy of a tomogram in the list")
            for path in (*row.copies, *[row.path] * is_further_copy)
        ]
        if not is_further_copy:
            chosen.append(
                FoundTomogram(
                    row.name,
                    row.path,
                    "RELION 5",
                    is_copy=row.is_copy,
                    halves=row.halves,
                )
            )
    return chosen, claimed


def _surely_tomograms(volumes, found):
    """Leave out volumes that only may be tomograms, by their names."""
    sure = []
    for path, name in volumes:
        if name.is_reconstruction or is_series_name(name):
            sure.append((path, name))
        else:
            found.left_out.append((str(path), "not in RELION's list of tomograms"))
    return sure


def _once(tomograms, found):
    """Leave out links to a tomogram that is there already."""
    kept = {}
    for tomogram in sorted(tomograms, key=lambda one: one.path.is_symlink()):
        first = kept.setdefault(os.path.realpath(tomogram.path), tomogram)
        if first is not tomogram:
            found.left_out.append(
                (str(tomogram.path), f"the same file as {first.path}")
            )
    return list(kept.values())


def _open(tomogram, found):
    """Return a tomogram with its header, or None; the reason is noted."""
    path = str(tomogram.path)
    try:
        info = inspect_mrc(tomogram.path)
    except InputError as error:
        found.left_out.append((path, str(error).removeprefix(f"{path} ")))
        return None
    depth, *image = info.shape
    if min(info.shape) < 2:
        fault = "a single image"
    elif expand_path(path) != Path(path):
        fault = "its path has a $ or ~ that a list would expand"
    elif '"' in path and "'" in path:
        fault = "its path has both kinds of quotes, which a list cannot hold"
    elif not tomogram.program and depth < STACK_SECTIONS and min(image) > STACK_WIDTH:
        fault = "a stack of images by its size; write a list by hand if it is not"
    else:
        return replace(tomogram, info=info)
    found.left_out.append((path, fault))
    return None


def _nothing(found):
    places = ", ".join(map(str, found.roots))
    reasons = "".join(f"\n  {path}: {why}" for path, why in found.left_out[:10])
    advice = "list the files by hand if yours differ"
    if any(why.startswith(A_HALF) for _, why in found.left_out):
        advice = (
            "there are only halves: reconstruct from all images too, denoise them "
            "(RELION: Denoise tomograms), or list one as rec_path by hand"
        )
    return (
        f"no tomogram found in {places} ({found.n_files:,} files); expected names such "
        "as NAME.rec, NAME_rec.mrc, NAME_Vol.mrc, NAME_10.00Apx.mrc or "
        f"tomograms.star; {advice}" + (f". Left out:{reasons}" if reasons else "")
    )
