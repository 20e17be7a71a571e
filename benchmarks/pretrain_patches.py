"""Simulated tomograms of procedural kinds, and the labeled patches cut from them.

Every tomogram has its own kinds, voxel size, dose, defocus, thickness and tilt range;
membranes, filaments and gold lie among the particles. It goes through files and the
code of the project, so that the patches are those of a user's data.
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import expit

from benchmarks.image_formation import expose
from benchmarks.pretrain_kinds import PROTEIN, at_voxel_size, make_kind
from benchmarks.simulate import GOLD_PATH, GOLD_POTENTIAL, place_gold, rotated
from lib.candidates.dog import find_candidates
from lib.inputs.tomogram import Tomogram
from lib.modes import SIMSIAM2D3D, SIMSIAM3D
from lib.patches.options import PatchOptions
from lib.patches.tomogram_data import load_tomogram
from lib.patches.views import PatchOffset, cut_views, fits_all
from lib.run.candidate_options import PatchSettings
from sample_data import simulation

# Few, because a kind at another voxel size is another class: sizes tell kinds apart
# within one data set.
VOXEL_SIZES = (8.0, 10.0, 12.5, 15.0)  # [A]
SIZE = 224  # in x and y [voxels]
BOX, CONTEXT = 36, 10  # of the stored patches [px]
KINDS_PER_TOMOGRAM = 14
PROTEINS_PER_TOMOGRAM = 3  # of the real ones, among them
COPIES = 2  # patches of a particle, each a little off its center
OFF_CENTER = 1.3  # std of what a candidate is off in each axis [voxels]
LIPID = 0.6  # of the potential of protein
BACKGROUND = "ice"
FAINT = 0.2  # potential of what nobody sees [V]
HERE = (0, 0, 0)
OFFSETS = (PatchOffset(HERE), PatchOffset(HERE, "odd"), PatchOffset(HERE, "even"))
VIEWS = ("tilt", "tilt_odd", "tilt_even", "slab", "thick_slab")


@dataclass(frozen=True)
class Recording:
    """How one tomogram is recorded; drawn at random."""

    voxel_size: float  # [A]
    depth: int  # of the volume [voxels]
    ice: float  # share of the depth
    dose: float  # of the series [e/A^2]
    defocus: float  # [A]
    angles: np.ndarray  # [degrees]
    gold: int
    gauss: float  # [voxels]

    @classmethod
    def draw(cls, rng):
        """Draw one within what people record."""
        most = rng.uniform(48, 62)
        return cls(
            voxel_size=float(rng.choice(VOXEL_SIZES)),
            depth=int(rng.integers(40, 57)) * 2,
            ice=float(rng.uniform(0.6, 0.85)),
            dose=float(np.exp(rng.uniform(*np.log((30.0, 160.0))))),
            defocus=float(rng.uniform(1.5, 6.0)) * 1e4,
            angles=np.arange(-most, most + 0.1, rng.choice([2.0, 3.0, 3.0])),
            gold=int(rng.choice([0, 0, 6])),
            gauss=float(rng.choice([0.5, 0.8, 0.8])),
        )


def make_patches(number, *, seed, kinds, proteins=None):
    """Simulate one tomogram and cut the patches of its particles.

    Parameters
    ----------
    number, seed : int
        Decide everything random.
    kinds : range
        Numbers of the procedural kinds to choose from.
    proteins : dict of str to ndarray, optional
        Densities at 10 A per voxel, chosen from as well.

    Returns
    -------
    dict
        ``patches`` uint8 (N, 5, S, S), see `VIEWS`; ``kind`` str (N,), with the voxel
        size but for ice; ``particle`` int (N,): rows of one particle have one number.
    """
    rng = np.random.default_rng([seed, number])
    recording = Recording.draw(rng)
    potential, particles = _specimen(recording, rng, kinds, proteins or {})
    options = PatchOptions(
        mode=SIMSIAM2D3D.name, box=BOX, gauss=recording.gauss, tilt_range=40.0
    )
    with tempfile.TemporaryDirectory() as folder:
        _record(Path(folder), recording, potential, rng)
        tomogram = Tomogram.from_files(
            Path(folder) / "t.rec",
            "xzy",
            tilt_path=Path(folder) / "t.ali",
            angle_path=Path(folder) / "t.tlt",
        )
        data = load_tomogram(tomogram, options, threads=1)
    positions = np.array([p.position for p in particles])
    names = np.array([f"{p.kind}@{recording.voxel_size:g}" for p in particles])
    ice = _background(data, potential, rng)
    names = np.concatenate([names, np.full(len(ice), BACKGROUND)])
    centers = np.concatenate([positions, ice])
    index = np.repeat(np.arange(len(centers)), COPIES)
    off = rng.normal(0, OFF_CENTER, (len(index), 3))
    spots = np.rint(centers[index] + off).astype(int)
    whole = fits_all(data, spots, box=BOX, mode=SIMSIAM2D3D.name, offsets=OFFSETS)
    whole &= fits_all(data, spots, box=BOX, mode=SIMSIAM3D.name, offsets=OFFSETS[:1])
    spots, index = spots[whole], index[whole]
    both = partial(cut_views, data, spots, box=BOX, context=CONTEXT)
    tilts = both(mode=SIMSIAM2D3D.name, offsets=OFFSETS)
    thick = both(mode=SIMSIAM3D.name, offsets=OFFSETS[:1])
    patches = [tilts[:, 0, 0], tilts[:, 1, 0], tilts[:, 2, 0], tilts[:, 0, 1]]
    return {
        "patches": np.stack([*patches, thick[:, 0, 0]], axis=1),
        "kind": names[index],
        "particle": index,
    }


def _specimen(recording, rng, kinds, proteins):
    """Return the potential above ice (Z, Y, X) and all labeled particles."""
    shape = (recording.depth, SIZE, SIZE)
    depth = int(recording.depth * recording.ice)
    voxel_size = recording.voxel_size
    scenery, labeled = _scenery(shape, depth, voxel_size, rng)
    chosen = {}
    for number in rng.choice(np.array(kinds), KINDS_PER_TOMOGRAM, replace=False):
        kind = make_kind(int(number))
        chosen[kind.name] = kind.render(voxel_size)
    names = sorted(proteins)
    for name in rng.permutation(names)[:PROTEINS_PER_TOMOGRAM].tolist():
        chosen[name] = at_voxel_size(proteins[name], voxel_size)
    order, crowd = [], np.exp(rng.uniform(*np.log((0.5, 2.0))))
    for name, density in sorted(chosen.items(), key=lambda item: -_volume(item[1])):
        count = np.clip(4000 / _volume(density) ** 0.8, 5, 16) * crowd
        order += [name] * int(count)
    renderers = {name: partial(rotated, chosen[name]) for name in chosen}
    potential, particles = simulation.place_particles(
        renderers, order, shape, depth, rng, attempts=60, obstacles=scenery > 0.1
    )
    return potential + scenery, [*particles, *labeled]


def _volume(density):
    return max(1, int((density > 0.3 * density.max()).sum()))


def _scenery(shape, depth, voxel_size, rng):
    """Return membranes and filaments as potential, and labeled points on them."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    low, high = (shape[0] - depth) / 2, (shape[0] + depth) / 2
    total, labeled = np.zeros(shape, np.float32), []

    def add(part, kind, count):
        nonlocal total
        part = np.where((z >= low) & (z < high), part, 0).astype(np.float32)
        total = np.maximum(total, part)
        inside = np.argwhere(part > 0.5 * part.max())
        if part.max() > 0 and len(inside):
            for point in rng.choice(inside, min(count, len(inside)), replace=False):
                labeled.append(simulation.Particle(kind, tuple(point[::-1].tolist())))

    for _ in range(rng.integers(0, 3)):
        center = rng.uniform(0, 1, 3) * shape
        radius = np.exp(rng.uniform(*np.log((200.0, 2000.0))))
        distance = voxel_size * np.sqrt(
            (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
        )
        leaflets = sum(
            np.exp(-0.5 * ((distance - radius + side) / 8) ** 2) for side in (-20, 20)
        )
        add(PROTEIN * LIPID * leaflets, "membrane", 14)
    for _ in range(rng.integers(0, 3)):
        start, angle = rng.uniform(0.2, 0.8, 3) * shape, rng.uniform(0, np.pi)
        slope = rng.uniform(-0.15, 0.15)
        dy, dx = y - start[1], x - start[2]
        along = dy * np.sin(angle) + dx * np.cos(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        distance = voxel_size * np.sqrt((z - start[0] - slope * along) ** 2 + across**2)
        if rng.random() < 0.4:
            tube = np.exp(-0.5 * ((distance - 105) / 15) ** 2)
            add(PROTEIN * 0.8 * tube, "microtubule", 10)
        else:
            add(PROTEIN * 0.8 * expit((32 - distance) / 4), "filament", 10)
    return total, labeled


def _record(folder, recording, potential, rng):
    """Write the tilt series and the tomogram of a specimen as files named t."""
    depth, voxel_size = int(recording.depth * recording.ice), recording.voxel_size
    beads, _ = place_gold(recording.gold, potential, depth, rng)
    potential = potential + beads * (GOLD_POTENTIAL - potential)
    matrix = simulation.projection_matrix(
        recording.angles, len(potential), SIZE, simulation.Z_SIGN["xzy"]
    )
    counts = expose(
        simulation.project(potential, matrix) * voxel_size,
        recording.angles,
        pixel_size=voxel_size,
        thickness=depth * voxel_size,
        dose=recording.dose,
        defocus=recording.defocus,
        rng=rng,
        opacity=simulation.project(beads, matrix) * (voxel_size / GOLD_PATH),
    )
    flat = counts / counts.mean(axis=(1, 2), keepdims=True)
    simulation.write_tomogram(
        folder,
        "t",
        simulation.back_project(flat, matrix),
        flat,
        recording.angles,
        "xzy",
        voxel_size,
    )


def _background(data, potential, rng, apart=9, count=40):
    """Return candidates (N, 3) of the usual search with nothing but ice around."""
    found = find_candidates(
        data.volume,
        PatchSettings.sigmas,
        box=BOX,
        diameter=PatchSettings.dog_diameter,
        boundary=20,
        std_multiplier=PatchSettings.dog_std_multiplier,
        masked=data.masked,
        threads=1,
    ).coords
    found = found[rng.permutation(len(found))]
    empty = [
        spot
        for spot in found
        if potential[
            tuple(slice(max(0, c - apart), c + apart + 1) for c in spot[::-1])
        ].max()
        < FAINT
    ]
    return np.array(empty[:count], float).reshape(-1, 3)
