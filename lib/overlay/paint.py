"""Colors painted into the tomogram: two volumes of RGB, written slab by slab."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import starmap

import numpy as np

from lib.artifacts import atomic_write

REACH = 2  # slices above and below a candidate that are painted
RGB = np.dtype("V3")  # one item a voxel: moved four times faster than three
GRAY_PERCENTILES = (0.5, 99.5)
SAMPLED_SLICES = 9
SAMPLED_VOXELS_A_SLICE = 200_000
# A slab is what is in memory at once: of 1024 x 1024 voxels 8 slices.
SLAB_VOXELS = 2**23


@dataclass(frozen=True)
class Markers:
    """Colored candidates at distinct positions; the order of the rows has no effect.

    Attributes
    ----------
    positions : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    colors : ndarray of uint8, shape (N, 3)
    radius : int
        In the slice of the candidate; one less in each slice away from it [voxels].
    """

    positions: np.ndarray
    colors: np.ndarray
    radius: int

    @classmethod
    def of(cls, positions, colors, radius):
        """Sort candidates by z, then x, y and color; keep the last at each position."""
        order = np.lexsort(
            (*colors.T, positions[:, 1], positions[:, 0], positions[:, 2])
        )
        positions, colors = positions[order], colors[order]
        last = np.ones(len(positions), dtype=bool)
        last[:-1] = (positions[1:] != positions[:-1]).any(axis=1)
        return cls(positions[last], colors[last], radius)

    def offsets(self):
        """Return the voxels (dx, dy, dz) of a marker, the farthest first."""
        reach = np.arange(-self.radius, self.radius + 1)
        slices = np.arange(-REACH, REACH + 1)
        grid = np.meshgrid(reach, reach, slices, indexing="ij")
        dx, dy, dz = (axis.ravel() for axis in grid)
        radius = self.radius - abs(dz)
        inside = (dx**2 + dy**2 <= radius**2) & (radius >= 0)
        offsets = np.stack([dx, dy, dz], axis=1)[inside]
        return offsets[np.argsort(-(offsets**2).sum(axis=1), kind="stable")]


def paint_slab(markers, first, depth, height, width):
    """Paint the markers in a range of slices.

    Parameters
    ----------
    markers : Markers
    first : int
        Index of the first slice.
    depth, height, width : int
        Size of the slab [voxels].

    Returns
    -------
    ndarray of uint8, shape (depth, height, width, 3)
        Black where no marker is. Where markers overlap, a voxel has the color of the
        nearest candidate; of equally near ones always the same, whatever the rows.
    """
    # A margin as wide as a marker avoids a bounds test for every voxel.
    margin = markers.radius
    rows, columns = height + 2 * margin, width + 2 * margin
    canvas = np.zeros(depth * rows * columns, dtype=RGB)
    x, y, z = markers.positions.T
    centers = ((z - first) * rows + y + margin) * columns + x + margin
    colors = np.ascontiguousarray(markers.colors).view(RGB).ravel()
    # One offset at a time, the nearer ones later so that they win. Candidates lie at
    # distinct positions, so no assignment repeats an index: NumPy does not define the
    # result of one that does.
    reached = {dz: _between(z, first - dz, depth) for dz in range(-REACH, REACH + 1)}
    for dx, dy, dz in markers.offsets().tolist():
        near = reached[dz]
        canvas[centers[near] + ((dz * rows + dy) * columns + dx)] = colors[near]
    slab = canvas.view(np.uint8).reshape(depth, rows, columns, 3)
    inner = slab[:, margin : margin + height, margin : margin + width]
    return np.ascontiguousarray(inner)


def _between(ascending, first, count):
    """Return the slice of the whole numbers from `first` on, `count` of them."""
    return slice(*np.searchsorted(ascending, (first, first + count)).tolist())


def gray_range(volume):
    """Return the voxel values that become black and white.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
        May be mapped from a file; only a few slices are read.

    Returns
    -------
    low, high : float
        The darkest and brightest half percent lie beyond.
    """
    depth = len(volume)
    slices = np.unique(
        np.linspace(0.1 * depth, 0.9 * depth, SAMPLED_SLICES).astype(int)
    )
    sample = [_thinned(volume[z]) for z in slices.clip(0, depth - 1)]
    values = np.concatenate(sample).astype(np.float32)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, GRAY_PERCENTILES) if values.size else (0, 0)
    return float(low), float(max(high, low + 1e-6))


def _thinned(image):
    return image.ravel()[:: image.size // SAMPLED_VOXELS_A_SLICE + 1]


def gray_slab(slab, low, high):
    """Turn voxel values into gray RGB.

    Parameters
    ----------
    slab : ndarray, shape (Z, Y, X)
    low, high : float
        Values that become black and white.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X, 3)
    """
    if slab.dtype.itemsize == 1:
        levels = _to_gray(np.arange(256, dtype=np.uint8).view(slab.dtype), low, high)
        translated = slab.tobytes().translate(levels.tobytes())
        gray = np.frombuffer(translated, dtype=np.uint8).reshape(slab.shape)
    else:
        gray = _to_gray(slab, low, high)
    rgb = np.empty((*slab.shape, 3), dtype=np.uint8)
    for channel in range(3):  # four times faster than repeating along the last axis
        rgb[..., channel] = gray
    return rgb


def _to_gray(values, low, high):
    scaled = (values.astype(np.float32) - low) * np.float32(255 / (high - low))
    np.nan_to_num(scaled, copy=False)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def bytes_needed(shape):
    """Return the size of both files of a tomogram of (Z, Y, X) voxels."""
    return 2 * 3 * int(np.prod(shape))


def paint_tomogram(
    volume, markers, *, gray_path, color_path, paired=False, progress=None
):
    """Write the gray and the colored volume of a tomogram.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
        May be mapped from a file; read once, slab by slab.
    markers : Markers
        z in slices of `volume`; with `paired` in pairs of slices.
    gray_path, color_path : path-like
        ``.npy`` files, uint8 (Z, Y, X, 3), each written atomically.
    paired : bool
        The candidates were found with slices merged in pairs (``--compress``): what
        is painted at z shows in slices 2 z and 2 z + 1.
    progress : callable, optional
        Called with the number of slices after each slab.
    """
    depth, height, width = volume.shape
    slices = max(2, SLAB_VOXELS // (height * width) // 2 * 2)
    ranges = [(z, min(z + slices, depth)) for z in range(0, depth, slices)]
    low, high = gray_range(volume)

    def gray(first, end):
        if progress:
            progress(end - first)
        return gray_slab(np.ascontiguousarray(volume[first:end]), low, high)

    def color(first, end):
        if not paired:
            return paint_slab(markers, first, end - first, height, width)
        pairs = (end - first + 1) // 2
        slab = paint_slab(markers, first // 2, pairs, height, width)
        return np.repeat(slab, 2, axis=0)[: end - first]

    # Two threads: both spend their time in copies, which do not hold each other up.
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(_write_slabs, path, volume.shape, starmap(slab, ranges))
            for path, slab in ((gray_path, gray), (color_path, color))
        ]
    for job in jobs:
        job.result()


def _write_slabs(path, shape, slabs):
    header = {"descr": "|u1", "fortran_order": False, "shape": (*shape, 3)}
    with atomic_write(path) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for slab in slabs:
            stream.write(slab.data)
