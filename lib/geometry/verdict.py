"""The verdict on one tomogram and its tilt series.

The tomogram is projected along a few tilts and correlated with the images, both
band-passed, for every `GeometryHypothesis` that the shapes allow (`search.py`).

One of about thirty hypotheses fits, so the others show which correlation arises by
chance. Where none fits, neighboring tilt images show whether there is any signal: a
tomogram reconstructed from images agrees with each of them at least as well as they
agree with one another.
"""

from dataclasses import dataclass, replace
from functools import cache

from lib.axis_orders import z_sign
from lib.geometry.binned_pair import BinnedPair
from lib.geometry.contrast import Contrast, measure_contrast
from lib.geometry.hypotheses import GeometryHypothesis, possible_hypotheses
from lib.geometry.search import (
    best_of,
    find_shift,
    images_are_at_odds,
    score_hypotheses,
    score_offsets,
)

# A hypothesis fits when its correlation is this many times that of chance, ...
SIGNIFICANT = 8.0
# ... and this many times the best of the hypotheses that have nothing to do with it.
DISTINCT = 2.0
# Below this part of a better one's correlation, a hypothesis is worse beyond doubt, ...
WORSE = 0.9
DOUBT = 2.5  # ... if the difference is this many times chance
# Images are shifted when, of the correlation where each fits best, less than this
# part is left where they are; more when another hypothesis is to explain it.
MISALIGNED_BELOW = 0.3
EXPLAINED = 0.6
SHIFT_SIGNIFICANT = 12.0  # highest of all shifts, as a multiple of chance
NEAR = 3.0  # moves that patches hardly feel [binned pixels]
NEIGHBORS_SIGNIFICANT = 7.0  # the same of neighboring images; pure noise gives 4 to 4.5
NOT_SHOWN = 1 / 3  # part of the neighbors' correlation that a tomogram must reach

AGREES, OTHER, MISALIGNED, NOTHING, UNCLEAR = (
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
        One of ``AGREES``, ``OTHER``, ``MISALIGNED``, ``NOTHING``, ``UNCLEAR``.
    asked : float
        Correlation as the files are asked to be read: the median over the tilts.
    best : float
        Of the best other hypothesis.
    other : GeometryHypothesis
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
    other: GeometryHypothesis
    contrast: Contrast
    remedy: str = ""

    @classmethod
    def from_fields(cls, fields):
        """Return the finding whose fields `dataclasses.asdict` gave."""
        other = GeometryHypothesis(**fields["other"])
        contrast = Contrast(**fields["contrast"])
        return cls(**{**fields, "other": other, "contrast": contrast})

    @property
    def opposite(self):
        """Whether tomogram and tilt images certainly have opposite contrast."""
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
    pair = BinnedPair.read(tomogram, flip_tilt_angles)
    project = cache(pair.project)
    asked = GeometryHypothesis(pair.order)
    possible = possible_hypotheses(
        pair.order, pair.angles, pair.file_shape, pair.image_shape
    )
    scores = score_hypotheses(pair, project, possible)
    with_offset, is_better = score_offsets(pair, project, scores)
    if is_better:
        scores |= with_offset
    at_odds = images_are_at_odds(pair, project, scores, with_offset)
    shifts = {
        one: find_shift(pair, project, one)
        for one in {best_of(scores), asked, replace(asked, flipped=True)}
    }
    verdict, remedy = _judge(pair, scores, shifts, flip_tilt_angles, at_odds)
    other = best_of({one: scores[one] for one in scores if one != asked})
    return Finding(
        name=tomogram.name,
        order=pair.order,
        verdict=verdict,
        asked=scores[asked],
        best=scores[other],
        other=other,
        contrast=measure_contrast(pair.tomogram),
        remedy=remedy,
    )


def _judge(pair, scores, shifts, flip_tilt_angles, at_odds):
    """Return verdict and remedy."""
    size = {one: abs(score) for one, score in scores.items()}
    asked, best = GeometryHypothesis(pair.order), best_of(scores)
    unrelated = max(
        size[one] for one in size if one.low_tilt_appearance != best.low_tilt_appearance
    )
    moved = max(shifts, key=lambda one: shifts[one].significance)
    significant = (
        shifts[moved].significance >= SHIFT_SIGNIFICANT
        and shifts[moved].distance > NEAR
    )
    at_best = shifts[moved].correlation if significant else 0.0
    if size[best] >= max(DISTINCT * unrelated, SIGNIFICANT * shifts[best].chance):
        enough = (MISALIGNED_BELOW if moved == asked else EXPLAINED) * at_best
        doubt = max((1 - WORSE) * size[best], DOUBT * shifts[best].chance)
        is_worse = size[best] - size[asked] > doubt
        if not is_worse and size[asked] >= enough:
            return (NOTHING if at_odds else AGREES), ""
        if is_worse and size[best] >= EXPLAINED * at_best:
            if at_odds:
                return NOTHING, ""
            return OTHER, best.remedy(pair.order, flip_tilt_angles)
    if significant and shifts[moved].unmoved < MISALIGNED_BELOW * at_best:
        return MISALIGNED, _describe_moves(pair, moved, shifts[moved])
    agreement, significance = pair.neighbor_correlation()
    if significance >= NEIGHBORS_SIGNIFICANT and size[best] < NOT_SHOWN * agreement:
        return NOTHING, ""
    return UNCLEAR, ""


def _describe_moves(pair, hypothesis, shift):
    """Return what may have shifted the images."""
    angles = hypothesis.angles(pair.angles)[pair.indices]
    height = shift.height(angles)
    if height is not None:
        beside = round(abs(height) * pair.factor)
        # x' = z_sign (z - axis) sin(t): the axis lies z_sign height before the middle.
        before = height * z_sign(hypothesis.order) > 0
        far, near = ("last", "first") if before else ("first", "last")
        return (
            f"its middle slice lies about {beside} slices beside the tilt axis: add "
            f"{2 * beside} empty slices at the {near} end of z, or cut as many off the "
            f"{far} end, or reconstruct it without a shift"
        )
    distance = f"{shift.distance * pair.factor:.0f}"
    return (
        f"its tilt images show the tomogram only after moves of about {distance} "
        "pixels: is it the series before alignment?"
    )
