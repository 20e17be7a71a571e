"""Which aligned tilt series, and which angles, belong to a tomogram.

By name, the nearest folder first; then the header of the series must have the size of
the tomogram, and the angle file as many angles as the series has images.
"""

from lib.axis_orders import ORDERS
from lib.errors import InputError
from lib.inputs.axis_order import describe_misfit
from lib.inputs.mrc import inspect_mrc
from lib.inputs.naming import (
    ANGLES,
    IMOD_FOLDER,
    LABELS,
    STACK,
    TRANSFORMS,
    VOLUMES,
)
from lib.inputs.plain_text import read_lines
from lib.inputs.tilt_angles import read_tilt_angles

# Programs that align series in memory: what they leave on the disk is raw.
NO_SERIES = {
    "RELION 5": "RELION keeps no aligned series",
    "Warp": "Warp keeps no aligned series (its tiltstack is raw)",
}
IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # a line of .xf that moves nothing
ROUNDED = 1e-3


class SeriesFiles:
    """Tilt series, angles and transforms below some folders, by name.

    Parameters
    ----------
    named : list of (Path, lib.inputs.naming.FileName)
        All files.
    recorded : set of Path
        Series that the microscope wrote.
    """

    def __init__(self, named, recorded):
        self._recorded = recorded
        self._aligned, self._angles, self._raw = {}, {}, {}
        transforms = {path for path, name in named if name.ending in TRANSFORMS}
        for path, name in named:
            if name.ending in ANGLES:
                self._angles.setdefault(name.name, []).append((path, name))
            elif name.half or name.words & LABELS or name.ending in TRANSFORMS:
                continue
            elif name.is_aligned or _is_moved_already(path, name, transforms):
                self._aligned.setdefault(name.name, []).append(path)
            elif name.is_stack and not name.is_reconstruction:
                self._raw.setdefault(name.name, []).append(path)

    def looks_like_series(self, path):
        """Return why an ``.mrc`` file is a tilt series and no tomogram, or None.

        Parameters
        ----------
        path : Path
            Named like either.
        """
        if path in self._recorded:
            return "tilt series of the microscope: an .mdoc lies beside it"
        name = path.name.removesuffix(".gz").removesuffix(".mrc")
        beside = [angles for angles, _ in self._angles.get(name, ())]
        beside = [angles for angles in beside if angles.parent == path.parent]
        if not beside:
            return None
        try:
            n_sections = inspect_mrc(path).shape[0]
        except InputError:
            return None  # the reason follows when it is opened as a tomogram
        for angles in beside:
            if _count(angles) == n_sections:
                return (
                    "a tilt series: a file beside it has an angle for each image; if "
                    "it is aligned, name it NAME_ali.mrc or list it by hand"
                )
        return None

    def of(self, tomogram, twins):
        """Return the series and angles of a tomogram, or why there are none.

        Parameters
        ----------
        tomogram : lib.inputs.found.FoundTomogram
            With its header.
        twins : list of Path
            All tomograms of its name: a series belongs to the nearest one.

        Returns
        -------
        dict
            ``tilt_path`` and ``angle_path``, or ``missing``.
        """
        if tomogram.program in NO_SERIES:
            return {"missing": NO_SERIES[tomogram.program]}
        name, here = tomogram.series_name, tomogram.path
        others = [twin for twin in twins if twin != here]
        near = [
            path
            for path in self._aligned.get(name, ())
            if all(_steps(path, here) < _steps(path, other) for other in others)
        ]
        near.sort(key=lambda path: (_steps(path, here), -len(path.name), str(path)))
        if not near:
            return {"missing": self._why_none(name)}
        faults, fitting = [], []
        for path in near:
            try:
                fitting.append(self._with_angles(name, path, tomogram.info))
            except InputError as error:
                faults.append(str(error))
        if not fitting:
            return {"missing": faults[0]}
        (tilt_path, angle_path), *rest = fitting
        rivals = [path for path, _ in rest if path.parent != tilt_path.parent]
        if rivals and _steps(rivals[0], here) == _steps(tilt_path, here):
            return {
                "missing": f"{tilt_path} and {rivals[0]} are equally near: name one "
                "in a list by hand"
            }
        return {"tilt_path": tilt_path, "angle_path": angle_path}

    def _why_none(self, name):
        if name in self._raw:
            return "only a raw series by its name, no aligned one"
        return "no aligned series, such as NAME.ali or NAME_ali.mrc"

    def _with_angles(self, name, path, tomogram_info):
        """Return a series and its angles.

        Raises
        ------
        InputError
            When the series has another size than the tomogram, or no angle file fits.
        """
        info = inspect_mrc(path)
        images = info.shape[1:]
        sizes = {
            tuple(tomogram_info.shape[axis] for axis in axes)[1:]
            for axes in ORDERS.values()
        }
        if images not in sizes:
            y, x = _likely_size(tomogram_info.shape)
            raise InputError(describe_misfit(images, (y, x)))
        first = None
        angles = sorted(
            self._angles.get(name, ()),
            key=lambda file: (_steps(file[0], path), ANGLES.index(file[1].ending)),
        )
        for angle_path, _ in angles:
            try:
                read_tilt_angles(angle_path, info.shape[0])
                return path, angle_path
            except InputError as error:
                first = first or error
        if first:
            raise first
        raise InputError(
            "an aligned series without angles (NAME.tlt, NAME.rawtlt or NAME_TLT.txt)"
        )


def _is_moved_already(path, name, transforms):
    """Return whether a stack that AreTomo wrote for IMOD is aligned.

    With ``-OutImod 3`` it is, and the transforms beside it move nothing; with
    ``-OutImod 2`` the stack of the same name is raw.
    """
    stem = path.name.removesuffix(".gz").removesuffix(name.ending)
    if name.ending not in VOLUMES or not stem.endswith(f"_{STACK}"):
        return False
    transform = path.with_name(f"{stem}{TRANSFORMS[0]}")
    folder = stem.removesuffix(f"_{STACK}") + IMOD_FOLDER
    if path.parent.name != folder or transform not in transforms:
        return False
    try:
        lines = read_lines(transform, "a file of transforms")
        values = [tuple(map(float, line.split()[:6])) for _, line in lines]
    except (InputError, ValueError):
        return False
    return bool(values) and all(
        len(row) == 6
        and all(abs(a - b) <= ROUNDED for a, b in zip(row, IDENTITY, strict=True))
        for row in values
    )


def _steps(one, other):
    """Return over how many folders one file is reached from another."""
    mine, its = one.parent.parts, other.parent.parts
    shared = 0
    for a, b in zip(mine, its, strict=False):
        if a != b:
            break
        shared += 1
    return len(mine) + len(its) - 2 * shared


def _likely_size(shape):
    """Return (Y, X) of a tomogram whose shortest axis is z."""
    depth = shape.index(min(shape))
    y, x = (size for axis, size in enumerate(shape) if axis != depth)
    return y, x


def _count(path):
    """Return the number of lines of a text file; -1 where it cannot be read."""
    try:
        return len(read_lines(path, "an angle file"))
    except InputError:
        return -1
