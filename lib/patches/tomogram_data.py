"""From the files of a tomogram to the 8-bit volume and images that show candidates."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.candidates.masked import Masked
from lib.candidates.masking import find_masked
from lib.candidates.scale_space import gaussian_volume
from lib.errors import InputError
from lib.geometry.projection import project_to_tilts

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


TILTS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class TomogramData:
    """What is needed to see the candidates of one tomogram.

    Attributes
    ----------
    volume : ndarray of uint8, shape (Z, Y, X)
        With ``--compress``, Z is half the depth of the file.
    tilts : ndarray of uint8, shape (T, Y, X), or None
        Aligned tilt images, in the mode that uses them.
    angles : ndarray of float, shape (T,), or None
        [degrees].
    z_sign : {1, -1}
        See `lib.geometry.projection.project_to_tilts`.
    depth : int, optional
        Slices of the tomogram file [voxels]; by default those of the volume.
    masked : lib.candidates.masked.Masked, optional
        What of the volume is no specimen.
    halves : dict of str to ndarray of uint8, shape (Z, Y, X), or None
        The tomogram of ``"even"`` and of ``"odd"`` data, where pairs are cut of them.
    """

    volume: np.ndarray
    tilts: np.ndarray | None = None
    angles: np.ndarray | None = None
    z_sign: int = 1
    depth: int | None = None
    masked: Masked | None = None
    halves: dict | None = None

    def through(self, tilts):
        """Return a part of the data; see `lib.patches.views.PatchOffset`."""
        if self.halves is not None and tilts != "all":
            return replace(self, volume=self.halves[tilts])
        if self.tilts is None or tilts == "all":
            return self
        part = np.argsort(self.angles, kind="stable")[TILTS[tilts]]
        return replace(self, tilts=self.tilts[part], angles=self.angles[part])

    def project(self, positions):
        """Return where positions (N, 3) fall in each tilt image, (T, N, 2) [px]."""
        shape = (self.depth or len(self.volume), *self.volume.shape[1:])
        positions = np.array(positions, dtype=float)
        if shape[0] != len(self.volume):
            positions[:, 2] = 2 * positions[:, 2] + 0.5  # middle of the merged pair
        return project_to_tilts(positions, self.angles, shape, self.z_sign)


def load_tomogram(tomogram, options, *, tilts=True, halves=False, threads=None):
    """Read and preprocess what shows the candidates of one tomogram.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
    options : lib.patches.options.PatchOptions
    tilts : bool
        Whether the tilt images are needed, in the mode that uses them.
    halves : bool
        Whether the half tomograms are needed.
    threads : int, optional
        By default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    TomogramData
    """
    raw = tomogram.read_voxels(compress=options.compress)
    masked = find_masked(raw, keep_gold=options.keep_gold, threads=threads)
    volume = preprocess_tomogram(raw, options.gauss, masked=masked, threads=threads)
    del raw
    depth, z_sign = tomogram.shape[0], tomogram.z_sign
    if not (tilts and options.needs_tilts):
        return TomogramData(
            volume,
            z_sign=z_sign,
            depth=depth,
            masked=masked,
            halves=_load_halves(tomogram, options, masked, threads) if halves else None,
        )
    series = tomogram.read_tilts(
        max_tilt=options.tilt_range, flip=options.flip_tilt_angles
    )
    if options.disjoint_tilts and len(series.angles) < 2:
        raise InputError(
            f"{tomogram.tilt_path} has one image within +-{options.tilt_range:g} "
            "degrees, and the default --recipe pairs images of different tilts; raise "
            "--tilt_range"
        )
    data = TomogramData(volume, None, series.angles, z_sign, depth, masked)
    hidden = _find_in_images(series.images, data, options.keep_gold)
    images = preprocess_tilt_images(series.images, options.gauss, masked=hidden)
    return replace(data, tilts=images)


def _load_halves(tomogram, options, masked, threads):
    """Return the half tomograms, preprocessed as the whole one is.

    What is masked is that of the whole: half of the data shows beads less well.
    """
    loaded = {}
    for part, info in zip(("even", "odd"), tomogram.companions.halves, strict=True):
        raw = tomogram.of_file(info).read_voxels(compress=options.compress)
        loaded[part] = preprocess_tomogram(
            raw, options.gauss, masked=masked, threads=threads
        )
    return loaded


def _find_in_images(images, data, keep_gold):
    """Return what is masked in each image: also where the gold of the volume falls."""
    shadows = [None] * len(images)
    if data.masked is not None:
        shadows = data.project(data.masked.cores)
    return [
        find_masked(image[None], keep_gold=keep_gold, shadows=falls, threads=1)
        for image, falls in zip(images, shadows, strict=True)
    ]
