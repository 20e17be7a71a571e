"""The coordinates of all files that the user names, for each tomogram of a list."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from lib.artifacts.measures import SCORE
from lib.candidates.chosen import Chosen
from lib.coordinates.placing import Reading, place, to_voxels, unit_of
from lib.coordinates.plausible import (
    keep_inside,
    match_names,
    name_from_path,
    warn_of_unit,
)
from lib.coordinates.reading import find_files, read_coordinates
from lib.errors import InputError, format_names, user_files, warn
from lib.run.history import COORDS, EXCLUDE, MOST_GENERATIONS, GivenFile

LABEL = "given_label"


@dataclass(frozen=True)
class OwnCoordinates:
    """What the user decides of the candidates, and where that comes from.

    Attributes
    ----------
    chosen : lib.candidates.chosen.Chosen
    columns : dict of str to dict
        ``given_score``, ``given_label`` and, of other numbers, ``given_<column>``,
        where a file has them: values by tomogram and (x, y, z) [voxels as read].
    files : tuple of lib.run.history.GivenFile
    """

    chosen: Chosen = field(default_factory=Chosen)
    columns: dict = field(default_factory=dict)
    files: tuple = ()

    def tomograms(self, tomograms):
        """Return the tomograms of a list that have candidates."""
        given = self.chosen.given
        if given is None:
            return tomograms
        return [tomogram for tomogram in tomograms if tomogram.name in given]

    def columns_of(self, names, coords):
        """Return the columns of the files for candidates, by name.

        Parameters
        ----------
        names : ndarray of str, shape (N,)
        coords : ndarray of int, shape (N, 3)

        Returns
        -------
        dict
            ``given_score`` and ``given_label`` where a file has them; the others are in
            ``measures``.
        """
        keys = [
            (name, *place)
            for name, place in zip(names.tolist(), coords.tolist(), strict=True)
        ]
        found = {}
        for column, values in self.columns.items():
            nothing, kind = ("", str) if column == LABEL else (np.nan, np.float32)
            found[column] = np.array([values.get(key, nothing) for key in keys], kind)
        own = {
            column: found.pop(column) for column in (SCORE, LABEL) if column in found
        }
        return {**own, "measures": found}

    def record(self, step):
        """Return the files for the record of a run, used in a step of it."""
        own = (replace(file, step=file.step or step) for file in self.files)
        return tuple(own)


def read_own(tomograms, settings, patching, *, quiet=False):
    """Read the files of ``--coords`` and ``--exclude_coords``.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
    settings : lib.run.candidate_options.CoordinateSettings
    patching : lib.patches.options.PatchOptions
    quiet : bool
        Say nothing of what is no error.

    Returns
    -------
    OwnCoordinates

    Raises
    ------
    InputError, ArtifactError
        If a file cannot be used, or no position remains.
    """
    flipped = patching.needs_tilts and patching.flip_tilt_angles
    reading = Reading(settings, patching.compress, flipped)
    tell = (lambda line: None) if quiet else print
    alarm = (lambda line: None) if quiet else warn
    given = excluded = None
    files = ()
    if settings.exclude_coords:
        excluded = _Collected(EXCLUDE, tomograms, reading, tell, alarm)
        files += excluded.read(settings.exclude_coords)
    if settings.coords:
        given = _Collected(COORDS, tomograms, reading, tell, alarm)
        files += given.read(settings.coords)
        without = [t.name for t in tomograms if t.name not in given.positions]
        if without:
            tell(
                f"no coordinates for {len(without)} of {len(tomograms)} tomograms "
                f"({format_names(without, 3)}): left out"
            )
    distance = settings.exclude_distance
    if distance is None:
        distance = patching.dog_diameter / 2
    chosen = Chosen(
        given=given and given.positions,
        excluded=excluded.positions if excluded else {},
        distance=float(distance),
        z_step=2 if patching.compress else 1,
    )
    return OwnCoordinates(chosen, given.columns if given else {}, files)


class _Collected:
    """Positions of several files by tomogram, each once."""

    def __init__(self, use, tomograms, reading, tell, alarm):
        self.use, self.option = use, f"--{use}"
        self.by_name = {tomogram.name: tomogram for tomogram in tomograms}
        self.reading, self.tell, self.alarm = reading, tell, alarm
        self.seen = {}  # (name, x, y, z): columns of its row, in the order of the files

    def read(self, paths):
        """Read files; return what the record of the run keeps of them."""
        kept = []
        for path in find_files(paths, self.option):
            before = len(self.seen)
            raw = read_coordinates(path)
            repeated = self._add(raw)
            count = len(self.seen) - before
            more = f"; {repeated:,} more than once, kept once" if repeated else ""
            unit = unit_of(raw, self.reading.settings)
            self.tell(f"{self.option} {path}: {count:,} positions ({unit}){more}")
            kept += _history(raw, self.use, count)
        if not self.seen:
            raise InputError(f"{self.option}: no position lies in a tomogram")
        return tuple(dict.fromkeys(kept))

    @property
    def positions(self):
        """Positions (N, 3) of int32, by tomogram."""
        found = {}
        for name, *position in self.seen:
            found.setdefault(name, []).append(position)
        return {name: np.array(rows, np.int32) for name, rows in found.items()}

    @property
    def columns(self):
        """The columns that a file has: values by tomogram and position."""
        found = {}
        for key, values in self.seen.items():
            for column, value in values.items():
                found.setdefault(column, {})[key] = value
        return found

    def _add(self, raw):
        """Add the rows of a file; return how many were there already."""
        columns = {SCORE: raw.score, LABEL: raw.label, **raw.more}
        columns = {k: v for k, v in columns.items() if v is not None}
        repeated, placed, outside = 0, [], []
        for tomogram, rows in self._by_tomogram(raw):
            positions = place(raw, rows, tomogram, self.reading)
            inside, warning = keep_inside(raw, tomogram, positions, self.option)
            outside += [warning] * bool(warning)
            rows, positions = rows[inside], positions[inside]
            placed.append((tomogram, positions))
            voxels = to_voxels(positions, self.reading.compress)
            for row, position in zip(rows.tolist(), voxels.tolist(), strict=True):
                key = (tomogram.name, *position)
                repeated += key in self.seen
                known = self.seen.setdefault(key, {})
                for column, values in columns.items():
                    known.setdefault(column, values[row])
        warn_of_unit(raw, placed, self.option, self.alarm)
        if outside:
            more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
            self.alarm(outside[0] + more)
        return repeated

    def _by_tomogram(self, raw):
        """Yield each tomogram of the list that a file has rows of, with the rows."""
        listed = list(self.by_name)
        if raw.name is None:
            name = name_from_path(raw.path, listed)
            yield self.by_name[name], np.arange(len(raw.positions))
            return
        found = match_names(raw, listed)
        unknown = [name for name, match in found.items() if match is None]
        if unknown:
            self.alarm(
                f"{self.option} {raw.path}: {len(unknown)} of {len(found)} tomograms "
                f"are not in the image list ({format_names(unknown, 3)}); left out"
            )
        rows = {}
        for row, name in enumerate(raw.name):
            rows.setdefault(name, []).append(row)
        for name, match in found.items():
            if match is not None:
                yield self.by_name[match], np.array(rows[name])


def _history(raw, use, count):
    """Return the record of a file, and of those that its run was made from."""
    with user_files(raw.path):
        digest = hashlib.sha256(raw.path.read_bytes()).hexdigest()[:24]
    source = raw.picked_from
    own = GivenFile(
        path=str(raw.path.resolve()),
        digest=digest,
        positions=count,
        use=use,
        exp_id=raw.exp_id,
        fingerprint=source.fingerprint if source else None,
        rows=source.rows if source else None,
    )
    earlier = [
        replace(file, generation=file.generation + 1)
        for file in raw.earlier
        if file.generation < MOST_GENERATIONS
    ]
    return [own, *earlier]
