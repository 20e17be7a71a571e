"""The two modes of the project as data: what each reads, sees and trains."""

from dataclasses import dataclass

DEPTHS = (18, 34, 50)  # layers of the ResNet; the first is the default


@dataclass(frozen=True)
class Mode:
    """What distinguishes one mode from the other.

    Attributes
    ----------
    name : str
        On the command line, in folder names, checkpoints and npz files.
    views : tuple of str
        Views of a candidate, keys of `lib.patches.views.VIEWS`. The last one is
        of the tomogram.
    needs_tilts : bool
        Whether the mode reads tilt series beside the tomograms.
    arch_stem : str
        Start of ``--arch``; the depth follows.
    shortcut_norm : bool
        Whether the shortcuts of the network have a batch norm.
    """

    name: str
    views: tuple
    needs_tilts: bool
    arch_stem: str
    shortcut_norm: bool

    @property
    def architectures(self):
        """Values of ``--arch``, the default first."""
        return tuple(self.architecture(depth) for depth in DEPTHS)

    def architecture(self, depth):
        """Return the value of ``--arch`` for a depth of `DEPTHS`."""
        return f"{self.arch_stem}_{depth}"

    def depth(self, arch):
        """Return the depth of an architecture; None if it is not of this mode."""
        return {self.architecture(depth): depth for depth in DEPTHS}.get(arch)


SIMSIAM2D3D = Mode(
    name="simsiam2d3d",
    views=("tilt", "slab"),
    needs_tilts=True,
    arch_stem="simsiam2d3d",
    shortcut_norm=True,
)
# The shortcuts of MiLoPYP's 3-D network have no batch norm.
SIMSIAM3D = Mode(
    name="simsiam3d",
    views=("thick_slab",),
    needs_tilts=False,
    arch_stem="simsiam2d",
    shortcut_norm=False,
)
MODES = {mode.name: mode for mode in (SIMSIAM2D3D, SIMSIAM3D)}
