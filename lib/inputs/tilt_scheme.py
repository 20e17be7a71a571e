"""Whether numbers can be the angles of a tilt series.

Every scheme in use passes: dose-symmetric and other orders of acquisition, one-sided
and pretilted ranges, finer steps at high tilts, tilts that are missing or repeated.
Numbers are rejected whose span, step or sign no scheme has: doses, image numbers,
radians, shifts.
"""

import numpy as np

FEWEST = 5  # angles; fewer can be any scheme
SPAN = 20.0  # a series spans at least this [degrees]
NEAREST = 25.0  # and has an image nearer than this to the untilted one [degrees]
HIGHEST = 72.0  # of a series that never crosses 0; stages stop near 70 [degrees]
RADIANS = 1.6  # 90 degrees
SAME = 0.4  # angles nearer than this are one tilt, exposed again [degrees]
REPEATED = 0.4  # part of the images that must be tilts of their own
FACTOR = 1.6  # steps within this factor of the median are alike; Saxton's are
PAIRED = 0.8  # part of the angles whose size occurs twice, where signs are lost
MOST_ORDERED = 9  # angles; of fewer, one may well be out of order
REGULAR = 0.6  # part of the steps that are alike; of random numbers 0.3
# Where tilts are missing, the others lie on a grid of one of these frequencies.
GRIDS = np.arange(1 / 15, 1 / 1.4, 1e-3)  # [1/degree]
ON_GRID = 0.85  # length of the mean phase; 1 where all lie on the grid


def describe_misfit_of_angles(angles):
    """Return why numbers are no tilt scheme and what they look like, or None.

    Parameters
    ----------
    angles : ndarray, shape (T,)
        As read from a file [degrees].

    Returns
    -------
    str or None
    """
    if len(angles) < FEWEST:
        return None
    low, high = float(angles.min()), float(angles.max())
    if _are_whole_numbers_in_a_row(angles):
        return (
            f"its {len(angles)} values are the whole numbers from {low:g} to {high:g}: "
            "they look like image numbers or an order of exposure"
        )
    if max(-low, high) <= RADIANS:
        degrees = np.rad2deg(angles)
        if describe_misfit_of_angles(degrees) is None:
            return (
                f"its values, {low:g} to {high:g}, look like radians; in degrees they "
                f"would be {degrees.min():.1f} to {degrees.max():.1f}"
            )
    if high - low < SPAN:
        return (
            f"its values, {low:g} to {high:g}, span {high - low:.3g} degrees, a tilt "
            f"series at least {SPAN:g}: they look like one quantity of each image, "
            "such as a defocus, a rotation of the tilt axis or a transform"
        )
    if np.abs(angles).min() > NEAREST:
        return (
            f"its values, {low:g} to {high:g}, hold none near 0: they do not "
            "look like tilt angles"
        )
    if _have_lost_their_signs(angles):
        return (
            f"its values, {low:g} to {high:g}, occur twice each and have one sign: "
            "they look like tilt angles that lost their signs"
        )
    if _grows_like_a_dose(angles):
        return (
            f"its values grow from {angles[0]:g} to {angles[-1]:g} and never change "
            "sign: they look like the accumulated dose or a count of the images"
        )
    return _describe_steps(angles)


def find_break(angles):
    """Return the row of the one angle that breaks an order, or None.

    Dose-symmetric and bidirectional schemes change direction more often, or where both
    sides go on in order; a tilt that is exposed once more stands at an end.

    Parameters
    ----------
    angles : ndarray, shape (T,)
        [degrees].

    Returns
    -------
    int or None
    """
    if len(angles) < MOST_ORDERED:
        return None
    for ascending in (angles, -angles):
        falls = np.flatnonzero(np.diff(ascending) < -SAME)
        if len(falls) != 1:
            continue
        for row in (int(falls[0]), int(falls[0]) + 1):
            inside = 0 < row < len(angles) - 1
            if inside and (np.diff(np.delete(ascending, row)) > -SAME).all():
                return row
    return None


def is_one_signed(angles):
    """Return whether many angles never change sign: possible, but rare."""
    return len(angles) >= FEWEST and bool((angles >= 0).all() or (angles <= 0).all())


def _are_whole_numbers_in_a_row(angles):
    """Return whether the values are consecutive integers from 0 or 1, in any order."""
    ascending = np.sort(angles)
    return ascending[0] in (0, 1) and bool((np.diff(ascending) == 1).all())


def _have_lost_their_signs(angles):
    """Return whether the values have one sign, and nearly all a partner, but not 0.

    A scheme of one side that exposes each tilt twice does so with 0, too.
    """
    untilted = np.abs(angles) <= SAME
    size = np.sort(np.abs(angles[~untilted]))
    if not is_one_signed(angles) or untilted.sum() > 1 or len(size) < 2 * FEWEST:
        return False
    near = np.diff(size) <= SAME
    paired = np.append(near, False) | np.append(False, near)
    return bool(paired.mean() >= PAIRED)


def _grows_like_a_dose(angles):
    """Return whether the values are multiples of the first, or grow beyond a stage."""
    steps = np.diff(angles)
    if angles[0] < 0 or (steps <= 0).any():
        return False
    counted = angles[0] > 0 and np.allclose(steps, angles[0], rtol=0.1)
    return bool(counted or angles[-1] > HIGHEST)


def _describe_steps(angles):
    """Return what is odd about the steps between the sorted angles, or None."""
    ascending = np.sort(angles)
    tilts = ascending[np.append(True, np.diff(ascending) > SAME)]
    if len(tilts) < max(3, REPEATED * len(angles)):
        return (
            f"its {len(angles)} values are only {len(tilts)} different ones: they look "
            "like groups of images"
        )
    steps = np.diff(tilts)
    step = np.median(steps)
    regular = np.mean((steps >= step / FACTOR) & (steps <= FACTOR * step))
    phases = np.exp(2j * np.pi * np.outer(GRIDS, tilts))
    if regular < REGULAR and np.abs(phases.mean(axis=1)).max() < ON_GRID:
        return (
            f"the steps between its sorted values go from {steps.min():.2g} to "
            f"{steps.max():.2g} degrees without a rule: they look like shifts or other "
            "measurements"
        )
    return None
