"""The options of what is picked, and of the format that it is exported in."""

from dataclasses import dataclass

from lib.axis_orders import ORDERS
from lib.run.config import option
from lib.run.limits import MOST, Numbers, Real, Text, Whole

_RANGE = r"\s*\d{1,9}\s*(-\s*\d{1,9}\s*)?"
_CLUSTERS = Text(f"{_RANGE}(,{_RANGE})*", "clusters and ranges of them, such as 3,7-9")


@dataclass(frozen=True)
class PickingOptions:
    """Which candidates are written, and from which files they are taken."""

    input: tuple = option(
        (),
        "exports of the session, or folders of them, or interactive_info_parquet.gzip "
        "with --class or --labels",
        kind="path",
        count="+",
        required=True,
    )
    output: str | None = option(
        None, "file of the coordinates", kind="plain path", required=True
    )
    if_double: bool = option(
        False,
        "double z in txt and csv: for tomograms that were read with --compress. The "
        "other formats undo --compress by themselves where the run knows of it; for "
        "exports that say nothing, give this",
        kind="flag",
    )
    named: str | None = option(
        None,
        "a class that was named in the session, without exporting it there; --input "
        "is the table of that session, or the folder of its run. With --min_score or "
        "--top, all candidates that the class was taught to find",
        name="class",
        dest="named",
        metavar="NAME",
    )
    like: tuple | None = option(
        None,
        "score all candidates of the table --input by their likeness to those in "
        "these exports, of this run or of another one with the same weights; with "
        "--top or --min_score",
        kind="path",
        count="+",
        metavar="PICKS",
    )
    teach: tuple | None = option(
        None,
        "the same from an export (or folder of them) of examples, and one of "
        "counterexamples",
        kind="path",
        count=2,
        metavar=("YES", "NO"),
    )
    top: int | None = option(
        None,
        "only the N candidates with the highest scores",
        limits=Whole(1, MOST),
        metavar="N",
    )
    min_score: float | None = option(
        None, "only candidates whose score is this or more", limits=Real(-1, 1)
    )
    labels: str | None = option(
        None, "only these clusters, such as 3,7-9", limits=_CLUSTERS
    )
    exclude_labels: str | None = option(
        None, "all but these clusters, such as 0,12-15", limits=_CLUSTERS
    )


@dataclass(frozen=True)
class ExportOptions:
    """The format of the coordinates, and what it needs to know of the tomograms."""

    format: str | None = option(
        None,
        "txt: for the refinement module; star: RELION 4; star5: RELION 5; imod: for "
        "point2model; ndjson: CryoET portal",
        limits=("txt", "star", "star5", "csv", "imod", "ndjson"),
        otherwise="by --output's ending, else txt",
    )
    order: str | None = option(
        None,
        "axes of the tomogram files, for star, star5, imod and ndjson",
        limits=tuple(ORDERS),
        otherwise="as the run read them",
    )
    z_axis: str | None = option(
        None,
        "for star and star5: z of the tomograms runs as in RELION and after trimvol "
        "-rx, or the other way, as in the output of IMOD's tilt and with AreTomo's "
        "-FlipVol 1",
        limits=("relion", "reversed"),
        otherwise="reversed for --order xzy, relion for zxy",
    )
    voxel_size: float | None = option(
        None,
        "voxel size in Angstrom, for star5",
        limits=Real(0, 10_000, above=True),
        otherwise="that of the run",
    )
    bin: float = option(
        1.0,
        "binning of the tomogram with respect to the tilt series of RELION",
        limits=Real(0, 1000, above=True),
    )
    tomo_size: str | None = option(
        None,
        "x,y,z of the tomograms in voxels, for star5 and where z is mirrored",
        limits=Numbers(
            Whole(1, 999_999), least=3, most=3, expected="x,y,z such as 960,928,300"
        ),
        otherwise="what the run knows",
    )
