"""What was found below folders: tomograms with what belongs to them, and the rest."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.inputs.mrc import MrcInfo

LONGEST_NAME = 150  # characters, so that suffixes fit into a file name


@dataclass(frozen=True)
class FoundTomogram:
    """A tomogram, and what belongs to it.

    Attributes
    ----------
    series_name : str
        By its file name; that of its tilt series.
    path : Path
    program : str
        That names its files so, as far as one can tell.
    sampling : str
        See `lib.inputs.naming.FileName`.
    is_copy : bool
        Whether it is denoised or otherwise processed: no other one was found.
    info : MrcInfo or None
    halves : tuple of Path
        The even and the odd half tomogram, or none.
    tilt_path, angle_path : Path or None
        Both or neither.
    missing : str
        Why there is no tilt series.
    name : str
        In the list; different for all tomograms.
    """

    series_name: str
    path: Path
    program: str = ""
    sampling: str = ""
    is_copy: bool = False
    info: MrcInfo | None = None
    halves: tuple = ()
    tilt_path: Path | None = None
    angle_path: Path | None = None
    missing: str = ""
    name: str = ""

    @property
    def has_series(self):
        """Whether it can be used with its tilt series."""
        return self.tilt_path is not None


@dataclass
class FoundFiles:
    """What was found below some folders.

    Attributes
    ----------
    roots : list of Path
    tomograms : list of FoundTomogram
    left_out : list of (str, str)
        Files, and why each is not in the list.
    renamed : list of str
        Names that several tomograms had.
    n_files : int
    """

    roots: list
    tomograms: list = field(default_factory=list)
    left_out: list = field(default_factory=list)
    renamed: list = field(default_factory=list)
    n_files: int = 0


def with_own_names(twins):
    """Return all tomograms with names, sorted; a folder tells those of one name apart.

    Parameters
    ----------
    twins : dict of str to list of lib.inputs.found.FoundTomogram
        By the name of their series.
    """
    taken, named = {name for name, same in twins.items() if len(same) == 1}, []
    for name, same in twins.items():
        folders = [one.path.parent.parts[1:] for one in same]
        for tomogram in same:
            own = name
            if len(same) > 1:
                parts = _telling(tomogram.path.parent.parts[1:], folders)
                own = _free("_".join([*parts, name])[-LONGEST_NAME:], taken)
                taken.add(own)
            named.append(replace(tomogram, name=own))
    return sorted(named, key=lambda one: one.name)


def _free(name, taken):
    """Return a name, or the name with the first number that is not taken."""
    number, own = 1, name
    while own in taken:
        number += 1
        own = f"{name}_{number}"
    return own


def _telling(folder, folders):
    """Return the nearest folder whose name tells some tomograms apart, or all of them.

    Parameters
    ----------
    folder : tuple of str
        Parts of the folder of a tomogram.
    folders : list of tuple of str
        Those of all of its name.
    """
    for up in range(1, max(map(len, folders)) + 1):
        if len({parts[-up:][:1] for parts in folders}) == len(folders):
            return folder[-up:][:1]
    return folder
