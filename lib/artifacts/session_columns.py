"""``session_columns/``: what the interactive session shows, ready to be mapped.

A gzip parquet of 128 numbers a row takes seconds to open. This folder holds the same
rows as plain arrays, of which only those parts are read that the page asks for.
``imgs/patches.npy`` holds the patches of all rows in one file, in place of a PNG each.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts.fingerprints import fingerprint_path
from lib.artifacts.measures import is_shown
from lib.artifacts.shared_folders import atomic_folder
from lib.errors import ArtifactError

VIEWS = ("slab", "tilt")  # of the tomogram; of the tilt series
# Number of axes and dtype of each array; `Columns` describes them.
ARRAYS = {
    "tomogram": (1, np.uint16),
    "coord": (2, np.int32),
    "cluster": (1, np.uint16),
    "map_xy": (2, np.float32),
    "cloud": (2, np.float32),
    "unit": (2, np.float16),
    "examples": (2, np.int32),
    "means": (3, np.uint8),
}

OF_CLUSTERS = ("examples", "means")


@dataclass(frozen=True)
class Columns:
    """The columns of N candidates in K clusters.

    Attributes
    ----------
    names : list of str
        Of the tomograms.
    numbers : list of int, length K
        Of the clusters: the labels of the table, ascending.
    tomogram, cluster : ndarray of uint16, shape (N,)
        Indices into `names` and `numbers`.
    coord : ndarray of int32, shape (N, 3)
        (x, y, z) as in `lib.artifacts.EmbeddingTable`.
    map_xy : ndarray of float32, shape (N, 2)
        Positions on the map, 0 to 1.
    cloud : ndarray of float32, shape (N, 3)
        Positions in the 3-D layout, 0 to 1.
    unit : ndarray of float16, shape (N, D)
        Embeddings, scaled to length one.
    examples : ndarray of int32, shape (K, M)
        Rows that are typical of each cluster; -1 where it has fewer.
    means : ndarray of uint8, shape (K, H, W)
        Averages of the patches of each cluster, turned in plane.
    patches : dict of str to ndarray of uint8, shape (N, H, W)
        By view, see `VIEWS`.
    layout : dict
        ``map`` and ``cloud``: how they were computed.
    measures : dict of str to ndarray of float32, shape (N,)
        What colors and filters candidates; see `lib.artifacts.measures.is_shown`.
    """

    names: list
    numbers: list
    tomogram: np.ndarray
    cluster: np.ndarray
    coord: np.ndarray
    map_xy: np.ndarray
    cloud: np.ndarray
    unit: np.ndarray
    examples: np.ndarray
    means: np.ndarray
    patches: dict = field(default_factory=dict)
    layout: dict = field(default_factory=dict)
    measures: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.tomogram)

    def save(self, folder, *, layout_id):
        """Write the columns atomically.

        Parameters
        ----------
        folder : path-like
            Replaced.
        layout_id : str
            Of the table and its layout: see `lib.artifacts.InteractiveTable.layout_id`.
        """
        index = {
            "layout": layout_id,
            "rows": len(self),
            "names": self.names,
            "numbers": self.numbers,
            "views": list(self.patches),
            "methods": self.layout,
            "measures": list(self.measures),
        }
        with atomic_folder(folder) as partial:
            for key, (_, kind) in ARRAYS.items():
                np.save(partial / f"{key}.npy", getattr(self, key).astype(kind))
            for view, patches in self.patches.items():
                np.save(partial / f"patches_{view}.npy", patches)
            for name, values in self.measures.items():
                np.save(partial / f"measure_{name}.npy", values.astype(np.float32))
            text = json.dumps(index)
            (partial / fingerprint_path(folder).name).write_text(text, "utf-8")

    @classmethod
    def load(cls, folder, *, layout_id):
        """Map the columns of a table.

        Returns
        -------
        Columns or None
            None if there are none, or those of other rows or of another layout.

        Raises
        ------
        ArtifactError
            If the folder is damaged.
        """
        folder = Path(folder)
        try:
            text = fingerprint_path(folder).read_text("utf-8")
            index = json.loads(text)
            if index["layout"] != layout_id:
                return None
            arrays = {key: _map(folder / f"{key}.npy", *ARRAYS[key]) for key in ARRAYS}
            patches = {
                view: _map(folder / f"patches_{view}.npy", 3, np.uint8)
                for view in index["views"]
                if view in VIEWS
            }
            measures = {
                name: _map(folder / f"measure_{name}.npy", 1, np.float32)
                for name in index.get("measures", ())
                if is_shown(name)
            }
            rows = {len(arrays[key]) for key in ARRAYS if key not in OF_CLUSTERS}
            rows |= {len(part) for part in (*patches.values(), *measures.values())}
            if rows != {index["rows"]}:
                raise ValueError("columns differ in length")
            return cls(
                names=index["names"],
                numbers=index["numbers"],
                layout=index["methods"],
                patches=patches,
                measures=measures,
                **arrays,
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder} cannot be read ({error}); run plot_2d.py again"
            ) from error


def _map(path, axes, kind):
    array = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != axes or array.dtype != kind:
        raise ValueError(f"{path.name} is {array.dtype} of shape {array.shape}")
    return array.view(np.ndarray)


def packed_path(folder):
    """Return the file in a folder of patches that holds all of them."""
    return Path(folder) / "patches.npy"


def open_packed(folder):
    """Map the packed patches of a folder.

    Parameters
    ----------
    folder : path-like
        See `lib.artifacts.ExperimentDir.patch_pictures`.

    Returns
    -------
    ndarray of uint8, shape (N, H, W), or None
        None if the patches are not packed.

    Raises
    ------
    ArtifactError
        If the file is damaged.
    """
    path = packed_path(folder)
    if path.is_symlink() or not path.is_file():
        return None
    try:
        patches = np.lib.format.open_memmap(path, mode="r")
        if patches.ndim != 3 or patches.dtype != np.uint8:
            raise ValueError(f"it is {patches.dtype} of shape {patches.shape}")
    except (OSError, EOFError, ValueError) as error:
        raise ArtifactError(
            f"{path} cannot be read ({error}); run plot_2d.py again"
        ) from error
    return patches.view(np.ndarray)
