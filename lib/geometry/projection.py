"""Candidates and whole tomograms, projected onto the images of the tilt series.

Axes: the tilt axis is y; tilt angles are in degrees; positions are in voxels
of the tomogram, ordered (x, y, z).
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, sparse
from scipy.ndimage import gaussian_filter

BAND = (1.5, 5.0)  # sigmas of the difference of Gaussians [binned pixels]
APART = 4  # sigmas beyond which two features have nothing to do with each other


def project_to_tilts(positions, tilt_angles, tomogram_shape, z_sign):
    """Project tomogram positions onto the images of an aligned tilt series.

    Parameters
    ----------
    positions : ndarray, shape (N, 3)
        Candidate centers (x, y, z) [px].
    tilt_angles : ndarray, shape (T,)
        Stage tilt of each image [degrees].
    tomogram_shape : tuple of int
        (Z, Y, X) of the tomogram [px].
    z_sign : {1, -1}
        -1 for a tomogram as IMOD's ``tilt`` writes it, 1 after ``trimvol -rx``.

    Returns
    -------
    ndarray, shape (T, N, 2)
        (x, y) of every candidate in every image [px].

    Notes
    -----
    ``x' = (x - cx) cos(t) + z_sign (z - cz) sin(t) + cx``, with the centers at
    ``size // 2``; y does not move. Checked on EMPIAR-10499: a tomogram projected
    so correlates 0.76 to 0.86 with the images, with the other sign below 0.1.
    """
    size_z, _, size_x = tomogram_shape
    center_x, center_z = size_x // 2, size_z // 2
    angles = np.deg2rad(np.asarray(tilt_angles, dtype=float))[:, None]
    x, y, z = np.asarray(positions, dtype=float).T
    height = z_sign * (z - center_z)
    x_tilt = (x - center_x) * np.cos(angles) + height * np.sin(angles) + center_x
    return np.stack([x_tilt, np.broadcast_to(y, x_tilt.shape)], axis=-1)


@dataclass(frozen=True)
class Projection:
    """Images of a tomogram as they should be.

    Attributes
    ----------
    images : ndarray of float32, shape (T, Y, X)
        Mean density along each ray, band-passed, 0 outside of `seen`.
    seen : ndarray of bool, shape (T, X)
        Columns whose rays cross at least half as much of the tomogram as any.
    """

    images: np.ndarray
    seen: np.ndarray


def band_pass(image):
    """Keep the features of an image (Y, X) that `BAND` spans."""
    return gaussian_filter(image, BAND[0]) - gaussian_filter(image, BAND[1])


def project(volume, angles, *, shape, factor, z_sign):
    """Project a binned tomogram onto its tilt images.

    Parameters
    ----------
    volume : ndarray of float32, shape (Z // factor, Y // factor, X // factor)
        Of mean 0.
    angles : ndarray, shape (T,)
        [degrees].
    shape : tuple of int
        (Z, Y, X) of the tomogram before binning [voxels]: it decides the center.
    factor : int
        Of the binning.
    z_sign : {1, -1}
        See `lib.geometry.projection.project_to_tilts`.

    Returns
    -------
    Projection
    """
    depth, height, width = volume.shape
    middle = (factor - 1) / 2  # of a binned voxel [voxels]
    z, x = np.indices((depth, width)).reshape(2, -1) * factor + middle
    centers = np.stack([x, np.zeros_like(x), z], axis=1)
    landing = project_to_tilts(centers, angles, shape, z_sign)[..., 0]
    planes = volume.transpose(0, 2, 1).reshape(depth * width, height)
    planes = np.ascontiguousarray(planes)  # each product would copy it again
    images, seen = [], []
    for places in (landing - middle) / factor:
        matrix = _matrix(places.astype(np.float32), width)
        path = matrix.sum(axis=1)
        columns = path >= 0.5 * path.max()
        image = (matrix @ planes / np.maximum(path, 1e-3)[:, None]).T
        image = np.where(columns, image - image[:, columns].mean(), 0)
        images.append(_standardize(band_pass(image), columns))
        seen.append(columns)
    return Projection(np.array(images), np.array(seen))


def _matrix(places, width):
    """Return (X, voxels): each voxel shared between the two nearest pixels."""
    floor = np.floor(places)
    left, share = floor.astype(np.int32), places - floor
    voxel = np.arange(len(places), dtype=np.int32)
    rows = np.concatenate([left, left + 1])
    weights = np.concatenate([1 - share, share])
    inside = (rows >= 0) & (rows < width)
    parts = weights[inside], (rows[inside], np.tile(voxel, 2)[inside])
    return sparse.csr_array(parts, shape=(width, len(places)))


def whole_image(image):
    """Return an image (Y, X) as a projection would be: band-passed, mean 0, norm 1."""
    return _standardize(band_pass(image), np.ones(image.shape[1], bool))


def _standardize(image, columns):
    """Cut an image to the columns that are seen; mean 0 in them, norm 1."""
    image = np.where(columns, image - image[:, columns].mean(), 0)
    return image / max(np.sqrt(np.square(image).sum()), 1e-30)


def correlate(projection, images):
    """Return the correlation coefficients (T,) with band-passed tilt images."""
    pairs = zip(projection.images, images, projection.seen, strict=True)
    return np.array([(p * _standardize(i, seen)).sum() for p, i, seen in pairs])


def correlate_shifted(projection, images):
    """Return the correlation coefficients for every shift of the images.

    Parameters
    ----------
    projection : Projection
    images : ndarray of float32, shape (T, Y, X)
        Band-passed.

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
        Unshifted at [t, 0, 0].
    """
    pairs = zip(images, projection.seen, strict=True)
    masked = np.array([_standardize(image, columns) for image, columns in pairs])
    spectrum = fft.rfft2(projection.images).conj() * fft.rfft2(masked)
    return fft.irfft2(spectrum, images.shape[1:])


def chance(maps):
    """Return the spread (T,) of the correlation with images shifted far away."""
    reach = int(APART * BAND[1])
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in maps.shape[1:])
    apart = (y[:, None] > min(reach, y.max() // 2)) | (x > min(reach, x.max() // 2))
    return np.sqrt(np.square(maps[:, apart]).mean(axis=1))


@dataclass(frozen=True)
class Shift:
    """How the images would have to be moved to show what the projections show.

    Attributes
    ----------
    unmoved : float
        Correlation as the images are, its size: the median over the tilts.
    correlation : float
        The same, each image moved to where it fits best.
    significance : float
        That as a multiple of chance.
    chance : float
        What the median of `unmoved` comes to by chance.
    moves : ndarray, shape (T, 2)
        (y, x) of the best places [binned pixels].
    """

    unmoved: float
    correlation: float
    significance: float
    chance: float
    moves: np.ndarray

    @classmethod
    def find(cls, projection, images):
        """Try all shifts of band-passed images (T, Y, X) against projections."""
        maps = correlate_shifted(projection, images)
        spread = chance(maps)
        size = np.abs(maps).reshape(len(maps), -1)
        highest = size.max(axis=1)
        moves = np.stack(np.unravel_index(size.argmax(axis=1), maps.shape[1:]), axis=1)
        extent = np.array(maps.shape[1:])
        return cls(
            unmoved=float(np.abs(np.median(maps[:, 0, 0]))),
            correlation=float(np.median(highest)),
            significance=float(np.median(highest / spread)),
            # The median of T values scatters sqrt(pi / 2) times more than their mean.
            chance=float(np.sqrt(np.pi / 2 * np.square(spread).mean() / len(spread))),
            moves=(moves + extent // 2) % extent - extent // 2,
        )

    @property
    def distance(self):
        """How far the images would have to be moved, the median [binned pixels]."""
        return float(np.median(np.hypot(*self.moves.T)))

    def height(self, angles):
        """Return the height above the tilt axis that explains the moves, or None.

        Parameters
        ----------
        angles : ndarray, shape (T,)
            [degrees].

        Returns
        -------
        float or None
            [binned pixels]; None where the moves are of another kind.
        """
        slope = np.sin(np.deg2rad(angles))
        height = float(slope @ self.moves[:, 1] / max(slope @ slope, 1e-6))
        unexplained = self.moves[:, 1] - height * slope
        still = np.abs(self.moves[:, 0]).max() <= 2 and np.abs(unexplained).max() <= 2
        return height if still else None
