"""The search for the way to read a tomogram and its tilt series that fits best.

What the shapes allow is tried first. An offset of all angles is then looked for: about
what fits best, and over the whole range where nothing fits well.
"""

from dataclasses import replace

import numpy as np

from lib.geometry.hypotheses import OFFSET_STEP, OFFSETS, GeometryHypothesis
from lib.geometry.projection import Shift, correlate

LOW_CORRELATION = 0.5  # below it, any offset of the angles may be the right one
FINER = (-2, -1, 1, 2)  # steps about the best of the offsets [degrees]
# Without an offset, this part of the correlation is left at most, ...
WORSE_THAN_OFFSET = 0.85
# ... and the difference is this many times what the correlation comes to by chance.
OFFSET_SIGNIFICANT = 4.0
# An image asks for other angles where it correlates with them so much better; ...
AT_ODDS = 1.5
FEW_IMAGES = 0.25  # ... this part of the images may, before the angles are not theirs
LOST = 0.25  # of the median correlation: an offset must not leave an image below it


def score_hypotheses(pair, project, hypotheses):
    """Return the correlation by hypothesis, the median over the tilts.

    Parameters
    ----------
    pair : lib.geometry.binned_pair.BinnedPair
    project : callable
        `BinnedPair.project`, with a cache.
    hypotheses : iterable of lib.geometry.hypotheses.GeometryHypothesis

    Returns
    -------
    dict of GeometryHypothesis to float
    """
    return {one: float(np.median(_correlate(pair, project, one))) for one in hypotheses}


def best_of(scores):
    """Return the hypothesis whose correlation is largest, of either sign."""
    return max(scores, key=lambda one: abs(scores[one]))


def find_shift(pair, project, hypothesis):
    """Return how the images would have to be moved by a hypothesis, a `Shift`."""
    projection = project(hypothesis.without_image_transform)
    return Shift.find(projection, pair.transformed_images(hypothesis))


def score_offsets(pair, project, scores):
    """Try offsets of the angles.

    Parameters
    ----------
    pair, project
        As of `score_hypotheses`.
    scores : dict of GeometryHypothesis to float
        Without offsets.

    Returns
    -------
    tried : dict of GeometryHypothesis to float
        With offsets.
    is_better : bool
        Whether the best of them fits better beyond doubt.
    """
    best = best_of(scores)
    if abs(scores[best]) < LOW_CORRELATION:
        plain = GeometryHypothesis(pair.order)
        tilted = [replace(plain, offset=offset) for offset in OFFSETS]
        both = [replace(one, flipped=sign) for one in tilted for sign in (False, True)]
        tried = score_hypotheses(pair, project, both)
    else:
        # Thin specimens look much alike with either sign, and reversed with an offset.
        signs = [replace(best, angle_order="", flipped=sign) for sign in (False, True)]
        tried = {
            hypothesis: score
            for one in signs
            for step in (-OFFSET_STEP, OFFSET_STEP)
            for hypothesis, score in _climb(pair, project, one, step, scores).items()
        }
    near = best_of(tried)
    if abs(tried[near]) > abs(scores[best]):
        finer = (replace(near, offset=near.offset + step) for step in FINER)
        tried |= score_hypotheses(pair, project, finer)
        near = best_of(tried)
    gain = abs(tried[near]) - abs(scores[best])
    doubt = OFFSET_SIGNIFICANT * find_shift(pair, project, best).chance
    is_better = gain > max((1 - WORSE_THAN_OFFSET) * abs(tried[near]), doubt)
    return tried, is_better


def _climb(pair, project, start, step, scores):
    """Score offsets in one direction, as long as each fits better than the one before.

    `start` may be one that the shapes did not allow; it is scored then.
    """
    height = abs(scores.get(start) or score_hypotheses(pair, project, [start])[start])
    tried = {}
    for offset in range(step, (len(OFFSETS) // 2 + 1) * step, step):
        one = replace(start, offset=offset)
        tried |= score_hypotheses(pair, project, [one])
        if abs(tried[one]) <= height:
            break
        height = abs(tried[one])
    return tried


def images_are_at_odds(pair, project, scores, with_offset):
    """Return whether single images fit other angles better than the best hypothesis.

    A correction that fits only the median image is no remedy: the angles are then not
    those of these images.

    Parameters
    ----------
    pair, project
        As of `score_hypotheses`.
    scores : dict of GeometryHypothesis to float
        The best of them is asked for.
    with_offset : dict of GeometryHypothesis to float
        What else the images may fit.
    """
    best = best_of(scores)
    sign = np.sign(scores[best])
    plain = replace(best, offset=0.0)
    other = [
        one
        for one in {plain, *with_offset}
        if one != best and replace(one, offset=0.0) == plain
    ]
    if not other:
        return False
    own = sign * _correlate(pair, project, best)
    if best.offset and own.min() < LOST * np.median(own):
        return True
    elsewhere = [sign * _correlate(pair, project, one) for one in other]
    prefer = np.max(elsewhere, axis=0) > AT_ODDS * np.maximum(own, 0)
    return bool(prefer.mean() > FEW_IMAGES)


def _correlate(pair, project, hypothesis):
    """Return the correlation (T,) of each image by a hypothesis."""
    projection = project(hypothesis.without_image_transform)
    return correlate(projection, pair.transformed_images(hypothesis))
