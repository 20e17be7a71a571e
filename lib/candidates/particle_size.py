"""Box, sigmas and distances for particles whose diameter is known in Angstrom.

A plain search has two sigmas in the ratio of the default 3,5, whose response is
greatest at the center of a ball of the given diameter (see
`lib.candidates.dog.widest_diameter`). Diameters that differ get a multi-scale search:
a level for each, and levels between where they lie far apart.
"""

import math
from dataclasses import dataclass

from lib.candidates.dog import widest_diameter
from lib.candidates.multiscale import BLOB_RADIUS
from lib.errors import OptionError, format_names
from lib.inputs.list_warnings import fault_of_size
from lib.inputs.noted_files import SAME_VOXEL

RATIO = 5 / 3  # of the two sigmas
LEVEL_RATIO = 1.5  # greatest one of two sigmas of a multi-scale search
DIFFERENT = 1.3  # from this ratio on, two diameters are searched on their own levels
LEVEL_THRESHOLD = -0.2  # in std: each of the levels finds a part of all particles
BOX = 1.5  # edge of the box, in the largest diameter: its surroundings are seen too
MARGIN = 5 / 6  # in the edge of the box: 30 voxels at 36
SMALLEST, LARGEST = 4.0, 680.0  # diameter that can be found, in voxels


@dataclass(frozen=True)
class ParticleSize:
    """Options that follow from the diameters of particles.

    Attributes
    ----------
    diameters : tuple of float
        Ascending [Angstrom].
    voxel_size : float
        [Angstrom].
    """

    diameters: tuple
    voxel_size: float

    @classmethod
    def in_tomograms(cls, diameters, tomograms, *, voxel_size=None):
        """Take the voxel size from the tomograms of a list.

        Parameters
        ----------
        diameters : sequence of float
            [Angstrom].
        tomograms : list of lib.inputs.tomogram.Tomogram
        voxel_size : float, optional
            As the user gives it, for all of them [Angstrom].

        Returns
        -------
        ParticleSize

        Raises
        ------
        OptionError
            When a voxel size is not known, implausible or another one than the
            others, or a particle has too few or too many voxels.
        """
        voxel_size = voxel_size or _common_voxel_size(tomograms)
        size = cls(tuple(sorted(diameters)), voxel_size)
        for diameter in size.diameters:
            in_voxels = diameter / size.voxel_size
            if not SMALLEST <= in_voxels <= LARGEST:
                few = in_voxels < SMALLEST
                raise OptionError(
                    f"--particle_diameter {diameter:g}: {in_voxels:.3g} voxels at "
                    f"{size.voxel_size:g} A/voxel; expected {SMALLEST:g} to "
                    f"{LARGEST:g}: give tomograms of {'finer' if few else 'coarser'} "
                    "sampling, or the diameter in Angstrom if this was nm"
                )
        return size

    def in_voxels(self):
        """Return the smallest and the largest diameter [voxels]."""
        return (
            self.diameters[0] / self.voxel_size,
            self.diameters[-1] / self.voxel_size,
        )

    @property
    def is_multiscale(self):
        """Whether the diameters differ so much that each needs its level."""
        return self.diameters[-1] >= DIFFERENT * self.diameters[0]

    def options(self):
        """Return the options by name on the command line.

        Returns
        -------
        dict
            ``bbox``, ``dog`` (as it is typed), ``dog_diameter``, ``dog_boundary`` and,
            for a multi-scale search, ``dog_std_multiplier``.
        """
        smallest, largest = self.in_voxels()
        box = max(8, 2 * math.ceil(BOX * largest / 2))
        values = {
            "bbox": box,
            "dog": ",".join(f"{sigma:.3g}" for sigma in self._sigmas()),
            "dog_diameter": max(1, round(smallest)),
            "dog_boundary": round(MARGIN * box),
        }
        if self.is_multiscale:
            values["dog_std_multiplier"] = LEVEL_THRESHOLD
        return values

    def settings(self):
        """Return the options by their fields in `PatchSettings`."""
        values = self.options()
        sigmas = tuple(map(float, values.pop("dog").split(",")))
        return {"box": values.pop("bbox"), "sigmas": sigmas, **values}

    def is_another(self, given):
        """Return whether sigmas and distance were derived from another size.

        Parameters
        ----------
        given : dict
            As of `describe`.
        """
        values = self.options()
        keys = ("dog", "dog_diameter")
        return all(given.get(key, values[key]) != values[key] for key in keys)

    def describe(self, typed, given):
        """Return a line of the options that follow.

        Parameters
        ----------
        typed : str
            The diameters as the user typed them.
        given : dict
            Options that the user gave as well, by name; they stand.
        """
        options = [
            f"--{name} {given[name]} (given)" if name in given else f"--{name} {value}"
            for name, value in self.options().items()
        ]
        voxel_size = f"{self.voxel_size:g} A/voxel"
        return f"particle diameter {typed} A at {voxel_size}: {' '.join(options)}"

    def _sigmas(self):
        low, high = self.in_voxels()
        if not self.is_multiscale:
            sigma = math.sqrt(low * high) / widest_diameter((1.0, RATIO))
            return sigma, RATIO * sigma
        first, last = low / 2 / BLOB_RADIUS, high / 2 / BLOB_RADIUS
        steps = math.ceil(math.log(last / first) / math.log(LEVEL_RATIO))
        inner = [first * (last / first) ** (i / steps) for i in range(steps + 1)]
        return (first / LEVEL_RATIO, *inner, last * LEVEL_RATIO)


def _common_voxel_size(tomograms):
    """Return the voxel size that all tomograms have."""
    unknown = [one.name for one in tomograms if not one.voxel_size]
    if unknown:
        raise OptionError(
            f"--particle_diameter needs the voxel size, which {format_names(unknown)} "
            "lack in their headers: give it with --voxel_size"
        )
    for one in tomograms:
        from_header = one.voxel_size == one.info.voxel_size
        if from_header and (fault := fault_of_size(one.info)):
            raise OptionError(
                f"--particle_diameter needs the voxel size; {one.name} has {fault}: "
                "give the true one with --voxel_size"
            )
    small = min(tomograms, key=lambda one: one.voxel_size)
    large = max(tomograms, key=lambda one: one.voxel_size)
    if large.voxel_size > SAME_VOXEL * small.voxel_size:
        raise OptionError(
            f"--particle_diameter needs one voxel size; {small.name} has "
            f"{small.voxel_size:g} A, {large.name} {large.voxel_size:g} A: bring them "
            "to one, explore them in lists of their own, or give --voxel_size if the "
            "headers are wrong"
        )
    return small.voxel_size
