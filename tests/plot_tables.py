"""Tables of embeddings made in place: groups of directions, dots as patches."""

import numpy as np

from lib.artifacts import EmbeddingTable
from lib.run.record import RunRecord
from tests.mrc_files import write_mrc

SIZE = np.array([60, 50, 24])  # x, y, z of the tomograms the rows lie in


def make_table(rows=60, groups=3, record=None, seed=0):
    """Return a table whose row i belongs to group i % groups."""
    rng = np.random.default_rng(seed)
    directions = np.eye(128)[:groups]
    pred = directions[np.arange(rows) % groups] + 0.03 * rng.normal(size=(rows, 128))
    patches = rng.normal(size=(rows, 1, 12, 12))
    patches[:, 0, 4:8, 4:8] -= 4
    return EmbeddingTable(
        name=np.array([f"tomo{1 + i % 2}" for i in range(rows)]),
        coords=rng.integers(3, SIZE - 3, (rows, 3)),
        pred=pred.astype(np.float32),
        proj=rng.normal(size=(rows, 128)).astype(np.float32),
        subvol=patches.astype(np.float32),
        record=record or RunRecord(),
    )


def write_shown_tomogram(path, order="xzy"):
    """Write a tomogram that holds the candidates of `make_table`."""
    volume = np.random.default_rng(0).integers(-99, 99, SIZE[::-1], np.int8)
    return write_mrc(path, volume, order=order)
