"""A tomogram and a few of its tilt images, binned: enough to compare the two.

Features of tens of nanometers show whether the two are aligned, and a check must take
seconds, so both are averaged to about `WIDTH` pixels while they are read.
"""

from dataclasses import dataclass

import numpy as np

from lib.axis_orders import ORDERS, z_sign
from lib.errors import InputError
from lib.geometry.hypotheses import IMAGE_TRANSFORMS
from lib.geometry.projection import (
    Projection,
    band_pass,
    chance,
    correlate_shifted,
    project,
    whole_image,
)
from lib.inputs.mrc_voxels import (
    Extremes,
    block_ranges,
    describe_wraparound,
    is_wrapped,
    read_sections,
)

WIDTH = 256  # [binned pixels]
# Untilted, both signs look the same; at high tilts, images show much that the
# tomogram does not contain.
TILTS = (-42, -30, -18, 18, 30, 42)  # [degrees]
USUAL = (0.5, 99.5)  # hot pixels and gold beads beyond are clipped [percentiles]


@dataclass(frozen=True)
class BinnedPair:
    """A binned tomogram and some of its tilt images.

    Attributes
    ----------
    tomogram : ndarray of float32
        Binned, of mean 0, with the axes of the file.
    file_shape : tuple of int
        Of the file, before binning [voxels].
    order : str
        As asked for, never ``auto``.
    images : ndarray of float32, shape (T, Y // factor, X // factor)
        Band-passed, in ascending order of their indices.
    next_images : dict of int to ndarray
        By position t in `images`, the binned image that follows in the file.
    indices : ndarray of int, shape (T,)
        Of the images in their file.
    angles : ndarray, shape (all images,)
        Signed as asked for [degrees].
    image_shape : tuple of int
        (Y, X) before binning [pixels].
    factor : int
        Of the binning.
    """

    tomogram: np.ndarray
    file_shape: tuple
    order: str
    images: np.ndarray
    next_images: dict
    indices: np.ndarray
    angles: np.ndarray
    image_shape: tuple
    factor: int

    @classmethod
    def read(cls, tomogram, flip_tilt_angles=False):
        """Read what is needed of a tomogram and its tilt series.

        Parameters
        ----------
        tomogram : lib.inputs.tomogram.Tomogram
        flip_tilt_angles : bool
            Whether the angle file has the opposite sign.

        Raises
        ------
        InputError
            When the voxels of a file cannot be used.
        """
        info, series = tomogram.info, tomogram.tilt_info
        angles = np.array(tomogram.angles)
        factor = max(1, round(max(series.shape[1:]) / WIDTH))
        wanted = {int(np.abs(angles - tilt).argmin()) for tilt in TILTS}
        pairs = {index + step for index in wanted for step in (0, 1)}
        binned = _read_images(series, sorted(pairs & set(range(len(angles)))), factor)
        indices = sorted(wanted & set(binned))
        if not indices:
            raise InputError(
                f"{series.path}: the images near {', '.join(map(str, TILTS))} "
                "degrees are blank or not finite"
            )
        return cls(
            tomogram=_read_tomogram(info, factor),
            file_shape=info.shape,
            order=tomogram.order,
            images=np.array([band_pass(binned[index]) for index in indices]),
            next_images={
                position: binned[index + 1]
                for position, index in enumerate(indices)
                if index + 1 in binned
            },
            indices=np.array(indices),
            angles=-angles if flip_tilt_angles else angles,
            image_shape=series.shape[1:],
            factor=factor,
        )

    def project(self, hypothesis):
        """Return the `Projection` of the tomogram by a hypothesis."""
        axes = ORDERS[hypothesis.order]
        volume = self.tomogram.transpose(axes)
        shape = tuple(self.file_shape[axis] for axis in axes)
        if hypothesis.axis == "x":
            volume = volume.transpose(0, 2, 1)
            shape = (shape[0], shape[2], shape[1])
        return project(
            volume,
            hypothesis.angles(self.angles)[self.indices],
            shape=shape,
            factor=self.factor,
            z_sign=z_sign(hypothesis.order),
        )

    def transformed_images(self, hypothesis):
        """Return the images (T, ...) so that they fit the projection of it."""
        turned = IMAGE_TRANSFORMS[hypothesis.image_transform](self.images)
        return turned.transpose(0, 2, 1) if hypothesis.axis == "x" else turned

    def neighbor_correlation(self):
        """Return how well images agree with the next ones, at the best shift.

        Returns
        -------
        correlation, significance : float
            Medians over the pairs; the latter as a multiple of chance.
        """
        if not self.next_images:
            return 0.0, 0.0
        here = self.images[list(self.next_images)]
        after = [whole_image(image) for image in self.next_images.values()]
        seen = np.ones((len(here), here.shape[2]), bool)
        maps = correlate_shifted(Projection(np.array(after), seen), here)
        highest = maps.max(axis=(1, 2))
        return float(np.median(highest)), float(np.median(highest / chance(maps)))


def _read_tomogram(info, factor):
    """Return the tomogram, cubes of `factor` voxels averaged; mean 0."""
    binned = np.empty([max(1, size // factor) for size in info.shape], np.float32)
    longest = max(stop - start for start, stop in block_ranges(info))
    step = max(factor, longest // factor * factor)
    whole = len(binned) * factor
    ranges = [(start, min(start + step, whole)) for start in range(0, whole, step)]
    extremes = Extremes()
    looked_at = ranges[len(ranges) // 2]
    for (start, stop), block in zip(ranges, read_sections(info, ranges), strict=True):
        extremes.update(block)
        if (start, stop) == looked_at and is_wrapped(block):
            raise InputError(describe_wraparound(info.path, info.dtype))
        if not extremes.unusable:
            binned[start // factor : stop // factor] = average(block, factor, (0, 1, 2))
    if extremes.fault:
        raise InputError(
            f"{info.path} cannot be used: voxels {extremes.fault}; reconstruct it again"
        )
    binned -= binned.mean(dtype=np.float64)
    return binned


def _read_images(info, indices, factor):
    """Return the binned images that are neither blank nor not finite, by index."""
    ranges = [(index, index + 1) for index in indices]
    images = {}
    for index, section in zip(indices, read_sections(info, ranges), strict=True):
        extremes = Extremes()
        extremes.update(section)
        if is_wrapped(section):
            raise InputError(describe_wraparound(info.path, info.dtype))
        if not extremes.fault:
            image = average(section[0], factor, (0, 1))
            image = np.clip(image, *np.percentile(image, USUAL))
            images[index] = image - image.mean()
    return images


def average(array, factor, axes):
    """Average runs of `factor` along each of `axes`; a remainder is cut off."""
    for axis in axes:
        moved = np.moveaxis(array, axis, 0)[: array.shape[axis] // factor * factor]
        total = moved[::factor].astype(np.float32)
        for offset in range(1, factor):
            total += moved[offset::factor]
        array = np.moveaxis(total, 0, axis)
    return array / factor ** len(axes)
