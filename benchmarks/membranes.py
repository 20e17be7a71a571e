"""Particles on simulated membranes: what a mask of the membranes changes.

    python benchmarks/membranes.py --work membranes --seed 11

Vesicles in ice, proteins that touch their membranes, others and crowders between them.
The mask is the membrane that was put in. Prints recall of the particles on membranes
(a candidate within 6 voxels) and the number of candidates, with the search alone and
with candidates within a distance of the mask, at two thresholds.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import mrcfile
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import simulate
from benchmarks.image_formation import expose
from lib.errors import run_script
from sample_data import simulation

ON_MEMBRANES = ("3j9i", "7n4y", "1f4a", "6pxm")  # labeled kinds of 10 to 16 nm
SHAPE = (96, 256, 256)  # (Z, Y, X) [voxels]
DEPTH = 80  # of the ice [voxels]
VESICLES = 10
RADIUS = (18, 32)  # of a vesicle [voxels]
HALF = 2.0  # of the thickness of a membrane [voxels]
LEAFLET, MIDDLE = 2.0, 0.5  # potential above ice [V]
EACH = 30  # particles on a vesicle that are tried
STEPS = np.arange(3, 16)  # distances from the membrane that are tried [voxels]
NEAR = 6  # voxels: a candidate this near has found a particle
REACH = 16.0  # of the mask, in which candidates are kept [voxels]
ANGLES = np.arange(-60.0, 61.0, 3.0)


def main():
    """Simulate, search and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True)
    add("--templates", type=Path, default=simulate.PROJECT.parent / "shared/data")
    add("--tomograms", type=int, default=2)
    add("--seed", type=int, default=11)
    add("--noise", choices=tuple(simulate.DOSE), default="low")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    templates = simulate.load_templates(options.templates)
    bound = {
        f"sim_{n:02d}": write_one(options, templates, n)
        for n in range(options.tomograms)
    }
    names = list(bound)
    lines = ["image_name\trec_path\tmask_path"]
    lines += [f"{name}\t{name}.rec\t{name}_membrane.mrc" for name in names]
    listed = options.work / "image_list.txt"
    listed.write_text("\n".join(lines) + "\n")
    print("| candidates | threshold | number | on membranes | recall there |")
    print("|:--|:--|:--|:--|:--|")
    for chosen in ({}, {"mask_distance": REACH}):
        for threshold in (0.5, -0.5):
            tell(listed, bound, threshold, chosen, options)


def tell(listed, bound, threshold, chosen, options):
    """Search one way, and print a row of the table."""
    from lib.inputs.image_list import read_image_list
    from lib.patches.options import PatchOptions
    from lib.patches.preparation import prepare_candidates

    settings = PatchOptions(
        "simsiam3d", 24, (3, 5), dog_std_multiplier=threshold, **chosen
    )
    tomograms = read_image_list(
        listed,
        project=options.work,
        needs_tilts=False,
        order="xzy",
        optional=("mask_path",),
    )
    found = prepare_candidates(tomograms, settings, cache=options.work / "cache")
    hits = total = near = count = 0
    for entry in found:
        there = inside(bound[entry.metadata.name], settings)
        distance, _ = cKDTree(entry.coords).query(there)
        hits, total = hits + (distance <= NEAR).sum(), total + len(there)
        distance, _ = cKDTree(there).query(entry.coords)
        near, count = near + (distance <= NEAR).sum(), count + len(entry.coords)
    where = f"within {REACH:g} voxels of the mask" if chosen else "all"
    print(
        f"| {where} | {threshold} | {count:,} | {near / count:.2f} of them | "
        f"{hits / total:.3f} of {total} |"
    )


def inside(positions, settings):
    """Return the particles within the margins, where candidates can be."""
    from lib.candidates.dog import margins

    margin = margins(SHAPE, boundary=settings.dog_boundary, box=settings.box)
    low, size = np.array(margin[::-1]), np.array(SHAPE[::-1])
    return positions[((positions >= low) & (positions < size - low)).all(axis=1)]


