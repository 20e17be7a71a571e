"""Inputs of the overlay: tomograms to paint, colors, and the disk space needed."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.artifacts import check_fingerprint, fingerprint_path
from lib.axis_orders import DEFAULT_ORDER
from lib.errors import (
    ArtifactError,
    InputError,
    OptionError,
    ResourceError,
    user_files,
    warn_once,
)
from lib.inputs.tomogram import Tomogram
from lib.overlay.paint import bytes_needed
from lib.run.record import TomogramRecord

EXTENSIONS = (".rec", ".mrc", ".rec.gz", ".mrc.gz")


@dataclass(frozen=True)
class OverlayJob:
    """A tomogram to paint, and the rows of its candidates.

    Attributes
    ----------
    tomogram : Tomogram
    rows : ndarray of int
        Of the table of embeddings.
    recorded : lib.run.record.TomogramRecord
        What the run recorded of it; nothing in tables of other programs.
    """

    tomogram: Tomogram
    rows: np.ndarray
    recorded: TomogramRecord = field(default_factory=TomogramRecord)

    @property
    def name(self):
        """Name of the tomogram in the table."""
        return self.tomogram.name

    @property
    def path(self):
        """The tomogram's file."""
        return self.tomogram.rec_path


def load_colors(path, table, table_path):
    """Read the colors of a table's rows.

    Parameters
    ----------
    path : path-like
        ``all_colors.npy`` of this project or of MiLoPYP.
    table : EmbeddingTable
    table_path : path-like
        Named in the error message.

    Returns
    -------
    ndarray of uint8, shape (N, 3)

    Raises
    ------
    ArtifactError
        If it is missing, does not hold N colors, or belongs to other rows.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; run plot_2d.py first")
    try:
        colors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"{path} is not an array of colors ({error})") from error
    if colors.shape != (len(table), 3):
        raise ArtifactError(
            f"{path} holds {_format_shape(colors.shape)}, but {table_path} has "
            f"{len(table)} rows; run plot_2d.py again on it"
        )
    check_fingerprint(
        fingerprint_path(path),
        fingerprint=table.fingerprint,
        rows=len(table),
        of=table_path,
    )
    if colors.dtype.kind not in "uif" or not ((colors >= 0) & (colors <= 255)).all():
        raise ArtifactError(f"{path}: colors must be numbers from 0 to 255")
    return colors.astype(np.uint8)


def _format_shape(shape):
    is_colors = len(shape) == 2 and shape[1] == 3
    return f"{shape[0]} colors" if is_colors else f"an array of shape {shape}"


def find_overlay_jobs(
    table, *, rec_dir=None, listed=None, ext=None, order=None, only=None
):
    """Find the tomogram of every name in the table.

    Parameters
    ----------
    table : EmbeddingTable
    rec_dir : path-like, optional
        Folder of the tomograms, called as the table calls them, or as the run did.
    listed : mapping of str to Path, optional
        Paths by name, instead of `rec_dir`. With neither, the paths of the run.
    ext : str, optional
        Ending in `rec_dir`; the default is the first of `EXTENSIONS` that is there.
    order : str, optional
        The default, and ``auto`` if the run recorded an order, is what the run
        used; else ``xzy``, where that is likely.
    only : list of str, optional
        Names to paint; the default is all.

    Returns
    -------
    list of OverlayJob
        By name.

    Raises
    ------
    InputError
        Naming every tomogram that was not found, and where; or when one cannot be
        read, or its z would not be the shortest axis and nobody said its order.
    """
    used = table.record.options.patches.order
    asked = None if order == "auto" else order
    names = np.unique(table.name).tolist()
    _require_known(only or [], names)
    found, faults = {}, []
    for name in only or names:
        recorded = table.record.tomogram(name)
        paths = candidate_paths(name, recorded, rec_dir, listed, ext)
        with user_files():
            path = next((path for path in paths if path.is_file()), None)
        if Path(name).name != name:
            faults.append(f"{name!r} is not a file name")
        elif path is None:
            tried = ", ".join(map(str, paths)) or "no path recorded"
            faults.append(f"{name} ({tried})")
        else:
            found[name] = path
            if line := other_view(recorded, path, rec_dir, listed):
                warn_once(f"{name}: {line}")
    if faults:
        raise InputError(
            f"tomograms not found: {'; '.join(faults)}; name their folder with "
            "--rec_dir (and --ext), or the image list with --image_txt"
        )
    jobs = []
    for name, path in found.items():
        recorded = table.record.tomogram(name)
        given = asked or recorded.order or order or used
        tomogram = Tomogram.from_files(
            path, given or DEFAULT_ORDER, order_is_given=bool(given), name=name
        )
        rows = np.flatnonzero(table.name == name)
        jobs.append(OverlayJob(tomogram, rows, recorded))
    return jobs


def _require_known(wanted, names):
    strangers = [name for name in wanted if name not in names]
    if strangers:
        raise OptionError(
            f"--only: no candidates in {', '.join(strangers)}; the table has "
            f"{', '.join(names)}"
        )


def candidate_paths(name, recorded, rec_dir, listed, ext):
    """Return the possible paths of the tomogram, the most likely first.

    What the run was told to look at comes before what it was trained on.
    """
    rec_path = recorded.rec_path
    if listed is not None:
        return [Path(listed[name])] if name in listed else []
    if rec_dir is None:
        return [Path(path) for path in (recorded.view_path, rec_path) if path]
    endings = (f".{ext.lstrip('.')}",) if ext else EXTENSIONS
    paths = [Path(rec_dir) / f"{name}{ending}" for ending in endings]
    if (
        rec_path and not ext
    ):  # the file name of the run is known, the endings are a guess
        paths.insert(0, Path(rec_dir) / Path(rec_path).name)
    return paths


def other_view(recorded, path, rec_dir, listed):
    """Return a line where the run's copy to look at is not there, else None."""
    view = recorded.view_path
    if view is None or Path(view) == path or (rec_dir, listed) != (None, None):
        return None
    return f"view_path {view} is not there any more; {path} is shown instead"


def _size(path):
    """Return the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def check_disk(jobs, experiment):
    """Return the disk space that the jobs need [bytes]; check that it is free.

    Parameters
    ----------
    jobs : list of OverlayJob
    experiment : ExperimentDir
        The files of an earlier overlay in it count as free.

    Returns
    -------
    int

    Raises
    ------
    ResourceError
    """
    sizes = [bytes_needed(job.tomogram.shape) for job in jobs]
    present = (
        _size(path)
        for job in jobs
        for path in (
            experiment.gray_volume(job.name),
            experiment.heatmap_volume(job.name),
        )
    )
    # an old file is removed only when its successor is complete
    needed = max(sum(sizes) - sum(present), max(sizes))
    with user_files():
        experiment.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(experiment.root).free
    if needed > free:
        raise ResourceError(
            f"painting takes {needed / 1e9:.1f} GB in {experiment.root}, where "
            f"{free / 1e9:.1f} GB are free; make room, give another --dir_simsiam, or "
            "choose tomograms with --only"
        )
    return sum(sizes)
