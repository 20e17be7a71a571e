"""Simulated tomography: particles in a slab, tilt images, weighted back-projection.

Shared by ``make_synthetic.py`` (simple shapes) and ``benchmarks/simulate.py``
(proteins). Volumes are (Z, Y, X), tilt images (T, Y, X), positions (x, y, z) in
voxels, angles in degrees. The tilt axis is y; a voxel falls at
``x' = (x - cx) cos(t) + z_sign (z - cz) sin(t) + cx`` with center c = size // 2.
"""

import csv
from dataclasses import dataclass

import mrcfile
import numpy as np
from scipy import ndimage, sparse
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

Z_SIGN = {"xzy": -1, "zxy": 1}  # as in a file of IMOD's tilt, and after trimvol -rx
HALVES = ("_EVN.rec", "_ODD.rec")  # endings, as AreTomo names them
EMPTY = 0.02  # of a particle's greatest density: below, there is nothing


@dataclass(frozen=True)
class Particle:
    """One particle: its kind, and its center of mass (x, y, z) [voxels]."""

    kind: str
    position: tuple[float, float, float]


def place_particles(
    renderers, order, shape, depth, rng, gap=1, attempts=200, obstacles=None
):
    """Fill a slab with particles that do not touch.

    Parameters
    ----------
    renderers : dict of str to callable
        Takes a `Generator`, returns ``(density, center)``: a randomly oriented
        density (z, y, x), zero outside of the particle, and the index (z, y, x)
        of its center of mass, whole or not.
    order : sequence of str
        Kind of each particle to place, hardest to fit first.
    shape : tuple of int
        (Z, Y, X) of the volume [voxels].
    depth : int
        Thickness of the slab [voxels], in the middle of Z.
    rng : numpy.random.Generator
    gap : int
        Least distance between two particles [voxels].
    attempts : int
        Places that are tried before a particle is given up.
    obstacles : ndarray of bool, shape (Z, Y, X), optional
        Where no particle may lie.

    Returns
    -------
    volume : ndarray of float32, shape (Z, Y, X)
    particles : list of Particle
    """
    volume = np.zeros(shape, np.float32)
    taken = np.zeros(shape, bool) if obstacles is None else obstacles.copy()
    floor = np.array([(shape[0] - depth) // 2, 0, 0])
    room = np.array([depth, *shape[1:]])
    particles = []
    for kind in order:
        density, center = _trim(*renderers[kind](rng))
        size = np.array(density.shape)
        if (size > room).any():
            continue
        solid = ndimage.binary_fill_holes(density > EMPTY * density.max())
        for corner in floor + rng.integers(0, room - size + 1, (attempts, 3)):
            box = tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))
            if (taken[box] & solid).any():
                continue
            volume[box] += density
            _take(taken, corner, solid, gap)
            particles.append(Particle(kind, tuple((corner + center)[::-1].tolist())))
            break
    return volume, particles


def _trim(density, center):
    """Cut a density down to where it is not empty."""
    box = ndimage.find_objects((density > EMPTY * density.max()).astype(np.uint8))[0]
    return density[box], np.asarray(center) - [axis.start for axis in box]


