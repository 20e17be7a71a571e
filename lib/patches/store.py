"""The patch store: what the network sees of every candidate, 8-bit, on disk.

One shard a tomogram, memory-mapped, so that memory does not grow with the number
of tomograms. `lib.patches.preparation` writes the shards; a shard is there and whole,
or not there, or was damaged by something else and is made again.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.artifacts import claim
from lib.errors import ArtifactError, user_files, warn
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
        normalization the sums over the boxes: pixels, total and squares a view.
        In a store rec_path is that of the image list at hand (the shard on disk keeps
        the one by which it was made, perhaps long ago), with file_bytes and file_time.
    """

    patches: np.ndarray
    coords: np.ndarray
    facts: dict

    @classmethod
    def find(cls, folder):
        """Open a shard.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        Shard or None
            None where there is none.

        Raises
        ------
        ArtifactError
            When it is damaged: a file is missing, cut off, or holds something else.
        ResourceError
            When it may not be read.
        """
        with user_files(folder):
            try:
                return cls._open(folder)
            except FileNotFoundError as error:
                if not (folder / "facts.json").exists():
                    return None
                reason = f"{Path(error.filename).name} is missing"
            except (ValueError, KeyError, TypeError, EOFError) as error:
                reason = str(error)
        raise ArtifactError(f"{folder} is damaged: {reason}")

    @classmethod
    def _open(cls, folder):
        facts = json.loads((folder / "facts.json").read_text())
        with (folder / "coords.npy").open("rb") as stream:
            coords = np.lib.format.read_array(stream, allow_pickle=False)
        if coords.shape[1:] != (3,):
            raise ValueError(f"coords.npy has the shape {coords.shape}")
        shape = (len(coords), *facts["patch_shape"])
        if not len(coords):
            return cls(np.zeros(shape, np.uint8), coords, facts)
        path = folder / "patches.u8"
        expected, found = math.prod(shape), path.stat().st_size
        if found != expected:
            raise ValueError(f"patches.u8 has {found:,} of {expected:,} bytes")
        return cls(map_bytes(path, shape), coords, facts)


def find_shards(folders, *, anew=False, quiet=False):
    """Return the shards that are there and whole, by folder.

    Parameters
    ----------
    folders : list of Path
    anew : bool
        Ask the server for those that are missing: over a network, what was looked at
        in vain may be remembered as missing for a minute. A claim makes it forget.
    quiet : bool
        Say nothing of damaged ones.
    """
    shards, damage = {}, []
    for folder in folders:
        try:
            shard = Shard.find(folder)
            if shard is None and anew:
                with claim(folder):
                    shard = Shard.find(folder)
        except ArtifactError as error:
            damage.append(str(error))
            continue
        if shard is not None:
            shards[folder] = shard
    if damage and not quiet:
        more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
        warn(f"{damage[0]}{more}; prepared again")
    return shards


def is_whole(folder):
    """Tell whether a folder holds a shard that can be read."""
    try:
        return Shard.find(folder) is not None
    except ArtifactError:
        return False


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

    def normalization(self):
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
            Numbers of places; see `lib.patches.views.PositivePairs`.

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
