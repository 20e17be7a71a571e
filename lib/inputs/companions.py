"""Further volumes of a tomogram: halves of its data, a mask, a copy to look at.

They come from optional columns of the image list. Each has the shape and the axes of
the tomogram, so that a position means the same in all of them.
"""

import os
from contextlib import nullcontext
from dataclasses import dataclass

from lib.errors import InputError, format_names
from lib.inputs.mrc import MrcInfo, inspect_mrc

HALVES = ("rec_even", "rec_odd")
MASK = ("mask_path",)
VIEW = ("view_path",)
COLUMNS = {
    "rec_even": "a half made of the even tilts or frames",
    "rec_odd": "a half made of the odd tilts or frames",
    "mask_path": "a mask",
    "view_path": "a copy to look at",
}
NONE = "-"  # in a cell of an optional column


@dataclass(frozen=True)
class Companions:
    """Headers of the further volumes; None where there is none.

    Attributes
    ----------
    rec_even, rec_odd : MrcInfo or None
        Reconstructions of two halves of the data, which share no noise: of even and
        odd tilt images, or of even and odd frames. Both or neither.
    mask_path : MrcInfo or None
        Labels: whole numbers, 0 outside; see `lib.inputs.mask`.
    view_path : MrcInfo or None
        The same tomogram made to be looked at: denoised, missing wedge filled in.
    """

    rec_even: MrcInfo | None = None
    rec_odd: MrcInfo | None = None
    mask_path: MrcInfo | None = None
    view_path: MrcInfo | None = None

    @classmethod
    def from_files(cls, info, *, noting=nullcontext, **paths):
        """Read the headers and compare them with that of the tomogram.

        Parameters
        ----------
        info : lib.inputs.mrc.MrcInfo
            Of the tomogram.
        noting : callable, optional
            See `lib.inputs.tomogram.Tomogram.from_files`.
        **paths : path-like, optional
            By the names of the attributes.

        Returns
        -------
        Companions

        Raises
        ------
        InputError
            When a file cannot be read or has another shape, or a half is alone, or the
            same file as the other or as the tomogram.
        """
        found = {}
        for column, path in paths.items():
            with noting(column):
                found[column] = _inspect(column, path, info)
        given = [column for column in HALVES if column in paths]
        if len(given) == 1:
            with noting(given[0]):
                other = next(column for column in HALVES if column not in paths)
                raise InputError(
                    f"{paths[given[0]]} is given without {other}: the two "
                    "views of a pair come from different halves; give both, or "
                    f"neither ({NONE} in both columns)"
                )
        taken = {os.path.realpath(info.path): "rec_path"}
        for column in given:
            with noting(column):
                first = taken.setdefault(os.path.realpath(paths[column]), column)
                if first != column:
                    raise InputError(
                        f"{paths[column]} is the file of {first} too: halves share no "
                        "noise; name the one of the even and the one of the odd images"
                    )
        return cls(**found)

    @property
    def halves(self):
        """Headers of the even and the odd half, or None."""
        if self.rec_even is None or self.rec_odd is None:
            return None
        return self.rec_even, self.rec_odd

    def paths(self):
        """Return the paths of those that there are, as text, by column."""
        infos = {column: getattr(self, column) for column in COLUMNS}
        return {column: str(info.path) for column, info in infos.items() if info}


NO_COMPANIONS = Companions()


def check_companions(tomograms, *, halves=False, by_mask=False, in_view=False):
    """Check that every tomogram of a list has the volumes that the options need.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
    halves : bool
        Whether pairs are cut from halves.
    by_mask : bool
        Whether candidates are chosen by a mask.
    in_view : bool
        Whether candidates are searched in the copies to look at.

    Raises
    ------
    InputError
        Naming the tomograms without.
    """
    if halves:
        _require(tomograms, HALVES, "--halves")
    if by_mask:
        _require(tomograms, MASK, "--mask_side and --mask_distance")
    if in_view:
        _require(tomograms, VIEW, "--search_in view")


def _require(tomograms, columns, option):
    lacking = [
        one.name
        for one in tomograms
        if any(getattr(one.companions, column) is None for column in columns)
    ]
    if lacking:
        raise InputError(
            f"{option}: the image list names no {' and '.join(columns)} for "
            f"{format_names(lacking)}, {len(lacking)} of {len(tomograms)} tomograms; "
            "add the column(s), with a file for each tomogram, or leave the option out"
        )


def _inspect(column, path, info):
    """Return the header of a further volume of the shape of the tomogram."""
    found = inspect_mrc(path)
    if found.shape != info.shape:
        raise InputError(
            f"{path} has {_listed(found.shape)} voxels (sections, rows, columns of the "
            f"file), but {info.path} has {_listed(info.shape)}; {column} names "
            f"{COLUMNS[column]}, of the same shape and axes: bin or rotate it as the "
            "tomogram was"
        )
    return found


def _listed(shape):
    return " x ".join(map(str, shape))
