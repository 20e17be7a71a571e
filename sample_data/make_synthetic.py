"""Write a labeled synthetic set: simple shapes, real missing wedge.

    python sample_data/make_synthetic.py --out sample_data/synthetic

Six shapes in random orientations lie in a slab that is projected along the tilts,
noised and back-projected, as IMOD would. For each tomogram ``<name>.rec`` (file
axes Y, Z, X: ``--order xzy``), ``<name>.ali`` and ``<name>.tlt``; for the set
``particles.csv`` (tomogram, x, y, z, class) and ``image_list.txt``, which
``--train_img_txt`` takes. Density is dark.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import OptionError, run_script
from sample_data import simulation

SMALLEST = 32  # edge of a tomogram that still holds every shape [voxels]


def main():
    """Write a set as the command line says."""
    options = _options()
    if min(options.size) < SMALLEST:
        raise OptionError(
            f"--size {' '.join(map(str, options.size))} is too small for the shapes; "
            f"take at least {SMALLEST} voxels a side"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    angles = tilt_angles(options.max_tilt, options.tilt_step)
    particles = {}
    for number in range(options.tomograms):
        name = f"synthetic_{number:02d}"
        made = make_tomogram(
            [options.seed, number],
            tuple(options.size[::-1]),
            angles=angles,
            noise=options.noise,
            n_particles=options.particles,
            order=options.order,
        )
        simulation.write_tomogram(
            options.out,
            name,
            made.tomogram,
            made.tilts,
            angles,
            options.order,
            options.voxel_size,
        )
        particles[name] = made.particles
        print(f"{name}: {len(made.particles)} particles")
    simulation.write_truth(options.out, particles)
    print(f"{options.out / 'image_list.txt'} lists {len(particles)} tomograms")


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to write to")
    add("--tomograms", type=int, default=2)
    add("--size", type=int, nargs=3, default=(256, 256, 64), metavar=("X", "Y", "Z"))
    add("--particles", type=int, help="a tomogram (default: as crowded as a cell)")
    add("--noise", type=float, default=1.0, help="std in that of the noiseless tilts")
    add("--max_tilt", type=float, default=60.0, help="[degrees]")
    add("--tilt_step", type=float, default=3.0, help="[degrees]")
    add("--order", choices=("xzy", "zxy"), default="xzy", help="axes of the tomogram")
    add("--voxel_size", type=float, default=10.0, help="[A]")
    add("--seed", type=int, default=1)
    return parser.parse_args()


@dataclass(frozen=True)
class Synthetic:
    """A synthetic tomogram with what it was made from.

    Attributes
    ----------
    tomogram : ndarray of float32, shape (Z, Y, X)
        Back-projected; density is dark.
    tilts : ndarray of float32, shape (T, Y, X)
    angles : ndarray, shape (T,)
        [degrees]
    particles : list of simulation.Particle
    density : ndarray of float32, shape (Z, Y, X)
        The truth, bright.
    """

    tomogram: np.ndarray
    tilts: np.ndarray
    angles: np.ndarray
    particles: list
    density: np.ndarray


def make_tomogram(
    seed, shape, *, angles=None, noise=1.0, n_particles=None, order="xzy"
):
    """Simulate one tomogram of shapes.

    Parameters
    ----------
    seed : int or sequence of int
    shape : tuple of int
        (Z, Y, X) [voxels].
    angles : sequence of float, optional
        Tilts [degrees]; -60 to 60 by 3 when not given.
    noise : float
        Std of the Gaussian noise of a tilt image, in that of the noiseless images.
    n_particles : int, optional
        As many as lie about 18 voxels apart when not given; fewer when they do not
        fit.
    order : {"xzy", "zxy"}
        Axes the file shall have; they decide which way z runs.

    Returns
    -------
    Synthetic
    """
    rng = np.random.default_rng(seed)
    angles = tilt_angles() if angles is None else np.asarray(angles, dtype=float)
    depth = shape[0] * 3 // 4
    if n_particles is None:
        n_particles = round(depth * shape[1] * shape[2] / 18**3)
    kinds = [list(SHAPES)[i * len(SHAPES) // n_particles] for i in range(n_particles)]
    renderers = {kind: partial(_render, distance) for kind, distance in SHAPES.items()}
    density, particles = simulation.place_particles(
        renderers, kinds, shape, depth, rng, gap=2
    )
    matrix = simulation.projection_matrix(
        angles, shape[0], shape[2], simulation.Z_SIGN[order]
    )
    images = -simulation.project(density, matrix)
    images += rng.normal(0, noise * images.std(), images.shape).astype(np.float32)
    tomogram = simulation.back_project(images, matrix)
    return Synthetic(tomogram, images, angles, particles, density)


def tilt_angles(max_tilt=60.0, step=3.0):
    """Return the tilts from -max_tilt to max_tilt [degrees]."""
    return np.arange(-max_tilt, max_tilt + step / 2, step)


def _render(distance, rng):
    """Draw a shape in a random orientation, off the voxel grid, with a soft edge."""
    half = 13
    center = half + rng.uniform(-0.5, 0.5, 3)
    grid = np.indices((2 * half + 1,) * 3).reshape(3, -1).T - center
    turned = Rotation.random(None, rng).apply(grid).astype(np.float32)
    density = np.clip(0.5 - distance(*turned.T), 0, 1)
    return density.reshape((2 * half + 1,) * 3), center


# Signed distance from the surface [voxels], negative inside, of points (x, y, z)
# around the center of mass.


def _sphere(x, y, z, radius=7.0):
    return np.sqrt(x**2 + y**2 + z**2) - radius


def _shell(x, y, z):
    return np.abs(_sphere(x, y, z, 9.0)) - 1.5


def _rod(x, y, z, length=22.0, radius=3.0):
    beyond = np.maximum(np.abs(x) - (length / 2 - radius), 0)
    return np.sqrt(beyond**2 + y**2 + z**2) - radius


def _ring(x, y, z):
    return np.hypot(np.hypot(x, y) - 7.0, z) - 2.5


def _dumbbell(x, y, z):
    balls = _sphere(np.abs(x) - 5.5, y, z, 4.5)
    return np.minimum(balls, _rod(x, y, z, 11.0, 1.5))


def _cross(x, y, z):
    return np.minimum(_rod(x, y, z, radius=2.5), _rod(y, x, z, radius=2.5))


SHAPES = {  # the hardest to fit first
    "shell": _shell,
    "ring": _ring,
    "sphere": _sphere,
    "cross": _cross,
    "dumbbell": _dumbbell,
    "rod": _rod,
}

if __name__ == "__main__":
    run_script(main)
