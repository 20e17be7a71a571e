"""Errors and warnings about the contrast of tomograms, with or without tilt series.

The sign of the correlation with the tilt images shows reliably whether both have the
same contrast; the voxels show, nearly always, whether protein is dark. If both
indicate that candidates would be searched among the wrong voxels, that is an error;
if only the voxels do, it is a warning.
"""

from types import SimpleNamespace

import numpy as np

from lib.errors import InputError, format_names, warn
from lib.geometry.binned_pair import average
from lib.geometry.contrast import LARGEST, Contrast, measure_contrast
from lib.geometry.stored_findings import StoredFindings
from lib.inputs.mrc_voxels import describe_wraparound, is_wrapped, map_voxels

WIDTH = 512  # to which tomograms are binned about, without tilt series [voxels]
DEPTH = 48  # of what is read of them then, shortest axis [binned voxels]


def check_contrast(tomograms, *, bright=False, cache=None):
    """Compare the contrast of tomograms without tilt series with what is asked for.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
    bright : bool
        Whether the user says that protein is bright.
    cache : path-like, optional
        See `lib.geometry.check.check_geometry`.

    Returns
    -------
    dict of str to Contrast
        By name.

    Raises
    ------
    InputError
        When integers were read with the wrong sign.
    """
    stored = StoredFindings(cache, "contrast")
    found = [
        SimpleNamespace(name=one.name, contrast=_find(one, stored), opposite=False)
        for one in tomograms
    ]
    stored.report(len(found))
    for complaint in describe_odd_contrast(found, bright):
        warn(f"contrast: {complaint}")
    print_unknown_contrast(found, bright)
    return {one.name: one.contrast for one in found}


def _find(tomogram, stored):
    """Return the `Contrast` of a tomogram, stored or measured."""
    return stored.get(
        [tomogram.rec_path],
        [],
        decode=lambda fields: Contrast(**fields),
        measure=lambda: _look_at(tomogram.info),
    )


def _look_at(info):
    """Return the `Contrast` of the middle of a tomogram."""
    factor = max(1, round(max(info.shape) / WIDTH))
    cut = [slice(None)] * 3
    limits = (DEPTH, *LARGEST[1:])
    for axis, most in zip(np.argsort(info.shape, kind="stable"), limits, strict=True):
        start = max(0, info.shape[axis] - most * factor) // 2
        cut[axis] = slice(start, start + most * factor)
    middle = map_voxels(info)[tuple(cut)]
    if is_wrapped(middle):
        raise InputError(describe_wraparound(info.path, info.dtype))
    with np.errstate(invalid="ignore", over="ignore"):  # rejected when it is prepared
        binned = average(middle, factor, (0, 1, 2))
    return measure_contrast(binned) if binned.size else Contrast(0.0)


def contrast_is_wrong(finding, bright):
    """Return whether candidates would certainly be searched among the wrong voxels.

    Parameters
    ----------
    finding : lib.geometry.verdict.Finding
    bright : bool
    """
    protein = finding.contrast.protein
    return (
        finding.opposite
        and protein != ("bright" if bright else "dark")
        and not (bright and protein is None)
    )


def describe_wrong_contrast(findings, bright):
    """Return a sentence for each remedy that `contrast_is_wrong` asks for."""
    if bright:
        texts = {
            "dark": "in the tomogram protein is dark, and the tilt images are the "
            "inverted ones: leave out --bright"
        }
    else:
        texts = {
            "bright": "in the tomogram protein is bright: use --bright",
            None: "its voxels do not show which is inverted: use --bright if protein "
            "is bright in the tomogram, invert the tilt images if it is dark",
        }
    return [
        f"{names}: tomogram and tilt images are of opposite contrast (their "
        f"correlation is negative); {text} (--force continues anyway)"
        for protein, text in texts.items()
        if (names := _names(findings, protein))
    ]


def describe_odd_contrast(findings, bright):
    """Return a warning for each oddity of the contrast.

    Parameters
    ----------
    findings : list
        With name, contrast, and whether tomogram and images are opposite.
    bright : bool
    """
    alike = [one for one in findings if not one.opposite]
    opposite = [one for one in findings if one.opposite]
    complaints = []
    if bright and (names := _names(alike, "dark")):
        complaints.append(
            f"{names}: by its voxels protein is dark, but --bright searches bright "
            "particles; leave it out unless you are sure"
        )
    if not bright and (names := _names(alike, "bright")):
        complaints.append(
            f"{names}: by its voxels protein is bright, but candidates are searched "
            "among dark voxels; use --bright, unless you are sure"
        )
    if not bright and (names := _names(opposite, "dark")):
        complaints.append(
            f"{names}: protein is dark in the tomogram, as it must be, but the tilt "
            "images are inverted (their correlation is negative): candidates are not "
            "affected; invert them where other series of the list are not"
        )
    if {one.contrast.protein for one in findings} >= {"dark", "bright"}:
        complaints.append(
            f"protein is dark in {_names(findings, 'dark')} but bright in "
            f"{_names(findings, 'bright')}; --bright holds for a whole list: invert "
            "some, or explore them in lists of their own"
        )
    return complaints


def print_unknown_contrast(findings, bright):
    """Print one line about what is assumed where nothing shows the contrast."""
    unknown = [one for one in findings if not one.opposite]
    names = _names(unknown, None)
    if names and not bright:
        print(
            f"contrast: the voxels of {names} do not show whether protein is dark or "
            "bright; dark is assumed (otherwise use --bright)",
            flush=True,
        )


def _names(findings, protein):
    return format_names(
        [one.name for one in findings if one.contrast.protein == protein]
    )