def write_one(options, templates, number):
    """Simulate a tomogram, write it and its mask; return who is on membranes."""
    rng = np.random.default_rng([options.seed, number])
    membrane, potential, bodies = place_vesicles(rng)
    taken = membrane.copy()
    bound = place_on(bodies, templates, potential, taken, rng)
    kinds = {**simulate.LABELED, **simulate.CROWDERS}
    order = [k for k, n in kinds.items() if k != "8tux" for _ in range(n // 3)]
    renderers = {k: partial(simulate.rotated, templates[k]) for k in kinds}
    others, _ = simulation.place_particles(
        renderers, order, SHAPE, DEPTH, rng, obstacles=taken
    )
    matrix = simulation.projection_matrix(
        ANGLES, SHAPE[0], SHAPE[2], simulation.Z_SIGN["xzy"]
    )
    counts = expose(
        simulation.project(potential + others, matrix) * simulate.VOXEL_SIZE,
        ANGLES,
        pixel_size=simulate.VOXEL_SIZE,
        thickness=DEPTH * simulate.VOXEL_SIZE,
        dose=simulate.DOSE[options.noise],
        defocus=3e4,
        rng=rng,
        opacity=np.zeros((len(ANGLES), *SHAPE[1:]), np.float32),
    )
    flat = counts / counts.mean(axis=(1, 2), keepdims=True)
    name, volume = f"sim_{number:02d}", simulation.back_project(flat, matrix)
    path = options.work / f"{name}.rec"
    simulation.write_volume(path, volume.transpose(1, 0, 2), simulate.VOXEL_SIZE)
    with mrcfile.new(options.work / f"{name}_membrane.mrc", overwrite=True) as file:
        labels = membrane.astype(np.int8).transpose(1, 0, 2)
        file.set_data(np.ascontiguousarray(labels))
    return bound


def place_vesicles(rng):
    """Return the voxels of membranes, their potential, and (center, radius) of each."""
    grid = np.stack(np.indices(SHAPE, dtype=np.float32), axis=-1)
    membrane, potential, bodies = np.zeros(SHAPE, bool), np.zeros(SHAPE, "f4"), []
    for _ in range(500):
        radius = rng.uniform(*RADIUS)
        low = np.array([(SHAPE[0] - DEPTH) / 2 + radius, 40, 40])
        center = rng.uniform(low, np.array(SHAPE) - low)
        apart = [np.linalg.norm(center - c) - r - radius for c, r in bodies]
        if apart and min(apart) < 2 * STEPS[-1]:
            continue
        bodies.append((center, radius))
        depth = np.abs(np.linalg.norm(grid - center, axis=-1) - radius)
        membrane |= depth <= HALF
        level = np.where(depth >= HALF / 2, LEAFLET, MIDDLE)
        potential = np.where(depth <= HALF, level, potential).astype("f4")
        if len(bodies) == VESICLES:
            break
    return membrane, potential, bodies


def place_on(bodies, templates, potential, taken, rng):
    """Add particles that touch the vesicles from outside; return (x, y, z) of each."""
    bound = []
    for center, radius in bodies:
        for _ in range(EACH):
            kind = ON_MEMBRANES[rng.integers(len(ON_MEMBRANES))]
            density, middle = simulate.rotated(templates[kind], rng)
            solid = density > simulation.EMPTY * density.max()
            way = rng.normal(size=3)
            way /= np.linalg.norm(way)
            for step in STEPS:
                corner = np.rint(center + way * (radius + step) - middle).astype(int)
                if put(density, solid, corner, potential, taken):
                    bound.append((corner + middle)[::-1])
                    break
    return np.array(bound)


def put(density, solid, corner, potential, taken):
    """Add a density where there is room; return whether there was."""
    stop = corner + solid.shape
    floor = (SHAPE[0] - DEPTH) // 2
    if (corner < [floor, 0, 0]).any() or (stop > np.array(SHAPE) - [floor, 0, 0]).any():
        return False
    box = tuple(slice(a, b) for a, b in zip(corner, stop, strict=True))
    if (taken[box] & solid).any():
        return False
    potential[box] += density
    taken[box] |= ndimage.binary_dilation(solid)
    return True


if __name__ == "__main__":
    run_script(main)
