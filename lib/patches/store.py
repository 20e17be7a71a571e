"""The patch store: what the network sees of every candidate, 8-bit, on disk.

One shard a tomogram, memory-mapped, so that memory does not grow with the number
of tomograms. `lib.patches.preparation` writes the shards.
"""

import json
from dataclasses import dataclass

import numpy as np

from lib.patches.mapped import map_bytes


@dataclass(frozen=True)
class Shard:
    """The patches of one tomogram.

    Attributes
    ----------
    patches : ndarray of uint8, shape (N, P, V, S, S)
        Memory-mapped; see `lib.patches.views.cut_views`.
    coords : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels].
    facts : dict
        name, rec_path, shape (of the file, Z, Y, X), voxel_size, order, z_sign,
        patch_shape, left_out (candidates without a full patch), and for the
        normalisation the sums over the boxes: pixels, total and squares a view.
    """

    patches: np.ndarray
    coords: np.ndarray
    facts: dict

    @classmethod
    def load(cls, folder):
        """Open a finished shard."""
        facts = json.loads((folder / "facts.json").read_text())
        coords = np.load(folder / "coords.npy")
        shape = (len(coords), *facts["patch_shape"])
        if not len(coords):
            return cls(np.zeros(shape, np.uint8), coords, facts)
        return cls(map_bytes(folder / "patches.u8", shape), coords, facts)


class PatchStore:
    """The shards of all tomograms of a list, as one table of candidates.

    Parameters
    ----------
    shards : list of Shard
        In the order of the image list.
    options : PatchOptions
    """

    def __init__(self, shards, options):
        self.shards = shards
        self.options = options
        self.starts = np.cumsum([0] + [len(shard.coords) for shard in shards])
        self.coords = np.concatenate([shard.coords for shard in shards])
        self.names = np.repeat(
            [shard.facts["name"] for shard in shards], np.diff(self.starts)
        )

    def __len__(self):
        return int(self.starts[-1])

    @property
    def nbytes(self):
        """Bytes of all patches."""
        return sum(shard.patches.nbytes for shard in self.shards)

    def normalisation(self):
        """Return mean and std of each view's pixels, scaled to 0..1.

        Returns
        -------
        mean, std : list of float, length V
        """
        pixels = sum(shard.facts["pixels"] for shard in self.shards)
        total = np.sum([shard.facts["total"] for shard in self.shards], axis=0)
        squares = np.sum([shard.facts["squares"] for shard in self.shards], axis=0)
        mean = total / pixels
        std = np.sqrt(squares / pixels - mean**2)
        return (mean / 255).tolist(), (std / 255).tolist()

    def gather(self, rows, places):
        """Copy patches out of the store.

        Parameters
        ----------
        rows : ndarray of int, shape (B,)
            Candidates.
        places : ndarray of int, shape (B,)
            Numbers of places; see `lib.patches.views.Pairing`.

        Returns
        -------
        ndarray of uint8, shape (B, V, S, S)
        """
        edge = self.options.edge
        batch = np.empty((len(rows), self.options.views, edge, edge), np.uint8)
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(owner):
            here = owner == number
            local = rows[here] - self.starts[number]
            batch[here] = self.shards[number].patches[local, places[here]]
        return batch
