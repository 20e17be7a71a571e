"""Simulate labeled tomograms of real proteins, with physics near a microscope's.

    python benchmarks/simulate.py --out sim_low --noise low --seed 1

Eight labeled proteins in random orientations among three unlabeled crowders, in
a slab of ice of 3/4 of the depth: weak-phase projection with CTF, envelope of the
radiation damage, Poisson counts that thin with thickness, jitter of the alignment,
weighted back-projection. Writes tomograms, tilt series, angles, ``particles.csv``
(crowders have the class ``crowder``) and ``image_list.txt``. With ``--gold`` the same
particles lie among beads, whose centers (x, y, z) go to ``<name>.beads.txt``. With
``--halves`` even and odd tilts are reconstructed on their own as well.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.image_formation import expose
from lib.errors import InputError, run_script
from sample_data import simulation

# Kind and how many of it among 600 labeled particles: large ones are rarer, as
# in a cell, and so that all fit.
LABELED = {
    "6qzp": 36,  # 80S ribosome
    "8tux": 36,  # virus-like particle, hollow
    "2uv8": 36,  # fatty acid synthase, hollow
    "4cr2": 72,  # 26S proteasome
    "3j9i": 100,  # 20S proteasome
    "7n4y": 100,  # thyroglobulin
    "1f4a": 110,  # beta-galactosidase
    "6pxm": 110,  # apoferritin, hollow
}
CROWDERS = {"3cf3": 70, "1u6g": 70, "1bxn": 70}
CROWDER = "crowder"
PROJECT = Path(__file__).resolve().parents[1]
VOXEL_SIZE = 10.0  # of the templates [A]
DOSE = {"low": 120.0, "high": 40.0}  # of the whole series [e/A^2]

# A voxel full of protein reads about 250 in the templates (known masses at
# 1.21 A^3/Da) and lies 3.5 V above ice.
VOLT_PER_UNIT = 3.5 / 250
TEMPLATE_SCALE = 2.4

GOLD_RADIUS = 50.0  # of a fiducial of 10 nm [A]
GOLD_POTENTIAL = 25.0  # above ice [V]
GOLD_PATH = 80.0  # in gold that leaves 1 / e of the electrons in the aperture [A]
GOLD_ATTEMPTS = 1000  # places that are tried for a bead
GOLD_INSIDE = 20  # centers keep this distance from the edges in x and y [voxels]
HOT = (2.0, 20.0)  # a hot pixel counts between these multiples of the mean


def main():
    """Simulate as the command line says."""
    options = _options()
    templates = load_templates(options.templates)
    options.out.mkdir(parents=True, exist_ok=True)
    angles = np.arange(-60.0, 61.0, 3.0)
    write = partial(
        write_simulated,
        options.out,
        templates,
        seed=options.seed,
        shape=tuple(options.size[::-1]),
        angles=angles,
        dose=options.dose or DOSE[options.noise],
        defocus=options.defocus * 1e4,
        gold=options.gold,
        hot=options.hot,
        halves=options.halves,
    )
    names = [f"sim_{number:02d}" for number in range(options.tomograms)]
    start = time.monotonic()
    with ProcessPoolExecutor(min(options.workers, len(names))) as pool:
        particles = {}
        for name, placed in zip(names, pool.map(write, range(len(names))), strict=True):
            particles[name] = placed
            elapsed = time.monotonic() - start
            print(f"{name}: {len(placed)} particles, {elapsed:.0f} s", flush=True)
    simulation.write_truth(options.out, particles, halves=options.halves)
    print(f"{options.out / 'image_list.txt'} lists {len(names)} tomograms")


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to write to")
    add("--templates", type=Path, default=PROJECT.parent / "shared/data/templates")
    add("--tomograms", type=int, default=8)
    add("--size", type=int, nargs=3, default=(256, 256, 128), metavar=("X", "Y", "Z"))
    add("--seed", type=int, default=1)
    add("--noise", choices=tuple(DOSE), default="low", help=f"dose in e/A^2: {DOSE}")
    add("--dose", type=float, help="of the whole series [e/A^2], instead of --noise")
    add("--defocus", type=float, default=3.0, help="[um]")
    add("--gold", type=int, default=0, help="beads of 10 nm in each tomogram")
    add("--hot", type=float, default=0.0, help="share of the pixels that are hot")
    add("--halves", action="store_true", help="write rec_even and rec_odd too")
    add("--workers", type=int, default=os.cpu_count(), help="tomograms at once")
    return parser.parse_args()


def load_templates(folder):
    """Return the potential above ice of each protein, by its PDB code.

    Parameters
    ----------
    folder : path-like
        Where ``proteins_10A.npz`` lies.

    Returns
    -------
    dict of str to ndarray of float32
        (z, y, x) at 10 A per voxel [V].

    Raises
    ------
    InputError
        When the templates are not there.
    """
    path = Path(folder) / "proteins_10A.npz"
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; the realistic simulation needs the protein "
            "densities of that file: give its folder by --templates, or use the "
            "shapes of sample_data/make_synthetic.py, which need no file"
        )
    with np.load(path) as stored:
        return {
            kind: stored[kind].astype(np.float32) * (TEMPLATE_SCALE * VOLT_PER_UNIT)
            for kind in (*LABELED, *CROWDERS)
        }


def write_simulated(
    folder,
    templates,
    number,
    *,
    seed,
    shape,
    angles,
    dose,
    defocus,
    gold=0,
    hot=0.0,
    halves=False,
):
    """Simulate one tomogram, write its files, return its particles.

    Parameters
    ----------
    folder : pathlib.Path
    templates : dict of str to ndarray
        As from `load_templates`.
    number : int
        Of the tomogram; with the seed it decides everything random.
    seed : int
    shape : tuple of int
        (Z, Y, X) [voxels].
    angles : ndarray, shape (T,)
        [degrees]
    dose : float
        Of the whole series [e/A^2].
    defocus : float
        Positive is underfocus [A].
    gold : int
        Beads; the particles lie where they do without.
    hot : float
        Share of the pixels that are hot.
    halves : bool
        Write the reconstructions of even and of odd tilts as well.

    Returns
    -------
    list of simulation.Particle
    """
    rng = np.random.default_rng([seed, number])
    faults = np.random.default_rng([seed, number, 1])
    name = f"sim_{number:02d}"
    depth = shape[0] * 3 // 4
    potential, particles = fill_with_proteins(templates, shape, depth, rng)
    beads, centers = place_gold(gold, potential, depth, faults)
    potential += beads * (GOLD_POTENTIAL - potential)
    matrix = simulation.projection_matrix(
        angles, shape[0], shape[2], simulation.Z_SIGN["xzy"]
    )
    counts = expose(
        simulation.project(potential, matrix) * VOXEL_SIZE,
        angles,
        pixel_size=VOXEL_SIZE,
        thickness=depth * VOXEL_SIZE,
        dose=dose,
        defocus=defocus,
        rng=rng,
        opacity=simulation.project(beads, matrix) * (VOXEL_SIZE / GOLD_PATH),
    )
    spoilt = faults.random(counts.shape, np.float32) < hot
    counts[spoilt] = counts.mean() * faults.uniform(*HOT, spoilt.sum())
    flat = counts / counts.mean(axis=(1, 2), keepdims=True)
    simulation.write_tomogram(
        folder,
        name,
        simulation.back_project(flat, matrix),
        flat,
        angles,
        "xzy",
        VOXEL_SIZE,
    )
    for first, suffix in enumerate(simulation.HALVES if halves else ()):
        part = simulation.projection_matrix(
            angles[first::2], shape[0], shape[2], simulation.Z_SIGN["xzy"]
        )
        half = simulation.back_project(flat[first::2], part)
        simulation.write_volume(
            folder / f"{name}{suffix}", half.transpose(1, 0, 2), VOXEL_SIZE
        )
    if gold:
        np.savetxt(folder / f"{name}.beads.txt", centers, "%.2f")
    return particles


def place_gold(count, potential, depth, rng):
    """Place beads in the ice, where no protein is.

    Parameters
    ----------
    count : int
    potential : ndarray, shape (Z, Y, X)
        Of the proteins.
    depth : int
        Of the ice [voxels].
    rng : numpy.random.Generator

    Returns
    -------
    share : ndarray of float32, shape (Z, Y, X)
        Of each voxel that is gold.
    centers : ndarray, shape (N, 3)
        (x, y, z) [voxels]; fewer than `count` where there is no room.
    """
    share = np.zeros_like(potential)
    radius = GOLD_RADIUS / VOXEL_SIZE
    shape = np.array(potential.shape)
    low = np.array([(shape[0] - depth) / 2 + radius, GOLD_INSIDE, GOLD_INSIDE])
    centers = []
    for center in rng.uniform(low, shape - low, (GOLD_ATTEMPTS * count, 3)):
        corner = np.floor(center - radius - 1).astype(int)
        box = tuple(slice(c, c + int(2 * radius) + 4) for c in corner)
        grid = np.stack(np.mgrid[box], axis=-1)
        bead = np.clip(radius + 0.5 - np.linalg.norm(grid - center, axis=-1), 0, 1)
        if not (share[box] + potential[box])[bead > 0].any():
            share[box] += bead
            centers.append(center[::-1])
        if len(centers) == count:
            break
    return share, np.array(centers).reshape(-1, 3)


def fill_with_proteins(templates, shape, depth, rng):
    """Place labeled proteins and crowders, as many as belong into the volume."""
    area = shape[1] * shape[2] * depth / (256 * 256 * 96)
    renderers = {kind: partial(rotated, templates[kind]) for kind in templates}
    order = []
    for kind, number in {**LABELED, **CROWDERS}.items():
        order += [kind] * round(number * area)
    potential, particles = simulation.place_particles(
        renderers, order, shape, depth, rng
    )
    relabeled = [
        simulation.Particle(CROWDER if p.kind in CROWDERS else p.kind, p.position)
        for p in particles
    ]
    return potential, relabeled


def rotated(template, rng):
    """Turn a template at random about its center of mass, off the voxel grid."""
    center = np.array(ndimage.center_of_mass(template))
    corners = np.argwhere(template > 0.05 * template.max()) - center
    half = int(np.ceil(np.sqrt((corners**2).sum(axis=1).max()))) + 2
    turn = Rotation.random(None, rng).as_matrix()
    target = half + rng.uniform(-0.5, 0.5, 3)
    density = ndimage.affine_transform(
        template, turn, center - turn @ target, (2 * half + 1,) * 3, order=3
    )
    density[density < simulation.EMPTY * template.max()] = 0
    return density, target


if __name__ == "__main__":
    run_script(main)
