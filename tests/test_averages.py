import numpy as np

from lib.maps.averages import cluster_averages, typical_rows
from lib.picking.likeness import unit_float16


def rods(angles, edge=25):
    """Return patches of a rod with a blob at one end, turned by `angles` [rad]."""
    y, x = np.indices((edge, edge)) - (edge - 1) / 2
    patches = []
    for angle in angles:
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        blob = np.exp(-((along - 8) ** 2 + across**2) / 8)
        rod = np.exp(-(across**2) / 4) * (np.abs(along) < 9)
        patches.append(200 - 80 * rod - 60 * blob)
    return np.array(patches)


def contrast_along(patch):
    """Return the spread of a patch on a circle of 8 pixels."""
    center = (len(patch) - 1) / 2
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    y, x = np.rint(center + 8 * np.stack([np.sin(angle), np.cos(angle)])).astype(int)
    return patch[y, x].astype(float).std()


def test_members_are_turned_before_they_are_averaged():
    rng = np.random.default_rng(0)
    clean = rods(rng.uniform(0, 2 * np.pi, 40))
    noisy = (clean + rng.normal(0, 30, clean.shape)).clip(0, 255).astype(np.uint8)
    (average,) = cluster_averages(noisy, np.arange(40)[None])
    alone = contrast_along(rods([0.3])[0])
    as_they_are = contrast_along(noisy.mean(axis=0))
    assert contrast_along(average) > 0.7 * alone > 3 * as_they_are


def test_averages_of_few_members_and_of_flat_patches():
    gray = np.full((3, 9, 9), 7, np.uint8)
    averages = cluster_averages(gray, np.array([[0, 1], [2, -1], [-1, -1]]))
    assert averages.shape == (3, 9, 9)
    assert (averages[2] == 128).all()


def test_typical_rows_are_the_middle_ones():
    unit, n_bad = unit_float16(
        np.array([[1, 0], [1, 1], [0, 1], [-1, 0], [np.nan, 1]], np.float32)
    )
    assert n_bad == 1
    assert not unit[4].any()
    found = typical_rows(unit, np.array([0, 0, 0, 1, 1]), 2, 2)
    assert found[0, 0] == 1
    assert found[1].tolist()[0] == 3
    assert typical_rows(unit, np.zeros(5, int), 2, 2)[1].tolist() == [-1, -1]
