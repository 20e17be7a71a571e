r"""Count the labeled particles that have a candidate, class by class.

    python sample_data/make_synthetic.py --out shapes --tomograms 3 --size 256 256 96
    python benchmarks/candidate_recall.py shapes --dog 1.2,2.5,4,6,9 \
        --dog_std_multiplier -0.8

Searches the tomograms of labeled sets (of `sample_data/make_synthetic.py` or
`benchmarks/simulate.py`) as training would, and prints recall and precision; or what
faults of the tomograms cost (see `benchmarks/disturb.py`):

    python benchmarks/candidate_recall.py sim --disturb fill:-8 fill:zero gold hot
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.disturb import TOLD, disturb
from benchmarks.quality_labels import REACH, read_truth
from benchmarks.quality_metrics import match, recall_by_class
from benchmarks.quality_tables import machine
from lib.candidates.dog import find_candidates
from lib.candidates.masking import find_masked
from lib.errors import OptionError, run_script
from lib.inputs.tomogram import Tomogram
from lib.patches.tomogram_data import preprocess_tomogram
from lib.run.candidate_options import PatchSettings
from lib.run.options import RunOptions
from lib.run.record import RunRecord, TomogramRecord

WITHIN = 6.0  # of a particle's center is found well [voxels]
BORDER = 5.0  # from fill or gold lies on its border [voxels]


def main():
    """Search every tomogram, then print the table."""
    options = _options()
    found = {}
    for folder in options.sets:
        if not (folder / "particles.csv").is_file():
            raise OptionError(
                f"{folder} has no particles.csv; name folders that "
                "sample_data/make_synthetic.py or benchmarks/simulate.py wrote"
            )
        for path in sorted(folder.glob("*.rec")):
            if not options.tomograms or path.stem in options.tomograms:
                found[folder, path.stem] = _search(path, options)
    if not found:
        raise OptionError(
            f"no .rec file to search in {', '.join(map(str, options.sets))}; "
            "see --tomograms"
        )
    if options.disturb:
        _compare(found, options)
        return
    names, candidates, kinds, particle_names, particles = _gather(found, options)
    matches = match(names, candidates, particle_names, particles, REACH)
    print("| class | particles | within 6 | within 10 |\n|:--|:--|:--|:--|")
    near, far = (recall_by_class(matches, kinds, r) for r in (WITHIN, REACH))
    for kind in near:
        print(
            f"| {kind} | {(kinds == kind).sum()} | {near[kind]:.2f} | {far[kind]:.2f} |"
        )
    print(
        f"\n{len(particles)} particles in {len(found)} tomograms, "
        f"{len(candidates) / len(particles):.2f} candidates a particle, "
        f"{(matches.particle >= 0).mean():.2f} of them within 10 voxels of one"
    )
    _sign()


def _sign():
    command = f"python benchmarks/candidate_recall.py {' '.join(sys.argv[1:])}"
    print(f"\n`{command}`, {machine()}")


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", type=Path, help="folders with particles.csv")
    add("--tomograms", nargs="+", help="of the sets (default: all)")
    add("--dog", default="3,5")
    add("--dog_std_multiplier", type=float, default=0.5)
    add("--bbox", type=int, default=36)
    add("--dog_boundary", type=int, default=30)
    add("--order", default="xzy")
    add("--disturb", nargs="+", metavar="FAULT", help=TOLD)
    return parser.parse_args()


def _search(path, options):
    raw = Tomogram.from_files(path, options.order).read_voxels()
    coords, _ = _search_volume(raw, options)
    return raw.shape, coords


def _search_volume(raw, options):
    masked = find_masked(raw)
    coords = find_candidates(
        preprocess_tomogram(raw, 0.8, masked=masked),
        [float(sigma) for sigma in options.dog.split(",")],
        box=options.bbox,
        diameter=PatchSettings.dog_diameter,
        boundary=options.dog_boundary,
        std_multiplier=options.dog_std_multiplier,
        masked=masked,
    ).coords
    return coords, masked


def _compare(found, options):
    """Print what faults cost, of the particles that they do not cover."""
    print(
        "| fault | particles not covered | recall without | with | share kept | "
        "candidates | on borders | beads found |\n|:--|:--|:--|:--|:--|:--|:--|:--|"
    )
    for fault in options.disturb:
        before, after, borders, beads = [], [], [], 0
        for (folder, name), (shape, coords) in found.items():
            raw, distance = disturb(folder / f"{name}.rec", fault, options.order)
            disturbed, masked = _search_volume(raw, options)
            beads += masked.gold if masked else 0
            particles = _particles(folder, {name: shape}, options).positions
            free = particles[distance(particles) >= WITHIN]
            before += list(cKDTree(coords).query(free)[0] <= WITHIN)
            after += list(cKDTree(disturbed).query(free)[0] <= WITHIN)
            borders += list(distance(disturbed) <= BORDER)
        print(
            f"| {fault} | {len(before)} | {np.mean(before):.3f} | {np.mean(after):.3f} "
            f"| {np.mean(after) / np.mean(before):.3f} | {len(borders)} "
            f"| {np.mean(borders):.3f} | {beads} |",
            flush=True,
        )
    _sign()


def _particles(folder, shapes, options):
    margins = PatchSettings(dog_boundary=options.dog_boundary, box=options.bbox)
    record = RunRecord(
        options=RunOptions(patches=margins),
        tomograms={name: TomogramRecord(shape=shape) for name, shape in shapes.items()},
    )
    return read_truth(folder, record)


def _gather(found, options):
    """Join the sets; a tomogram is known by its folder and name."""
    names = [
        f"{folder}/{name}" for (folder, name), (_, at) in found.items() for _ in at
    ]
    candidates = np.concatenate([coords for _, coords in found.values()])
    kinds, particle_names, particles = [], [], []
    for folder in options.sets:
        shapes = {
            name: shape for (of, name), (shape, _) in found.items() if of == folder
        }
        truth = _particles(folder, shapes, options)
        kinds += list(truth.classes)
        particle_names += [f"{folder}/{name}" for name in truth.names]
        particles += list(truth.positions)
    return names, candidates, np.array(kinds), particle_names, np.array(particles)


if __name__ == "__main__":
    run_script(main)
