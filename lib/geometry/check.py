"""Whether tomogram and tilt series show the same, read as they are asked to be.

The tomogram is projected along a few tilts and correlated with the images, both
band-passed, for every `Convention` that the shapes allow. The measured rates of
right and wrong verdicts are in docs/geometry_check.md.

What is right stands out: of some thirty conventions one fits, so the others tell
what correlation means nothing. Where none fits, neighbouring tilt images tell
whether there is anything to see: a tomogram made of images agrees with each of
them at least as well as they agree with one another.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from tqdm import tqdm

from lib.errors import GeometryError, warn
from lib.geometry.conventions import OFFSETS, Convention, possible_conventions
from lib.geometry.reprojection import Shift, correlate
from lib.geometry.tilt_sample import TiltSample

# A convention fits when its correlation is this many times that of chance, ...
SIGNIFICANT = 8.0
# ... and this many times the best of the conventions that have nothing to do with it.
DISTINCT = 2.0
# Below this part of a better one's correlation, a convention is worse beyond doubt;
# an offset of the angles, which is looked for last, must be better by more.
WORSE = 0.85
WORSE_THAN_TURNED = 0.7
# Images are shifted when, of the correlation where each fits best, less than this
# part is left where they are; more when another convention is to explain it.
ASTRAY = 0.3
EXPLAINED = 0.6
SHIFT_SIGNIFICANT = 12.0  # highest of all shifts, as a multiple of chance
NEAR = 3.0  # moves that patches hardly feel [binned pixels]
SIGNAL = 7.0  # the same of neighbouring images; pure noise gives 4 to 4.5
NOT_SHOWN = 1 / 3  # part of the neighbours' correlation that a tomogram must reach
MODEST = 0.5  # correlation below which an offset of the angles is looked for

AGREES, OTHER, ASTRAY_IMAGES, NOTHING, UNCLEAR = (
    "agrees",
    "another convention fits",
    "images shifted",
    "nothing fits",
    "too noisy to tell",
)


@dataclass(frozen=True)
class Finding:
    """What the check found for one tomogram.

    Attributes
    ----------
    name : str
    order : str
        As asked for, never ``auto``.
    verdict : str
        One of ``AGREES``, ``OTHER``, ``ASTRAY_IMAGES``, ``NOTHING``, ``UNCLEAR``.
    asked : float
        Correlation as the files are asked to be read: the median over the tilts.
    best : float
        Of the best other convention.
    other : Convention
        That one.
    remedy : str
        What to do; empty when nothing is to be done.
    """

    name: str
    order: str
    verdict: str
    asked: float
    best: float
    other: Convention
    remedy: str = ""


def check_geometry(rows, *, order, flip_tilt_angles=False, force=False):
    """Check all tomograms of a list, print one table, refuse what is wrong.

    Parameters
    ----------
    rows : list of lib.inputs.image_list.ImageRow
    order : str
        Key of `lib.inputs.tomo_io.ORDERS`, or ``auto``.
    flip_tilt_angles : bool
    force : bool
        Only warn where nothing fits.

    Returns
    -------
    list of Finding

    Raises
    ------
    GeometryError
        When another convention clearly fits better; without `force` also when
        images are shifted or nothing fits.
    InputError
        When a file cannot be used.
    """
    bar = tqdm(rows, desc="geometry check", unit="tomogram", disable=None)
    findings = [examine(row, order, flip_tilt_angles) for row in bar]
    print(as_table(findings), flush=True)
    refused, told = [], []
    for verdict in (OTHER, ASTRAY_IMAGES, NOTHING):
        forgiven = force and verdict != OTHER
        (told if forgiven else refused).extend(_complaints(findings, verdict))
    told += _complaints(findings, UNCLEAR)
    for complaint in told:
        warn(f"geometry: {complaint}")
    if refused:
        agreeing = sum(finding.verdict == AGREES for finding in findings)
        if agreeing:
            refused.append(
                f"{agreeing} of {len(findings)} agree as asked: options hold for a "
                "whole list, so put those that need others into a list of their own"
            )
        raise GeometryError("; ".join(refused))
    return findings


def examine(row, order, flip_tilt_angles=False):
    """Check one tomogram against its tilt series.

    Parameters
    ----------
    row : lib.inputs.image_list.ImageRow
    order, flip_tilt_angles
        See `check_geometry`.

    Returns
    -------
    Finding
    """
    sample = TiltSample.read(row, order, flip_tilt_angles)
    project = cache(sample.project)
    asked = Convention(sample.order)
    possible = possible_conventions(
        sample.order, sample.angles, sample.file_shape, sample.image_shape
    )
    scores = _score(sample, project, possible)
    if max(map(abs, scores.values())) < MODEST:
        tilted = (Convention(sample.order, offset=offset) for offset in OFFSETS)
        both = [(one, replace(one, flipped=True)) for one in tilted]
        turned = _score(sample, project, [one for pair in both for one in pair])
        if abs(scores[_best(scores)]) < WORSE_THAN_TURNED * abs(turned[_best(turned)]):
            scores |= turned
    shifts = {
        one: Shift.find(project(one.untwisted), sample.seen_by(one))
        for one in {_best(scores), asked, replace(asked, flipped=True)}
    }
    verdict, remedy = _judge(sample, scores, shifts, flip_tilt_angles)
    other = _best({one: scores[one] for one in scores if one != asked})
    return Finding(
        row.name, sample.order, verdict, scores[asked], scores[other], other, remedy
    )


def _score(sample, project, conventions):
    """Return the correlation by convention, the median over the tilts."""
    return {
        one: float(np.median(correlate(project(one.untwisted), sample.seen_by(one))))
        for one in conventions
    }


def _best(scores):
    return max(scores, key=lambda one: abs(scores[one]))


def _judge(sample, scores, shifts, flip_tilt_angles):
    """Return verdict and remedy."""
    size = {one: abs(score) for one, score in scores.items()}
    asked, best = Convention(sample.order), _best(scores)
    unrelated = max(size[one] for one in size if one.family != best.family)
    moved = max(shifts, key=lambda one: shifts[one].significance)
    significant = (
        shifts[moved].significance >= SHIFT_SIGNIFICANT
        and shifts[moved].distance > NEAR
    )
    at_best = shifts[moved].correlation if significant else 0.0
    if size[best] >= max(DISTINCT * unrelated, SIGNIFICANT * shifts[best].chance):
        enough = (ASTRAY if moved == asked else EXPLAINED) * at_best
        if size[asked] >= max(WORSE * size[best], enough):
            return AGREES, ""
        if size[asked] < WORSE * size[best] and size[best] >= EXPLAINED * at_best:
            return OTHER, best.remedy(sample.order, flip_tilt_angles)
    if significant and shifts[moved].unmoved < ASTRAY * at_best:
        return ASTRAY_IMAGES, _describe_moves(sample, moved, shifts[moved])
    agreement, significance = sample.neighbours()
    if significance >= SIGNAL and size[best] < NOT_SHOWN * agreement:
        return NOTHING, ""
    return UNCLEAR, ""


def _describe_moves(sample, convention, shift):
    """Return what may have shifted the images."""
    angles = convention.angles(sample.angles)[sample.places]
    height = shift.height(angles)
    if height is not None:
        return (
            f"its middle slice lies about {abs(height) * sample.factor:.0f} slices "
            "beside the tilt axis: cut or pad it in z until it is even about the axis, "
            "or reconstruct it without a shift"
        )
    distance = f"{shift.distance * sample.factor:.0f}"
    return (
        f"its tilt images show the tomogram only after moves of about {distance} "
        "pixels: is it the series before alignment?"
    )


def as_table(findings):
    """Return what was found as text, a line a tomogram."""
    width = max(len("tomogram"), *(len(finding.name) for finding in findings))
    lines = [f"{'tomogram':{width}}  as asked  best other  verdict"]
    for one in findings:
        line = f"{one.name:{width}}  {one.asked:8.2f}  {one.best:10.2f}  {one.verdict}"
        if one.verdict == OTHER:
            line += f": {one.other.describe(one.order)}"
        lines.append(line)
    return "\n".join(lines)


def _complaints(findings, verdict):
    """Return a sentence for each remedy that tomograms with this verdict need."""
    concerned = defaultdict(list)
    for finding in findings:
        if finding.verdict == verdict:
            concerned[finding.remedy].append(finding.name)
    return [
        _SENTENCES[verdict].format(names=_name_some(names), remedy=remedy)
        for remedy, names in concerned.items()
    ]


_SENTENCES = {
    OTHER: "{names}: another convention clearly fits better; {remedy}",
    ASTRAY_IMAGES: "{names}: {remedy} (--force goes on all the same)",
    NOTHING: (
        "{names}: the tilt images do not show the tomogram in any convention; is the "
        "series aligned, are the angles in the order of the images, and does it belong "
        "to this tomogram? (--force goes on all the same)"
    ),
    UNCLEAR: (
        "{names}: too noisy to tell whether tomogram and tilt series agree; look at "
        "the tilt view of some candidates"
    ),
}


def _name_some(names, at_most=5):
    """Join names; many are cut short."""
    more = len(names) - at_most
    told = ", ".join(names[:at_most])
    return f"{told} and {more} more" if more > 0 else told
