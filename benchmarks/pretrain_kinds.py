"""Procedural kinds of particle, by the hundred: what weights are trained on.

A kind is a set of balls of protein: domains along a random walk, copied by a point
group. Sizes, symmetries, hollow shells, rods and necklaces of domains vary; equal
numbers give equal kinds. Densities are potentials above ice [V], (z, y, x).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.simulate import TEMPLATE_SCALE, VOLT_PER_UNIT, VOXEL_SIZE

PROTEIN = 3.5  # above ice [V]
SOFT = 5.0  # width of the surface of a ball [A]
SEED = 20_251  # of all kinds: another seed gives other kinds
RADIUS = (45.0, 165.0)  # of a kind [A]
STYLES = {"globule": 0.25, "oligomer": 0.35, "shell": 0.15, "rod": 0.15, "chain": 0.1}
GROUPS = {
    "globule": ("C1",),
    "oligomer": tuple(f"C{n}" for n in range(2, 9)) + ("D2", "D3", "D4", "T", "O"),
    "shell": ("T", "O", "I"),
    "rod": ("C6", "C7", "D3", "D4", "D6", "D7"),
    "chain": ("C1", "C2"),
}


@dataclass(frozen=True)
class Kind:
    """Balls of protein.

    Attributes
    ----------
    name : str
    centers : ndarray, shape (B, 3)
        (z, y, x) about the center of mass [A].
    radii : ndarray, shape (B,)
        [A]
    density : float
        Share of the potential of a compact protein.
    """

    name: str
    centers: np.ndarray
    radii: np.ndarray
    density: float

    @property
    def radius(self):
        """Of the smallest ball about the center of mass that holds all [A]."""
        return float((np.linalg.norm(self.centers, axis=1) + self.radii).max())

    def render(self, voxel_size):
        """Return the density on a grid of `voxel_size` [A], centered."""
        half = int(np.ceil((self.radius + SOFT) / voxel_size)) + 1
        axis = np.arange(-half, half + 1) * voxel_size
        volume = np.zeros((2 * half + 1,) * 3, np.float32)
        for center, radius in zip(self.centers, self.radii, strict=True):
            reach = radius + 3 * SOFT
            box = tuple(
                slice(*np.searchsorted(axis, (c - reach, c + reach))) for c in center
            )
            z, y, x = np.meshgrid(*(axis[part] for part in box), indexing="ij")
            distance = np.sqrt(
                (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
            )
            ball = 1 / (1 + np.exp((distance - radius) / (SOFT / 2)))
            np.maximum(volume[box], ball, out=volume[box])
        return volume * (PROTEIN * self.density)


def make_kind(number, seed=SEED):
    """Return the kind of a number.

    Parameters
    ----------
    number : int
    seed : int
        Of the family.

    Returns
    -------
    Kind
    """
    rng = np.random.default_rng([seed, number])
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    radius = float(np.exp(rng.uniform(*np.log(RADIUS))))
    group = Rotation.create_group(str(rng.choice(GROUPS[style])))
    ball = radius * rng.uniform(0.22, 0.42)
    if len(group) > 12:
        ball = radius * rng.uniform(0.15, 0.28)
    unit = _walk(rng, max(1, round(rng.integers(3, 12) / len(group) ** 0.3)), ball)
    if style == "shell":
        unit *= 0.6
        unit += rng.normal(size=3) * 1e-3 + [radius - ball, 0, 0]
    elif style == "rod":
        unit += [rng.uniform(0.2, 0.8) * radius, rng.uniform(0.25, 0.45) * radius, 0]
    elif style == "oligomer":
        direction = rng.normal(size=3)
        unit += direction / np.linalg.norm(direction) * radius * rng.uniform(0.2, 0.5)
    elif style == "chain":
        unit[:, 0] *= rng.uniform(1.5, 2.5)
    centers = np.concatenate([unit @ turn.T for turn in _matrices(group)])
    if style == "rod":
        centers[:, 2] *= rng.uniform(1.2, 1.8)
    radii = np.tile(ball * rng.uniform(0.6, 1.2, len(unit)), len(group))
    centers -= np.average(centers, axis=0, weights=radii**3)
    scale = radius / (np.linalg.norm(centers, axis=1) + radii).max()
    return Kind(
        f"p{seed}_{number}", centers * scale, radii * scale, rng.uniform(0.75, 1.15)
    )


def _walk(rng, steps, ball):
    """Return centers (steps, 3) of balls that touch, about their middle."""
    centers = [np.zeros(3)]
    while len(centers) < steps:
        direction = rng.normal(size=3)
        start = centers[rng.integers(len(centers))]
        centers.append(start + direction / np.linalg.norm(direction) * 1.3 * ball)
    return np.array(centers) - np.mean(centers, axis=0)


def _matrices(group):
    return group.as_matrix().reshape(-1, 3, 3)


def load_more_proteins(path):
    """Return densities at 10 A per voxel of the proteins kept for training.

    Parameters
    ----------
    path : path-like
        ``proteins_10A_more.npz``.

    Returns
    -------
    dict of str to ndarray
        Empty where there is no such file.
    """
    if not Path(path).is_file():
        return {}
    with np.load(path) as stored:
        return {
            name: stored[name].astype(np.float32) * (TEMPLATE_SCALE * VOLT_PER_UNIT)
            for name in stored
        }


def at_voxel_size(template, voxel_size):
    """Sample a density of 10 A per voxel at another voxel size."""
    return ndimage.zoom(template, VOXEL_SIZE / voxel_size, order=1)
