"""Slices of the tomograms of a run, cut from the map of each file.

Only tomograms that the run recorded, or that the user named, are opened.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from lib.artifacts import file_states
from lib.axis_orders import DEFAULT_ORDER
from lib.errors import InputError, UserError
from lib.inputs.noted_files import name_other_files
from lib.inputs.tomogram import Tomogram
from lib.overlay.jobs import candidate_paths, other_view

AXES = "zyx"
AT_ONCE = 8  # files whose headers are read at the same time
SAMPLED = 12  # sections that the contrast is measured on
SAMPLES = 40_000  # voxels of each
SHARE = 1.0  # percent of the darkest and brightest voxels beyond the default window
LOW, HIGH = 64, 192  # gray values of that window; beyond it there is room for others
NOT_NAMED = (
    "the table does not say where this tomogram is: start the session with --rec_dir "
    "FOLDER, or --image_txt LIST"
)


@dataclass
class Shown:
    """A tomogram of the table.

    Attributes
    ----------
    tomogram : lib.inputs.tomogram.Tomogram or None
    why : str
        Why it cannot be shown, or what one should know of it.
    state : list of tuple
        Of its file: see `lib.artifacts.file_states`.
    """

    tomogram: Tomogram | None = None
    why: str = ""
    state: list = field(default_factory=list)


class Tomograms:
    """The tomograms of a table, in the order of its names.

    Parameters
    ----------
    candidates : lib.session.candidates.Candidates
    rec_dir : path-like, optional
        Folder of the tomograms.
    listed : mapping of str to Path, optional
        Paths by name, instead of `rec_dir`.
    order : str, optional
        Axes of the files, where the run did not record them.
    """

    def __init__(self, candidates, *, rec_dir=None, listed=None, order=None):
        self.candidates = candidates
        self.rec_dir, self.listed, self.order = rec_dir, listed, order
        self.paired = bool(candidates.record.options.patches.compress)
        self._lock = threading.Lock()
        self._shown = None
        self._open = {}  # index: voxels, (low, high); at most one decompressed file

    def inspect(self):
        """Return a `Shown` for each tomogram; headers are read once."""
        with self._lock:
            if self._shown is None:
                names = self.candidates.columns.names
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    self._shown = list(pool.map(self._inspect_one, range(len(names))))
            return self._shown

    def _inspect_one(self, index):
        name = self.candidates.columns.names[index]
        record = self.candidates.record
        recorded = record.tomogram(name)
        try:
            paths = candidate_paths(name, recorded, self.rec_dir, self.listed, None)
            path = next((path for path in paths if path.is_file()), None)
            if path is None:
                tried = ", ".join(map(str, paths))
                missing = f"not found: {tried}; name its folder with --rec_dir"
                return Shown(why=missing if paths else NOT_NAMED)
            order = self.order or recorded.order or record.options.patches.order
            known = order not in (None, "auto")
            state = file_states([path])
            tomogram = Tomogram.from_files(
                path,
                order or DEFAULT_ORDER,
                order_is_given=known,
                name=name,
            )
            if recorded.shape and tuple(recorded.shape) != tomogram.shape:
                return Shown(
                    why=f"{path} is another tomogram: x, y, z = "
                    f"{_listed(tomogram.shape)}, the run read {_listed(recorded.shape)}"
                )
            if outside := self._outside(index, tomogram.shape):
                return Shown(
                    why=f"{outside:,} candidates lie outside {path}, which has x, y, z "
                    f"= {_listed(tomogram.shape)} as --order {tomogram.order}"
                )
            said = [name_other_files({name: recorded}, {name: path})]
            said.append(other_view(recorded, path, self.rec_dir, self.listed))
        except (UserError, OSError) as error:
            return Shown(why=str(error))
        if tomogram.info.gzipped:
            said.append(
                f"{path} is compressed: it is read whole before its first slice"
            )
        return Shown(tomogram, "; ".join(filter(None, said)), state)

    def _outside(self, index, shape):
        rows = np.flatnonzero(self.candidates.columns.tomogram == index)
        positions = self.candidates.columns.coord[rows]
        depth, height, width = shape
        size = (width, height, -(-depth // 2) if self.paired else depth)
        return int(((positions < 0) | (positions >= size)).any(axis=1).sum())

    def positions(self):
        """Return (x, y, z) of every candidate in voxels of the whole tomogram.

        Returns
        -------
        ndarray of float32, shape (N, 3)
            With ``--compress`` between the two slices that were merged.
        """
        positions = self.candidates.columns.coord.astype(np.float32)
        if self.paired:
            positions[:, 2] = 2 * positions[:, 2] + 0.5
        return positions

    def cut(self, index, axis, at, sigma=0.0):
        """Return a slice in gray.

        Parameters
        ----------
        index : int
            Of the tomogram.
        axis : {"z", "y", "x"}
            Axis that the slice is perpendicular to.
        at : int
            Its index along that axis.
        sigma : float
            Of a Gaussian [voxels]; 0 for none.

        Returns
        -------
        ndarray of uint8, shape (Y, X), (Z, X) or (Z, Y)
            The same gray value in every slice of a tomogram for the same density.

        Raises
        ------
        InputError
            If there is no such tomogram or slice, or the file cannot be read.
        """
        voxels, (low, high) = self._voxels(index)
        place = AXES.index(axis)
        if not 0 <= at < voxels.shape[place]:
            raise InputError(
                f"slice {at} of {axis}: the tomogram has {voxels.shape[place]}"
            )
        with np.errstate(invalid="ignore"):
            plane = np.moveaxis(voxels, place, 0)[at].astype(np.float32)
        finite = np.isfinite(plane)
        if not finite.all():
            plane = np.where(finite, plane, (low + high) / 2)
        if sigma > 0:
            from scipy.ndimage import gaussian_filter

            plane = gaussian_filter(plane, sigma)
        gray = LOW + (plane - low) * ((HIGH - LOW) / (high - low))
        return np.rint(gray.clip(0, 255)).astype(np.uint8)

    def _voxels(self, index):
        shown = self.inspect()[index]
        if shown.tomogram is None:
            raise InputError(shown.why)
        info = shown.tomogram.info
        with self._lock:
            # what is mapped may by now have another shape, or end too soon
            if file_states([info.path]) != shown.state:
                raise InputError(
                    f"{info.path} was changed since the session opened it: start the "
                    "session again"
                )
            if index in self._open:
                return self._open[index]
            voxels = shown.tomogram.map_voxels()
            if info.gzipped:  # in memory: one at a time
                self._open = {
                    key: value
                    for key, value in self._open.items()
                    if not self._shown[key].tomogram.info.gzipped
                }
            self._open[index] = voxels, contrast_of(voxels)
            return self._open[index]


def contrast_of(voxels):
    """Return the densities that are shown dark and bright at first.

    Parameters
    ----------
    voxels : ndarray, shape (Z, Y, X)
        Perhaps a map; a few sections are read.
    """
    slowest = int(np.argmax(np.abs(voxels.strides)))
    sections = np.moveaxis(voxels, slowest, 0)
    chosen = np.linspace(0, len(sections) - 1, min(SAMPLED, len(sections))).astype(int)
    parts = []
    for place in chosen:
        flat = np.ascontiguousarray(sections[place]).ravel()
        parts.append(flat[:: max(1, flat.size // SAMPLES)].astype(np.float64))
    sample = np.concatenate(parts)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = np.percentile(sample, (SHARE, 100 - SHARE)).tolist()
    return (low, high) if high > low else (low - 1, low + 1)


def _listed(shape):
    return " x ".join(map(str, shape[::-1]))
