"""Which volumes are tomograms, by their names, and one of each tilt series.

Programs leave many volumes that are none: masks, correlations, averages of particles,
spectra, samples. A volume named ``NAME.mrc`` may be a tomogram, so it counts as one
unless the names of others below the same folder say that these are.
"""

from collections import Counter

from lib.inputs.folder_walk import is_series_name
from lib.inputs.found import FoundTomogram
from lib.inputs.naming import (
    FURTHER,
    LABELS,
    PROCESSED,
    UNTRIMMED,
    WORK_NAMES,
    base_folder,
)


def choose_tomograms(volumes, series, found):
    """Return one tomogram for each name in a folder; note why others are left out.

    Parameters
    ----------
    volumes : list of (Path, lib.inputs.naming.FileName)
    series : lib.inputs.series_files.SeriesFiles
    found : lib.inputs.found.FoundFiles
        With the folders that were given; gets the files that are left out.

    Returns
    -------
    list of lib.inputs.found.FoundTomogram
        Without their headers.
    """
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
            reason = "mask, thickness, sample or picture"
        elif not (name.is_reconstruction or is_copy) and name.name in certain:
            reason = "a tilt series by its name, which a tomogram has too"
        elif not name.is_reconstruction and (why := series.looks_like_series(path)):
            reason = why
        else:
            key = (base_folder(path.parent), name.name)
            (copies if is_copy else groups).setdefault(key, []).append((path, name))
            continue
        found.left_out.append((str(path), reason))
    _leave_out_samples(groups, found)
    _leave_out_unsure(groups, found)
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


def _leave_out_samples(groups, found):
    """Leave out what etomo works with, beside the tomogram that it was made for."""
    working = [key for key in groups if key[1] in WORK_NAMES]
    others = {
        folder
        for (folder, name), files in groups.items()
        if name not in WORK_NAMES and _is_sure(files)
    }
    for key in working:
        if key[0] in others:
            found.left_out += [
                (str(path), "a sample or passing volume of IMOD, by its name")
                for path, _ in groups.pop(key)
            ]


def _leave_out_unsure(groups, found):
    """Leave out volumes that only may be tomograms, where others surely are."""

    def root(files):
        path = files[0][0]
        return next((r for r in found.roots if path.is_relative_to(r)), None)

    sure = {root(files) for files in groups.values() if _is_sure(files)}
    for key, files in list(groups.items()):
        if root(files) in sure and not _is_sure(files):
            found.left_out += [
                (
                    str(path),
                    "its name does not say that it is a tomogram, as those of others "
                    "do; list it by hand if it is one",
                )
                for path, _ in groups.pop(key)
            ]


def _is_sure(files):
    """Return whether a name says that these are tomograms."""
    return any(name.is_reconstruction for _, name in files)


def _best(name, files, samplings, found):
    """Return the tomogram of several of the same name in a folder."""

    def rank(file):
        path, words = file[0], file[1].words
        sampling = file[1].sampling.lower()
        return (
            bool(words & PROCESSED),
            -samplings[sampling],
            _rank_of_sampling(sampling),
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


def _rank_of_sampling(sampling):
    """Sort samplings of equal number by size, the coarsest first; AreTomo's as named.

    Of a second and third volume, `_Vol` is the first: it is the one with halves.
    """
    if sampling in FURTHER:
        return int(sampling[0])
    digits = "".join(c for c in sampling if c.isdigit() or c == ".")
    return -float(digits or 0)
