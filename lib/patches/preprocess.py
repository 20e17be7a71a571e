"""From raw voxels to denoised 8-bit data, on which everything else works.

Huang et al. 2024, methods; the clip limits are the public implementation's.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.candidates.scale_space import gaussian_volume

TOMOGRAM_CLIP = (-3.0, 3.0)
TILT_CLIP = (-2.5, 2.0)


def preprocess_tomogram(volume, gauss, *, masked=None, threads=None):
    """Denoise, standardize, clip at three standard deviations and quantize.

    Parameters
    ----------
    volume : ndarray of float32, shape (Z, Y, X)
        Overwritten, so that no second copy is needed.
    gauss : float
        Standard deviation of the Gaussian [voxels].
    masked : lib.candidates.masked.Masked, optional
        Left out of mean and standard deviation, and replaced by its surroundings.
    threads : int, optional
        By default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X)
        0 is three standard deviations below the mean, 255 three above.
    """
    if masked is not None:
        masked.replace(volume)
    gaussian_volume(volume, gauss, out=volume, threads=threads)
    mean, std = (
        _mean_and_std(volume) if masked is None else _mean_and_std_of(volume, masked)
    )
    quantized = np.empty(volume.shape, np.uint8)
    for target, section in zip(quantized, volume, strict=True):
        target[...] = _quantize((section - mean) / std, *TOMOGRAM_CLIP)
    return quantized


def preprocess_tilt_images(images, gauss, *, masked=None):
    """Denoise, standardize, clip and quantize each image on its own.

    Parameters
    ----------
    images : ndarray of float32, shape (T, Y, X)
        None of them constant. What is masked is replaced in place.
    gauss : float
        Standard deviation of the Gaussian [pixels].
    masked : list of (lib.candidates.masked.Masked or None), optional
        Of each image, as of a volume of one section.

    Returns
    -------
    ndarray of uint8, shape (T, Y, X)
    """
    quantized = np.empty(images.shape, np.uint8)
    masked = masked or [None] * len(images)
    for target, image, hidden in zip(quantized, images, masked, strict=True):
        if hidden is not None:
            hidden.replace(image[None])
        smooth = gaussian_filter(image, gauss) if gauss > 0 else image
        seen = smooth if hidden is None else smooth[~hidden.section(0)]
        standard = (smooth - seen.mean(dtype=np.float64)) / seen.std(dtype=np.float64)
        target[...] = _quantize(standard, *TILT_CLIP)
    return quantized


def _mean_and_std(volume):
    """Return mean and std in double precision, slice by slice."""
    mean = np.mean([section.mean(dtype=np.float64) for section in volume])
    variance = np.mean([np.square(section - mean).mean() for section in volume])
    return mean, np.sqrt(variance)


def _mean_and_std_of(volume, masked):
    """Return mean and std of what is not masked, in double precision."""
    seen = [~masked.section(z) for z in range(len(volume))]
    count = sum(map(np.count_nonzero, seen))
    pairs = list(zip(volume, seen, strict=True))
    mean = sum(part[keep].sum(dtype=np.float64) for part, keep in pairs) / count
    squares = sum(np.square(part[keep] - mean).sum() for part, keep in pairs)
    return mean, np.sqrt(squares / count)


def _quantize(standard, low, high):
    scaled = (standard - low) * (255 / (high - low))
    return np.round(np.clip(scaled, 0, 255))
