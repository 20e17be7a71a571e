"""Keep the strongest of points that lie close together."""

import numpy as np


def suppress(index, shape, radius):
    """Greedily keep points that are farther than `radius` from all kept before.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
        Flat positions in the volume, strongest first.
    shape : tuple of int
        (Z, Y, X) of the volume.
    radius : float
        [voxels].

    Returns
    -------
    list of int
        Places in `index` of what is kept, ascending.
    """
    reach = int(radius)
    padded = tuple(size + 2 * reach for size in shape)
    places = np.unravel_index(index, shape)
    centers = np.ravel_multi_index([axis + reach for axis in places], padded).tolist()
    span = np.arange(-reach, reach + 1)
    z, y, x = np.meshgrid(span, span, span, indexing="ij")
    inside = z**2 + y**2 + x**2 <= radius**2
    ball = ((z * padded[1] + y) * padded[2] + x)[inside]
    taken = np.zeros(int(np.prod(padded)), bool)
    kept = []
    for place, center in enumerate(centers):
        if not taken[center]:
            kept.append(place)
            taken[ball + center] = True
    return kept
