"""Everything that decides which patches there are."""

from dataclasses import dataclass

from lib.errors import OptionError
from lib.modes import MODES
from lib.patches.views import ODD_EVEN_TILTS, SAME_TILTS
from lib.run.candidate_options import PatchSettings
from lib.run.config import options_of
from lib.run.limits import Real, Whole

ONE_SIDE = ("inside", "outside")  # of a mask


@dataclass(frozen=True)
class PatchOptions(PatchSettings):
    """Options of candidates and patches; equal options give equal patches."""

    def __post_init__(self):
        super().__post_init__()
        ascending = all(
            a < b for a, b in zip((0, *self.sigmas), self.sigmas, strict=False)
        )
        if len(self.sigmas) < 2 or not ascending:
            raise OptionError(
                f"--dog {self.sigmas}: two or more positive, ascending sigmas needed"
            )
        for name, setting in options_of(PatchSettings).items():
            limits = setting.metadata["about"].limits
            value = getattr(self, setting.name)
            numeric = isinstance(limits, Whole | Real) and value is not None
            if numeric and not limits.holds(value):
                raise OptionError(f"--{name} {value}: expected {limits}")

    @property
    def context(self):
        """Pixels kept around a box, so that it can be turned without empty corners."""
        return -(-self.box * 21 // 100)  # box (sqrt 2 - 1) / 2, rounded up

    @property
    def edge(self):
        """Edge of a stored patch [px]."""
        return self.box + 2 * self.context

    @property
    def views(self):
        """Number of views of a candidate."""
        return len(MODES[self.mode].views)

    @property
    def needs_tilts(self):
        """Whether patches are cut from tilt series too."""
        return MODES[self.mode].needs_tilts

    @property
    def needs_mask(self):
        """Whether candidates are chosen by a mask."""
        return self.mask_side in ONE_SIDE or self.mask_distance is not None

    @property
    def in_view(self):
        """Whether candidates are searched in the copy to look at."""
        return self.search_in == "view"

    @property
    def pairing(self):
        """How the two views of a pair are cut, see `lib.patches.views`."""
        disjoint = self.disjoint_tilts or self.halves
        return ODD_EVEN_TILTS if disjoint else SAME_TILTS

    @property
    def offsets(self):
        """At which patches are cut; the first is embedded, training needs all."""
        return self.pairing.offsets

    @property
    def patch_shape(self):
        """Offsets, views and edges of what training stores of a candidate."""
        return len(self.offsets), self.views, self.edge, self.edge
