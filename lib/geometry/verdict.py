"""What one tomogram and its tilt series say about each other.

The tomogram is projected along a few tilts and correlated with the images, both
band-passed, for every `Convention` that the shapes allow.

What is right stands out: of some thirty conventions one fits, so the others tell
what correlation means nothing. Where none fits, neighboring tilt images tell
whether there is anything to see: a tomogram made of images agrees with each of
them at least as well as they agree with one another.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lib.geometry.contrast import Contrast, measure_contrast
from lib.geometry.hypotheses import OFFSETS, Convention, possible_conventions
from lib.geometry.reprojection import Shift, correlate
from lib.geometry.tilt_sample import TiltSample
from lib.inputs.axis_order import z_sign

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
SIGNAL = 7.0  # the same of neighboring images; pure noise gives 4 to 4.5
NOT_SHOWN = 1 / 3  # part of the neighbors' correlation that a tomogram must reach
MODEST = 0.5  # correlation below which an offset of the angles is looked for
FINER = (-2, -1, 1, 2)  # steps about the best of the offsets [degrees]
# An image asks for other angles where it correlates with them so much better; ...
AT_ODDS = 1.5
FEW_IMAGES = 0.25  # ... this part of the images may, before the angles are not theirs
LOST = 0.25  # of the median correlation: an offset must not leave an image below it

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
    contrast : Contrast
        Of the tomogram.
    remedy : str
        What to do; empty when nothing is to be done.
    """

    name: str
    order: str
    verdict: str
    asked: float
    best: float
    other: Convention
    contrast: Contrast
    remedy: str = ""

    @classmethod
    def from_fields(cls, fields):
        """Return the finding whose fields `dataclasses.asdict` gave."""
        other, contrast = Convention(**fields["other"]), Contrast(**fields["contrast"])
        return cls(**{**fields, "other": other, "contrast": contrast})

    @property
    def opposite(self):
        """Whether tomogram and tilt images are surely of opposite contrast."""
        fitting = {AGREES: self.asked, OTHER: self.best}
        return fitting.get(self.verdict, 0.0) < 0


def examine(tomogram, flip_tilt_angles=False):
    """Check one tomogram against its tilt series.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
        With its tilt series.
    flip_tilt_angles : bool
        Whether the angle file has the opposite sign.

    Returns
    -------
    Finding
    """
    sample = TiltSample.read(tomogram, flip_tilt_angles)
    project = cache(sample.project)
    asked = Convention(sample.order)
    possible = possible_conventions(
        sample.order, sample.angles, sample.file_shape, sample.image_shape
    )
    scores = _score(sample, project, possible)
    at_odds = False
    if max(map(abs, scores.values())) < MODEST:
        tilted = (Convention(sample.order, offset=offset) for offset in OFFSETS)
        both = [(one, replace(one, flipped=True)) for one in tilted]
        turned = _score(sample, project, [one for pair in both for one in pair])
        if abs(scores[_best(scores)]) < WORSE_THAN_TURNED * abs(turned[_best(turned)]):
            near = _best(turned)
            finer = (replace(near, offset=near.offset + step) for step in FINER)
            scores |= turned | _score(sample, project, finer)
        at_odds = _images_are_at_odds(sample, project, turned | scores)
    shifts = {
        one: Shift.find(project(one.untwisted), sample.seen_by(one))
        for one in {_best(scores), asked, replace(asked, flipped=True)}
    }
    verdict, remedy = _judge(sample, scores, shifts, flip_tilt_angles, at_odds)
    other = _best({one: scores[one] for one in scores if one != asked})
    return Finding(
        name=tomogram.name,
        order=sample.order,
        verdict=verdict,
        asked=scores[asked],
        best=scores[other],
        other=other,
        contrast=measure_contrast(sample.tomogram),
        remedy=remedy,
    )


def _score(sample, project, conventions):
    """Return the correlation by convention, the median over the tilts."""
    return {
        one: float(np.median(correlate(project(one.untwisted), sample.seen_by(one))))
        for one in conventions
    }


def _images_are_at_odds(sample, project, scores):
    """Tell whether images, each on its own, ask for other angles than the best's.

    What merely fits the median image mends nothing: the angles are then not those of
    these images.
    """
    best = _best(scores)
    sign = np.sign(scores[best])
    other = [
        one
        for one in scores
        if one != best and replace(one, offset=best.offset) == best
    ]
    if not other:
        return False
    own = sign * correlate(project(best.untwisted), sample.seen_by(best))
    if best.offset and own.min() < LOST * np.median(own):
        return True
    elsewhere = [sign * correlate(project(one), sample.seen_by(one)) for one in other]
    prefer = np.max(elsewhere, axis=0) > AT_ODDS * np.maximum(own, 0)
    return bool(prefer.mean() > FEW_IMAGES)


def _best(scores):
    return max(scores, key=lambda one: abs(scores[one]))


def _judge(sample, scores, shifts, flip_tilt_angles, at_odds):
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
            return (NOTHING if at_odds else AGREES), ""
        if size[asked] < WORSE * size[best] and size[best] >= EXPLAINED * at_best:
            if at_odds:
                return NOTHING, ""
            return OTHER, best.remedy(sample.order, flip_tilt_angles)
    if significant and shifts[moved].unmoved < ASTRAY * at_best:
        return ASTRAY_IMAGES, _describe_moves(sample, moved, shifts[moved])
    agreement, significance = sample.neighbors()
    if significance >= SIGNAL and size[best] < NOT_SHOWN * agreement:
        return NOTHING, ""
    return UNCLEAR, ""


def _describe_moves(sample, convention, shift):
    """Return what may have shifted the images."""
    angles = convention.angles(sample.angles)[sample.places]
    height = shift.height(angles)
    if height is not None:
        beside = round(abs(height) * sample.factor)
        # x' = z_sign (z - axis) sin(t): the axis lies z_sign height before the middle.
        before = height * z_sign(convention.order) > 0
        far, near = ("last", "first") if before else ("first", "last")
        return (
            f"its middle slice lies about {beside} slices beside the tilt axis: add "
            f"{2 * beside} empty slices at the {near} end of z, or cut as many off the "
            f"{far} end, or reconstruct it without a shift"
        )
    distance = f"{shift.distance * sample.factor:.0f}"
    return (
        f"its tilt images show the tomogram only after moves of about {distance} "
        "pixels: is it the series before alignment?"
    )
