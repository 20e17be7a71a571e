"""How programs name their files: endings and suffixes, as data.

- IMOD: ``NAME.rec`` or ``NAME_rec.mrc`` (``NAME_full_rec.mrc`` before trimvol),
  ``NAME.ali`` or ``NAME_ali.mrc``, ``NAME.tlt``.
- nextPYP: ``mrc/NAME.rec``, ``mrc/NAME_bin.ali``, ``ali/NAME.tlt``.
- AreTomo 3: ``NAME_Vol.mrc``; the *raw* series is ``NAME.mrc``. With ``-OutImod 3`` the
  aligned one is ``NAME_Imod/NAME_st.mrc``, where ``-OutImod 2`` puts a raw one. AreTomo
  2 names them by the tomogram: ``NAME_rec_Imod/NAME_rec_st.mrc``.
- Warp: ``reconstruction/NAME_10.00Apx.mrc``, halves in ``even`` and ``odd``; the stacks
  in ``tiltstack`` are raw.
- RELION 5: ``tomograms/rec_NAME.mrc``, named by ``tomograms.star``; no stacks.
"""

import re
from dataclasses import dataclass

VOLUMES = (".rec", ".mrc")
SERIES = (".ali",)
ANGLES = (".tlt", ".rawtlt", "_TLT.txt")  # the best first
RAW_SERIES = (".st", ".preali", ".mrcs")
TRANSFORMS = (".xf",)
STAR = ".star"
RELION_LIST = "tomograms.star"
RECORDED = ".mdoc"  # behind the whole name of a series from the microscope

HALVES = {"even": "even", "evn": "even", "half1": "even"}
HALVES |= {"odd": "odd", "half2": "odd"}
PROCESSED = {"dn", "den", "denoised", "deconv", "deconvolved", "corrected", "isonet"}
PROCESSED |= {"filt", "filtered", "cryocare", "ddw", "n2n", "sirt"}
LABELS = {"seg", "segmented", "segmentation", "mask", "bmask", "label", "labels"}
LABELS |= {"thick", "scores", "projxy", "projxz", "projyz", "3dfind"}
RECONSTRUCTED = {"rec", "vol"}
UNTRIMMED = {"full"}
ALIGNED = {"ali", "aligned"}
STACK = "st"  # NAME_rec_st.mrc is the series of NAME_rec.mrc, of AreTomo 2
STACKS = {STACK, "bin", "preali", "orig", "raw", "fixed"}  # images, unless in a .rec
FURTHER = ("2nd", "3rd")  # volumes of AreTomo 3, binned otherwise
SAMPLINGS = re.compile(r"\d+(\.\d+)?apx|b(in)?\d+|2nd|3rd", re.IGNORECASE)
PIXEL = re.compile(r"(\d+(\.\d+)?)apx", re.IGNORECASE)
WORDS = set(HALVES) | PROCESSED | LABELS | RECONSTRUCTED | UNTRIMMED | ALIGNED | STACKS
LAST_WORD = re.compile(r"(.+)[_-]([^_-]+)")
# Whole names: what etomo cuts to position tomograms, and what it combines them from.
WORK_NAMES = {f"{name}{axis}" for name in ("top", "mid", "bot") for axis in ("", *"ab")}
WORK_NAMES |= {"sum", "matchcheck"}
IMOD_FOLDER = "_Imod"  # behind the name of a series, of AreTomo


@dataclass(frozen=True)
class FileName:
    """What a file name says.

    Attributes
    ----------
    name : str
        Of the tilt series; only known suffixes are taken off, so that dots stay.
    ending : str
        With its dot, as in the tables of this module; without ``.gz``.
    words : frozenset of str
        Known suffixes, and the name of the folder where it is such a word.
    sampling : str
        Suffix that names a binning or voxel size, or nothing.
    """

    name: str
    ending: str
    words: frozenset
    sampling: str = ""

    @property
    def half(self):
        """``even``, ``odd`` or None."""
        return next((HALVES[word] for word in self.words if word in HALVES), None)

    @property
    def is_reconstruction(self):
        """Whether the name alone says that it is a tomogram."""
        warp = PIXEL.fullmatch(self.sampling)
        called_so = self.words & RECONSTRUCTED and STACK not in self.words
        return bool(self.ending == ".rec" or called_so or warp)

    @property
    def is_aligned(self):
        """Whether the name says that it is an aligned tilt series."""
        return self.ending in SERIES or bool(self.words & ALIGNED)

    @property
    def is_stack(self):
        """Whether the name says that it is a tilt series that is not aligned."""
        return self.ending in RAW_SERIES or bool(self.words & STACKS)

    @property
    def program(self):
        """Program that names its tomograms so, as far as one can tell."""
        if PIXEL.fullmatch(self.sampling):
            return "Warp"
        if "vol" in self.words:
            return "AreTomo"
        return "IMOD" if self.is_reconstruction else ""


def parse_name(file_name, folder):
    """Take a file name apart.

    Parameters
    ----------
    file_name : str
    folder : str
        Name of its folder.

    Returns
    -------
    FileName or None
        None for files that no list needs.
    """
    bare = file_name[:-3] if file_name.lower().endswith(".gz") else file_name
    known = (*VOLUMES, *SERIES, *ANGLES, *RAW_SERIES, *TRANSFORMS)
    ending = next((e for e in known if bare.lower().endswith(e.lower())), None)
    if ending is None or len(bare) == len(ending):
        return None
    name, words, sampling = bare[: -len(ending)], set(), ""
    while match := LAST_WORD.fullmatch(name):
        before, word = match.groups()
        if SAMPLINGS.fullmatch(word):
            sampling = word
        elif word.lower() in WORDS:
            words.add(word.lower())
        else:
            break
        name = before
    if folder.lower() in HALVES.keys() | PROCESSED:
        words.add(folder.lower())
    if folder == "tomograms" and name.startswith("rec_") and ending == ".mrc":
        name = name.removeprefix("rec_")  # RELION's
        words.add("rec")
    return FileName(name, ending, frozenset(words), sampling)


def base_folder(folder):
    """Return the folder that a file belongs to: its own, or the one around it.

    Halves, processed copies and what AreTomo writes for IMOD have folders of their own
    beside the tomograms.
    """
    own = folder.name.lower() in HALVES.keys() | PROCESSED
    return folder.parent if own or folder.name.endswith(IMOD_FOLDER) else folder
