"""The two kinds of entries in the cache: candidates of a tomogram, and their patches.

An entry is a folder. It is there and whole, or not there, or was damaged by something
else and is made again.
"""

import json
import math
import os
import time
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts import claim
from lib.artifacts.measures import read_measures
from lib.artifacts.npz_files import map_bytes
from lib.errors import ArtifactError, user_files, warn

METADATA, COORDS, PATCHES = "entry.json", "coords.npy", "patches.u8"
MEASURES = "measures.npz"
NOTE_USE_AFTER = 3600  # seconds: entries need not be touched more often

_DAMAGE = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class EntryMetadata:
    """What is known of the candidates of one tomogram.

    Attributes
    ----------
    name : str
    rec_path : str
        Of the image list at hand; on the disk, that by which the entry was made.
    shape : tuple of int
        (Z, Y, X) of the file [voxels].
    voxel_size : float or None
        As in the image list at hand; on the disk, that of the header [Angstrom].
    order : str
    z_sign : {1, -1}
    gold : int
        Beads that were left out.
    fill : float
        Share of the volume that is constant.
    code : str
        Digest of the source code that made the entry.
    patch_shape : tuple of int or None
        Offsets, views and edges; None for candidates, as are the next five.
    left_out : int or None
        Candidates without a full patch.
    excluded : int or None
        Candidates near positions that the user excludes.
    pixels : int or None
        Of all boxes of a view; `total` and `squares` are the sums of their values and
        of the squares, for each view.
    total, squares : tuple of int or None
    file_bytes, file_time : int or None
        Of the tomogram of the image list at hand.
    rec_even, rec_odd, mask_path, view_path : str or None
        Of the image list at hand, see `lib.inputs.companions`.
    """

    name: str
    rec_path: str = ""
    shape: tuple = ()
    voxel_size: float | None = None
    order: str = ""
    z_sign: int = 1
    gold: int = 0
    fill: float = 0.0
    code: str = ""
    patch_shape: tuple | None = None
    left_out: int | None = None
    excluded: int | None = None
    pixels: int | None = None
    total: tuple | None = None
    squares: tuple | None = None
    file_bytes: int | None = None
    file_time: int | None = None
    rec_even: str | None = None
    rec_odd: str | None = None
    mask_path: str | None = None
    view_path: str | None = None


@dataclass(frozen=True)
class Entry:
    """Candidates of one tomogram, with their patches or without.

    Attributes
    ----------
    coords : ndarray of int32, shape (N, 3)
        (x, y, z) [voxels], by descending strength.
    metadata : EntryMetadata
    patches : ndarray of uint8, shape (N, P, V, S, S), or None
        Memory-mapped; see `lib.patches.views.cut_views`.
    measures : dict of str to ndarray of float32, shape (N,)
        See `lib.artifacts.measures`: of candidates the response of the search, of
        patches all.
    """

    coords: np.ndarray
    metadata: EntryMetadata
    patches: np.ndarray | None = None
    measures: dict = field(default_factory=dict)

    @classmethod
    def find(cls, folder):
        """Open an entry.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        Entry or None
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
                if not (folder / METADATA).exists():
                    return None
                reason = f"{Path(error.filename).name} is missing"
            except _DAMAGE as error:
                reason = str(error)
        raise ArtifactError(f"{folder} is damaged: {reason}")

    @classmethod
    def _open(cls, folder):
        metadata = EntryMetadata(**json.loads((folder / METADATA).read_text()))
        with (folder / COORDS).open("rb") as stream:
            coords = np.lib.format.read_array(stream, allow_pickle=False)
        if coords.shape[1:] != (3,):
            raise ValueError(f"{COORDS} has the shape {coords.shape}")
        with np.load(folder / MEASURES, allow_pickle=False) as stored:
            measures = read_measures(stored)
        if any(len(values) != len(coords) for values in measures.values()):
            raise ValueError(f"{MEASURES} has other rows than {COORDS}")
        if metadata.patch_shape is None:
            return cls(coords, metadata, measures=measures)
        shape = (len(coords), *metadata.patch_shape)
        if not len(coords):
            return cls(coords, metadata, np.zeros(shape, np.uint8), measures)
        expected, found = math.prod(shape), (folder / PATCHES).stat().st_size
        if found != expected:
            raise ValueError(f"{PATCHES} has {found:,} of {expected:,} bytes")
        patches = map_bytes(folder / PATCHES, shape)
        return cls(coords, metadata, patches, measures)

    def write(self, folder):
        """Write all but the patches into a folder."""
        np.save(folder / COORDS, self.coords)
        np.savez(folder / MEASURES, **self.measures)
        (folder / METADATA).write_text(json.dumps(asdict(self.metadata)))


def find_entries(folders, *, anew=False, quiet=False):
    """Return the entries that are there and whole, by folder, and note their use.

    Parameters
    ----------
    folders : list of Path
    anew : bool
        Ask the server for those that are missing: over a network, what was looked at
        in vain may be remembered as missing for a minute. A claim makes it forget.
    quiet : bool
        Say nothing of damaged ones.
    """
    entries, damage = {}, []
    for folder in folders:
        try:
            entry = Entry.find(folder)
            if entry is None and anew:
                with claim(folder):
                    entry = Entry.find(folder)
        except ArtifactError as error:
            damage.append(str(error))
            continue
        if entry is not None:
            entries[folder] = entry
            _note_use(folder)
    if damage and not quiet:
        more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
        warn(f"{damage[0]}{more}; prepared again")
    return entries


def is_whole(folder):
    """Return whether a folder holds an entry that can be read."""
    try:
        return Entry.find(folder) is not None
    except ArtifactError:
        return False


def last_use(folder):
    """Return when an entry was made or used last, within an hour [seconds]."""
    return (folder / METADATA).stat().st_mtime


def _note_use(folder):
    # The entry may be another user's, who lets us only read.
    with suppress(OSError):
        if time.time() - last_use(folder) > NOTE_USE_AFTER:
            os.utime(folder / METADATA)
