"""Tomograms, aligned tilt series and tilt angles below folders, by their names.

A list that writes itself has the tomograms of each tilt series once: halves,
denoised copies, masks and other samplings are left out, with the reason. A raw series
never becomes ``tilt_path``. Headers are opened only of the tomograms that are chosen,
and of the series that may belong to them.
"""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from lib.errors import InputError
from lib.inputs.folder_walk import is_series_name, walk_folders
from lib.inputs.found import FoundFiles, FoundTomogram, with_own_names
from lib.inputs.found_halves import with_halves
from lib.inputs.mrc import inspect_mrc
from lib.inputs.naming import (
    LABELS,
    PROCESSED,
    RELION_LIST,
    UNTRIMMED,
    VOLUMES,
    base_folder,
)
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
    chosen = _once(chosen + _choose(volumes, series, found), found)
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


def _choose(volumes, series, found):
    """Return one tomogram for each name in a folder; note why others are left out."""
    certain = {
        name.name
        for _, name in volumes
        if name.is_reconstruction and not (name.half or name.words & LABELS)
    }
    groups, copies = {}, {}
    for path, name in volumes:
        is_copy = bool(name.words & PROCESSED)
        if name.half or (not name.is_reconstruction and is_series_name(name)):
            continue  # with the tomogram it belongs to, and with the series
        if name.words & LABELS:
            reason = "mask, thickness or picture"
        elif not (name.is_reconstruction or is_copy) and name.name in certain:
            reason = "a tilt series by its name, which a tomogram has too"
        elif not name.is_reconstruction and (why := series.looks_like_series(path)):
            reason = why
        else:
            key = (base_folder(path.parent), name.name)
            (copies if is_copy else groups).setdefault(key, []).append((path, name))
            continue
        found.left_out.append((str(path), reason))
    whole = {name for _, name in groups}
    for key, files in copies.items():
        if key[1] in whole:
            found.left_out += [
                (str(path), "a processed copy of a tomogram in the list")
                for path, _ in files
            ]
        else:
            groups[key] = files
    samplings = Counter(n.sampling.lower() for fs in groups.values() for _, n in fs)
    return [_best(name, files, samplings, found) for (_, name), files in groups.items()]


def _best(name, files, samplings, found):
    """Return the tomogram of several of the same name in a folder."""

    def rank(file):
        path, words = file[0], file[1].words
        sampling = file[1].sampling.lower()
        return (
            bool(words & PROCESSED),
            -samplings[sampling],
            _reverse(sampling),
            bool(words & UNTRIMMED),
            not file[1].is_reconstruction,
            str(path),
        )

    best, *others = sorted(files, key=rank)
    for path, meaning in others:
        what = "another reconstruction"
        if meaning.words & UNTRIMMED and not best[1].words & UNTRIMMED:
            what = "the untrimmed reconstruction"
        if meaning.sampling != best[1].sampling:
            what = "another sampling"
        found.left_out.append((str(path), f"{what} of a tomogram in the list"))
    copy = bool(best[1].words & PROCESSED)
    return FoundTomogram(
        name, best[0], best[1].program, best[1].sampling.lower(), is_copy=copy
    )


def _reverse(sampling):
    """Sort samplings of equal number by size, the coarsest first."""
    digits = "".join(c for c in sampling if c.isdigit() or c == ".")
    return -float(digits or 0)


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
    return (
        f"no tomogram found in {places} ({found.n_files:,} files); expected names such "
        "as NAME.rec, NAME_rec.mrc, NAME_Vol.mrc, NAME_10.00Apx.mrc or "
        "tomograms.star; list the files by hand if yours differ"
        + (f". Left out:{reasons}" if reasons else "")
    )
