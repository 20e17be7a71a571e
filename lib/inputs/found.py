"""What was found below folders: tomograms with what belongs to them, and the rest."""

from dataclasses import dataclass, field
from pathlib import Path

from lib.inputs.mrc import MrcInfo


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
