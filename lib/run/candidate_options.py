"""The options of candidates and patches, and of coordinates in place of the search."""

from dataclasses import dataclass

from lib.axis_orders import DEFAULT_ORDER, ORDERS
from lib.run.config import option
from lib.run.limits import Numbers, Real, Whole


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

    coords: tuple = option(
        (),
        "files of coordinates to use as candidates, in place of the search: exports "
        "of the session or their folder, training_coordinates.txt, csv, STAR of RELION "
        "4 and 5, IMOD, copick json, ndjson of the CryoET portal",
        kind="file",
        count="+",
        repeats="all",
        metavar="FILE",
    )
    exclude_coords: tuple = option(
        (),
        "files, as of --coords: candidates near one of their positions are left out",
        kind="file",
        count="+",
        repeats="all",
        metavar="FILE",
    )
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
        kind="switch",
    )


@dataclass(frozen=True)
class PatchSettings:
    """What decides the candidates and their patches.

    Attributes
    ----------
    mode : str
        Key of `lib.modes.MODES`.
    box, sigmas, gauss, dog_diameter, dog_boundary : int, float or tuple of float
        Lengths [voxels].
    tilt_range : float
        [degrees].
    disjoint_tilts : bool
        Whether the two views of a pair are of different tilts.
    """

    mode: str | None = None
    box: int = option(
        36,
        "edge of a patch in voxels, even; 1.5 to 2 times the particle",
        name="bbox",
        limits=Whole(8, 1024, even=True),
    )
    sigmas: tuple = option(
        (3.0, 5.0),
        "sigmas of the Gaussians in voxels, ascending; the response of a particle of "
        "radius r is largest at about r / 1.7. With four or more, such as "
        "2,3,4.5,7,10, small, large and hollow particles are found together, one "
        "candidate at the center of each; then lower --dog_std_multiplier to -0.2",
        name="dog",
        limits=Numbers(
            Real(0.1, 200),
            least=2,
            ascending=True,
            expected="two or more sigmas, such as 3,5: candidates come from a "
            "difference of Gaussians",
        ),
    )
    gauss: float = option(
        0.8,
        "sigma in voxels of the Gaussian that denoises tomogram and tilt images; "
        "above 1.5 small particles fade",
        limits=Real(0, 50),
    )
    order: str = option(
        DEFAULT_ORDER,
        "axes of the tomogram file: xzy as IMOD's tilt and AreTomo write it by "
        "themselves, zxy after trimvol -rx, from AreTomo with -FlipVol, and from Warp "
        "and RELION; auto chooses by the shapes. A given order is used unless the tilt "
        "images contradict it",
        limits=(*ORDERS, "auto"),
        otherwise=f"{DEFAULT_ORDER}, where z is then the shortest axis",
    )
    compress: bool = option(
        False,
        "merge slice pairs along z (for thick or finely sampled tomograms)",
        kind="switch",
    )
    bright: bool = option(False, "particles are bright, not dark", kind="switch")
    dog_diameter: int = option(
        14,
        "minimum distance between two candidates, in voxels: the particle diameter",
        limits=Whole(1, 10_000),
    )
    dog_boundary: int = option(
        30,
        "margin in x and y without candidates, in voxels",
        limits=Whole(0, 10_000),
    )
    dog_std_multiplier: float = option(
        0.5,
        "threshold above the mean response, in standard deviations; larger finds fewer "
        "candidates",
        limits=Real(-(10**9), 10**9),
    )
    tilt_range: float = option(
        20.0,
        "2d3d: the tilt view is made from tilts within +- this many degrees",
        limits=Real(0, 90),
        otherwise="40, and 20 with --recipe simsiam",
    )
    flip_tilt_angles: bool = option(
        False,
        "2d3d: the angle file has the opposite sign (Warp), or the tomogram is a "
        "mirror image (AreTomo's -FlipVol 1), which looks the same in projection",
        kind="switch",
    )
    keep_gold: bool = option(
        False,
        "keep gold beads as candidates; by default they are detected, counted and "
        "left out",
        kind="switch",
    )
    halves: bool | None = option(
        None,
        "3d: cut the two views of a positive pair from rec_even and rec_odd of the "
        "image list, so that they share no noise",
        kind="switch",
        otherwise="no",
    )
    mask_side: str | None = option(
        None,
        "with mask_path in the image list: candidates on this side of the border of "
        "the mask",
        limits=("both", "inside", "outside"),
        otherwise="both",
    )
    mask_distance: float | None = option(
        None,
        "with mask_path: candidates within this many voxels of the border of the mask",
        limits=Real(0, 10_000),
        otherwise="any distance",
    )
    search_in: str | None = option(
        None,
        "search candidates in rec_path, or in view_path of the image list (denoised, "
        "wedge filled in); patches are cut from rec_path either way",
        limits=("rec", "view"),
        otherwise="rec",
    )
    disjoint_tilts: bool = False

    def __post_init__(self):
        if self.sigmas is not None:
            object.__setattr__(self, "sigmas", tuple(self.sigmas))
