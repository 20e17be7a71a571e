"""What is typical of a cluster: its middle candidates, and the average of them.

People judge a class by its average. Particles lie in any direction, so that each patch
is turned in plane until it is most like the average of the others.
"""

import numpy as np

BLOCK = 65_536  # rows at a time
EXAMPLES = 3
MEMBERS = 48  # of the average: more take longer and look the same
ANGLES = 36  # that a patch is turned by
ROUNDS = 3
MID_GRAY = 128


def typical_rows(unit, cluster, n_clusters, count=MEMBERS):
    """Return the rows nearest to the mean direction of each cluster.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
    cluster : ndarray of int, shape (N,)
    n_clusters, count : int

    Returns
    -------
    ndarray of int32, shape (n_clusters, count)
        -1 where a cluster has fewer rows.
    """
    examples = np.full((n_clusters, count), -1, np.int32)
    order = np.argsort(cluster, kind="stable")
    edges = np.searchsorted(cluster[order], np.arange(n_clusters + 1))
    for number in range(n_clusters):
        rows = order[edges[number] : edges[number + 1]]
        if not len(rows):
            continue
        vectors = unit[rows].astype(np.float32)
        likeness = vectors @ vectors.mean(axis=0)
        best = rows[np.argsort(-likeness, kind="stable")[:count]]
        examples[number, : len(best)] = best
    return examples


def cluster_averages(gray, members):
    """Return the average patch of each cluster, its members turned in plane.

    Parameters
    ----------
    gray : ndarray of uint8, shape (N, H, W)
    members : ndarray of int, shape (K, M)
        Rows of each cluster, the most typical first; -1 for none. See `typical_rows`.

    Returns
    -------
    ndarray of uint8, shape (K, H, W)
        Stretched to the full range of gray within the largest disc; gray outside.
    """
    sampling = _Turning(gray.shape[1:])
    averages = np.full((len(members), *gray.shape[1:]), MID_GRAY, np.uint8)
    for number, rows in enumerate(members):
        rows = rows[rows >= 0]
        if len(rows):
            averages[number] = sampling.average(gray[rows].astype(np.float32))
    return averages


class _Turning:
    """Patches on circles around their center, where a turn is a shift.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the patches.
    """

    def __init__(self, shape):
        center = (np.array(shape) - 1) / 2
        reach = max(float(center.min()), 1.0)
        radii = np.arange(1, int(reach) + 1)
        angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
        circle = np.stack([np.sin(angle), np.cos(angle)])
        self.places = center[:, None, None] + circle[:, :, None] * radii
        self.weights = radii / radii.sum()
        grid = np.indices(shape) - center[:, None, None]
        self.center, self.grid = center, grid
        self.inside = np.hypot(*grid) <= reach

    def average(self, patches):
        """Return the average of patches (M, H, W) after their turns, (H, W) uint8."""
        from scipy.ndimage import map_coordinates

        patches = patches - patches.mean(axis=(1, 2), keepdims=True)
        rings = np.stack(
            [map_coordinates(p, self.places, order=1, mode="nearest") for p in patches]
        )
        spectra = np.fft.rfft(rings, axis=1)
        reference = spectra[0]
        for _ in range(ROUNDS):
            product = reference[None] * spectra.conj() * self.weights
            likeness = np.fft.irfft(product.sum(axis=2), n=ANGLES, axis=1)
            shifts = likeness.argmax(axis=1)
            turned = np.stack(
                [
                    np.roll(ring, s, axis=0)
                    for ring, s in zip(rings, shifts, strict=True)
                ]
            )
            reference = np.fft.rfft(turned.mean(axis=0), axis=0)
        total = np.zeros(patches.shape[1:])
        for patch, shift in zip(patches, shifts, strict=True):
            total += map_coordinates(
                patch, self._turned(shift), order=1, mode="nearest"
            )
        return self._stretch(total)

    def _turned(self, shift):
        """Return where a patch is read for its turn by `shift` steps, (2, H, W)."""
        angle = -2 * np.pi * shift / ANGLES
        cos, sin = np.cos(angle), np.sin(angle)
        y, x = self.grid
        return (
            np.stack([y * cos + x * sin, x * cos - y * sin])
            + self.center[:, None, None]
        )

    def _stretch(self, total):
        low, high = total[self.inside].min(), total[self.inside].max()
        gray = (total - low) * (255 / max(high - low, 1e-12))
        return np.where(self.inside, np.rint(gray.clip(0, 255)), MID_GRAY)
