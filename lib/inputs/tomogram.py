"""A tomogram with its tilt series: what its files say, and how to read their voxels.

Volumes are (Z, Y, X), tilt series (T, Y, X), angles degrees; orders of axes as in
`lib.axis_orders`.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.axis_orders import DEFAULT_ORDER, ORDERS, z_sign
from lib.errors import InputError
from lib.inputs.axis_order import resolve_order
from lib.inputs.companions import NO_COMPANIONS, Companions
from lib.inputs.mrc import MrcInfo, find_voxel_size, inspect_mrc
from lib.inputs.mrc_voxels import (
    Extremes,
    block_ranges,
    map_voxels,
    merge_pairs,
    read_images,
    read_sections,
)
from lib.inputs.tilt_angles import TiltSeries, read_tilt_angles


@dataclass(frozen=True)
class Tomogram:
    """A tomogram whose headers and angles were read; its voxels may be on the disk.

    Attributes
    ----------
    name : str
        In the image list; part of the names of the files that are written.
    info : MrcInfo
        Header of the tomogram.
    order : str
        Key of `lib.axis_orders.ORDERS`, never ``auto``.
    voxel_size : float or None
        As the user gave it, otherwise that of the header; where the header has none,
        that of the tilt images [Angstrom].
    tilt_info : MrcInfo or None
        Header of the aligned tilt series; None where it is not needed.
    angle_path : Path or None
    angles : tuple of float or None
        One for each image, as the file has them [degrees].
    companions : lib.inputs.companions.Companions
        Further volumes of the same shape and axes: halves, mask, one to look at.
    """

    name: str
    info: MrcInfo
    order: str
    voxel_size: float | None = None
    tilt_info: MrcInfo | None = None
    angle_path: Path | None = None
    angles: tuple[float, ...] | None = None
    companions: Companions = NO_COMPANIONS

    @classmethod
    def from_files(
        cls,
        rec_path,
        order=DEFAULT_ORDER,
        *,
        order_is_given=True,
        name=None,
        tilt_path=None,
        angle_path=None,
        voxel_size=None,
        noting=nullcontext,
        **companions,
    ):
        """Read the headers and the angles of a single tomogram.

        Parameters
        ----------
        rec_path : path-like
            MRC file.
        order, order_is_given
            See `lib.inputs.axis_order.resolve_order`.
        name : str, optional
            The default is the name of the file without its ending.
        tilt_path, angle_path : path-like, optional
            Aligned tilt series and its angles, both or neither.
        voxel_size : float, optional
            As the user gives it [Angstrom].
        noting : callable, optional
            Called with ``rec_path``, ``tilt_path`` or ``angle_path``; returns the
            context of reading it. If it keeps an InputError, the others are read, too.
        **companions : path-like, optional
            See `lib.inputs.companions.Companions.from_files`.

        Returns
        -------
        Tomogram, or None when `noting` kept an error.

        Raises
        ------
        InputError
            When a file cannot be read, sizes or counts do not fit, or the order is
            not the right one.
        """
        info = tilt_info = angles = None
        with noting("rec_path"):
            info = inspect_mrc(rec_path)
        if tilt_path is not None:
            with noting("tilt_path"):
                tilt_info = inspect_mrc(tilt_path)
        if tilt_info is not None:
            with noting("angle_path"):
                angles = read_tilt_angles(angle_path, tilt_info.shape[0])
        if info is None or (tilt_path is not None and angles is None):
            return None
        with noting("rec_path"):
            tilt_shape = tilt_info.shape if tilt_info else None
            order = resolve_order(info, order, tilt_shape, is_given=order_is_given)
        further = Companions.from_files(info, noting=noting, **companions)
        return cls(
            name=name or info.path.name.split(".")[0],
            info=info,
            order=order,
            voxel_size=voxel_size or find_voxel_size(info, tilt_info),
            tilt_info=tilt_info,
            angle_path=Path(angle_path) if tilt_info else None,
            angles=tuple(angles.tolist()) if tilt_info else None,
            companions=further,
        )

    @property
    def rec_path(self):
        """Path of the tomogram."""
        return self.info.path

    @property
    def tilt_path(self):
        """Path of the tilt series, or None."""
        return self.tilt_info and self.tilt_info.path

    def of_file(self, info):
        """Return the tomogram with the voxels of another file of its shape and axes."""
        return replace(self, info=info, companions=NO_COMPANIONS)

    @property
    def shown(self):
        """The tomogram to look at: that of ``view_path``, else itself."""
        view = self.companions.view_path
        return self if view is None else self.of_file(view)

    @property
    def shape(self):
        """(Z, Y, X) [voxels]."""
        return tuple(self.info.shape[axis] for axis in ORDERS[self.order])

    @property
    def z_sign(self):
        """Direction of z against the tilt geometry; see `axis_order.z_sign`."""
        return z_sign(self.order)

    def map_voxels(self):
        """Map the voxels, to be read slice by slice.

        Returns
        -------
        ndarray, shape (Z, Y, X)
            In the type of the file: a view of its map, or of the decompressed file.

        Raises
        ------
        InputError
            When the file cannot be read.
        """
        return map_voxels(self.info).transpose(ORDERS[self.order])

    def read_voxels(self, *, compress=False):
        """Read the voxels into memory and check them.

        Parameters
        ----------
        compress : bool
            Merge slice pairs along z into their maximum; an odd last slice stays.

        Returns
        -------
        ndarray of float32, shape (Z, Y, X)
            Contiguous; ``(Z + 1) // 2`` slices with `compress`.

        Raises
        ------
        InputError
            When the file cannot be read, or voxels are not finite, or all equal.
        """
        axes = ORDERS[self.order]
        depth, height, width = self.shape
        merged = -(-depth // 2) if compress else depth
        array = np.empty((merged, height, width), np.float32)
        in_file = array.transpose(np.argsort(axes))  # with the axes of the file
        ranges = block_ranges(self.info)
        extremes = Extremes()
        for (start, stop), block in zip(
            ranges, read_sections(self.info, ranges), strict=True
        ):
            extremes.update(block)
            if compress:
                block = merge_pairs(block, axes[0])
                if axes[0] == 0:
                    start, stop = start // 2, -(-stop // 2)
            with np.errstate(invalid="ignore"):  # a NaN is rejected below, counted
                in_file[start:stop] = block
        if extremes.fault:
            raise InputError(
                f"{self.rec_path} cannot be used: of {np.prod(self.shape):,} voxels, "
                f"{extremes.fault}; reconstruct it again"
            )
        return array

    def read_tilts(self, *, max_tilt=None, flip=False):
        """Read the images of the tilt series.

        Parameters
        ----------
        max_tilt : float, optional
            Only images within +- this angle are read [degrees].
        flip : bool
            Change the sign of the angles.

        Returns
        -------
        TiltSeries
            Without blank and non-finite images, which are left out with a warning.

        Raises
        ------
        InputError
            When the file cannot be read, or no image is left.
        """
        angles = np.array(self.angles)
        kept = np.arange(len(angles))
        if max_tilt is not None:
            kept = kept[np.abs(angles) <= max_tilt]
            if not len(kept):
                raise InputError(
                    f"{self.angle_path} has no angle within +-{max_tilt:g} degrees "
                    f"(smallest: {np.abs(angles).min():g}); raise --tilt_range"
                )
        images, kept = read_images(self.tilt_info, kept, angles)
        angles = angles[kept]
        return TiltSeries(images=images, angles=0.0 - angles if flip else angles)
