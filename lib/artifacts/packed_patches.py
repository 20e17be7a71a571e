"""``imgs/patches.npy``: the patches of all rows in one file, in place of a PNG each."""

from pathlib import Path

import numpy as np

from lib.errors import ArtifactError


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
