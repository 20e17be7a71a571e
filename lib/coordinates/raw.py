"""What a file of coordinates says, before it is held against the tomograms."""

from dataclasses import dataclass, field

import numpy as np

from lib.errors import InputError
from lib.run.record import PickedFrom

# Thousands of tomograms with thousands of rows each.
LARGEST = 2**28  # bytes

VOXELS = "voxels of the tomogram as read"
IMOD = "points of IMOD along the file's axes"
RELION4 = "RELION 4, pixels"
RELION5 = "RELION 5, Angstrom from the center"
PORTAL = "ndjson of the portal, voxels"
COPICK = "copick, Angstrom"
IN_ANGSTROM = (RELION5, COPICK)
FROM_RELION = (RELION4, RELION5)


@dataclass(frozen=True)
class RawCoordinates:
    """The rows of a file of coordinates.

    Attributes
    ----------
    path : Path
    unit : str
        One of the constants above: what the positions count, and along which axes.
    positions : ndarray of float, shape (N, 3)
        (x, y, z) as in the file, finite.
    name : list of str, length N, or None
        Tomograms; None in files that do not name them.
    score : ndarray of float32, shape (N,), or None
    label : list of str, length N, or None
    more : dict of str to ndarray of float32, shape (N,)
        Other numbers, by the names of `lib.artifacts.measures.given_name`.
    pixel_size : ndarray of float, shape (N,), or None
        Of one unit, where the file says [Angstrom].
    binning : float or None
        Voxel of the tomogram over one unit, where the file says.
    tomograms : dict of str to lib.run.record.TomogramRecord
        As the run that picked them read them.
    halved : bool or None
        Whether z counts pairs of slices; None if the file does not say.
    exp_id : str or None
        Run in which they were picked.
    picked_from : PickedFrom or None
        The table they were picked from.
    earlier : tuple of lib.run.history.GivenFile
        Files that that run was made from.
    """

    path: object
    unit: str
    positions: np.ndarray
    name: list | None = None
    score: np.ndarray | None = None
    label: list | None = None
    more: dict = field(default_factory=dict)
    pixel_size: np.ndarray | None = None
    binning: float | None = None
    tomograms: dict = field(default_factory=dict)
    halved: bool | None = None
    exp_id: str | None = None
    picked_from: PickedFrom | None = None
    earlier: tuple = ()

    def __post_init__(self):
        if not len(self.positions):
            raise InputError(
                f"{self.path} holds no coordinates; export or pick again, or leave the "
                "file out"
            )
        bad = ~np.isfinite(self.positions).all(axis=1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{self.path}: {bad.sum():,} of {len(bad):,} coordinates are not "
                f"numbers, such as x, y, z = {as_text(self.positions[row])} in row "
                f"{row + 1}; remove these rows"
            )


def as_text(position):
    """Return a position as people write it."""
    return ", ".join(f"{value:g}" for value in position)