def _take(taken, corner, solid, gap):
    """Mark a particle and the gap around it as taken."""
    padded = ndimage.binary_dilation(np.pad(solid, gap), iterations=gap)
    start = np.asarray(corner) - gap
    low = np.maximum(start, 0)
    high = np.minimum(start + padded.shape, taken.shape)
    inside = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    taken[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= padded[inside]


def projection_matrix(angles, size_z, size_x, z_sign):
    """Return what projects every (z, x) plane of a volume onto the detector.

    Parameters
    ----------
    angles : sequence of float, length T
        [degrees]
    size_z, size_x : int
        Of the volume [voxels]; the detector is `size_x` wide.
    z_sign : {1, -1}

    Returns
    -------
    scipy.sparse.csr_array of float32, shape (T * X, Z * X)
        Voxels are shared linearly between the two nearest pixels; the transpose
        back-projects with linear interpolation.
    """
    radians = np.deg2rad(np.asarray(angles, dtype=float))[:, None, None]
    x = np.arange(size_x) - size_x // 2
    z = (np.arange(size_z) - size_z // 2)[:, None]
    landing = x * np.cos(radians) + z_sign * z * np.sin(radians) + size_x // 2
    left = np.floor(landing).astype(np.int32)  # (T, Z, X)
    share = (landing - left).astype(np.float32)
    first = np.arange(len(radians), dtype=np.int32)[:, None, None] * size_x
    voxel = np.arange(size_z * size_x, dtype=np.int32).reshape(1, size_z, size_x)
    voxel = np.broadcast_to(voxel, left.shape)
    rows, columns, weights = [], [], []
    for pixel, weight in ((left, 1 - share), (left + 1, share)):
        seen = (pixel >= 0) & (pixel < size_x)
        rows.append((pixel + first)[seen])
        columns.append(voxel[seen])
        weights.append(weight[seen])
    return sparse.csr_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(len(radians) * size_x, size_z * size_x),
    )


def project(volume, matrix):
    """Project a volume (Z, Y, X) into images (T, Y, X) with `projection_matrix`."""
    size_z, size_y, size_x = volume.shape
    planes = volume.transpose(0, 2, 1).reshape(size_z * size_x, size_y)
    return (matrix @ planes).reshape(-1, size_x, size_y).transpose(0, 2, 1)


def back_project(images, matrix):
    """Reconstruct a volume (Z, Y, X) from images (T, Y, X), ramp-weighted along x.

    The weighting falls off beyond 0.35 cycles a pixel, as IMOD's default does.
    """
    n_images, size_y, size_x = images.shape
    padded = next_fast_len(2 * size_x, real=True)
    frequency = rfftfreq(padded).astype(np.float32)
    beyond = np.maximum(frequency - 0.35, 0) / 0.05
    ramp = frequency * np.exp(-0.5 * beyond**2)
    level = images.mean(axis=(1, 2), keepdims=True)
    weighted = irfft(rfft(images - level, padded) * ramp, padded)[..., :size_x]
    rows = weighted.transpose(0, 2, 1).reshape(n_images * size_x, size_y)
    planes = matrix.T @ np.ascontiguousarray(rows, np.float32)
    return planes.reshape(-1, size_x, size_y).transpose(0, 2, 1)


def write_tomogram(folder, name, tomogram, tilts, angles, order, voxel_size):
    """Write ``<name>.rec``, ``<name>.ali`` and ``<name>.tlt`` into a folder.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
    tomogram : ndarray, shape (Z, Y, X)
    tilts : ndarray, shape (T, Y, X)
    angles : sequence of float, length T
        [degrees]
    order : {"xzy", "zxy"}
        Axes of the tomogram file.
    voxel_size : float
        [Angstrom]
    """
    if order == "xzy":
        tomogram = tomogram.transpose(1, 0, 2)
    for suffix, data in ((".rec", tomogram), (".ali", tilts)):
        write_volume(folder / (name + suffix), data, voxel_size)
    (folder / f"{name}.tlt").write_text("".join(f"{a:8.2f}\n" for a in angles))


def write_volume(path, data, voxel_size):
    """Write an array as MRC of 16 bits; its own axes are those of the file."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(_as_int16(data))
        file.voxel_size = voxel_size


def _as_int16(data):
    """Scale to mean 0 and 1,000 per std: finer than the noise, half the size."""
    scaled = (data - data.mean()) * (1000 / data.std())
    return np.ascontiguousarray(np.clip(np.rint(scaled), -32768, 32767), np.int16)


def write_truth(folder, particles, *, halves=False):
    """Write ``particles.csv`` (tomogram, x, y, z, class) and ``image_list.txt``.

    Parameters
    ----------
    folder : pathlib.Path
    particles : dict of str to list of Particle
        By tomogram.
    halves : bool
        Name the half tomograms in the list.
    """
    with (folder / "particles.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["tomogram", "x", "y", "z", "class"])
        for name, placed in particles.items():
            for particle in placed:
                position = (f"{value:.2f}" for value in particle.position)
                table.writerow([name, *position, particle.kind])
    with (folder / "image_list.txt").open("w") as file:
        columns = ["image_name", "rec_path", "tilt_path", "angle_path"]
        endings = ["", ".rec", ".ali", ".tlt"]
        if halves:
            columns, endings = [*columns, "rec_even", "rec_odd"], [*endings, *HALVES]
        print(*columns, sep="\t", file=file)
        for name in particles:
            print(*(name + ending for ending in endings), sep="\t", file=file)
