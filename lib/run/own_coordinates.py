"""The options of coordinates that take the place of the search, or are left out."""

from dataclasses import dataclass

from lib.run.config import Real, option


@dataclass(frozen=True)
class CoordinateSettings:
    """Files of coordinates, and what they do not say of themselves.

    Attributes
    ----------
    coords : tuple of str
        Files whose positions are the candidates; none for those of the search.
    exclude_coords : tuple of str
        Files whose positions, and what lies near them, are no candidates.
    """

    coords: tuple = ()
    exclude_coords: tuple = ()
    exclude_distance: float | None = option(
        None,
        "candidates this near to a position of --exclude_coords are left out, in "
        "voxels",
        limits=Real(0, 10_000),
        otherwise="half of --dog_diameter",
    )
    coords_voxel_size: float | None = option(
        None,
        "Angstrom in one unit of the coordinates: the voxel size of the tomogram they "
        "were picked in, the pixel size of the unbinned tilt series for RELION 4, or 1 "
        "for a table in Angstrom. RELION 5 and copick files say it themselves",
        limits=Real(0, 10_000, above=True),
        otherwise="voxels of the tomogram, where the file does not say",
    )
    coords_bin: float | None = option(
        None,
        "the same as a ratio: voxel of the tomogram over unit of the coordinates, such "
        "as 4 for pixels of a tilt series that the tomogram is binned by 4 from",
        limits=Real(0, 1000, above=True),
        otherwise="1, where the file does not say",
    )
    coords_z_axis: str | None = option(
        None,
        "for STAR files: z of the tomograms runs as in RELION and after trimvol -rx, "
        "or the other way, as in the output of IMOD's tilt and with AreTomo's "
        "-FlipVol 1",
        limits=("relion", "reversed"),
        otherwise="reversed for --order xzy, relion for zxy",
    )
    coords_halved: bool = option(
        False,
        "z in txt and csv counts pairs of slices: written after a run with --compress "
        "without --if_double",
    )
