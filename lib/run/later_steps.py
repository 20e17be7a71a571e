"""The options of plots, overlay, session and export that are values, not files."""

from dataclasses import dataclass

from lib.run.candidate_options import ORDER_NAMES
from lib.run.config import Real, Whole, option
from lib.run.options import MOST

PORT = Whole(1, 65535)


@dataclass(frozen=True)
class PlotOptions:
    """How the embedding is clustered and drawn."""

    mode: str = option(
        "umap",
        "umap keeps neighborhoods and the overall arrangement; tsne separates small "
        "groups and is slower above 20,000 candidates; the 3-D layout of the session "
        "is by umap in either",
        limits=("umap", "tsne"),
    )
    n_cluster: int = option(
        48,
        "number of clusters: several for each molecule you expect, to be joined later",
        limits=Whole(1, MOST),
    )
    num_neighbor: int = option(
        40,
        "neighbors of a point that the map keeps; smaller shows finer groups, larger "
        "the whole; the perplexity of t-SNE is a third of it",
        limits=Whole(2, MOST),
    )
    min_dist_umap: float = option(
        0.5,
        "minimum distance of points in UMAP, 0 to 1; smaller packs groups tighter",
        limits=Real(0, 1),
    )
    min_dist_vis: float = option(
        1.3e-3,
        "minimum squared distance of two thumbnails on the unit map; larger shows "
        "fewer",
        limits=Real(0, 2),
    )
    host: int = option(
        7000,
        "port of the image links in the table, for those who serve imgs/ themselves; "
        "the interactive session needs none",
        limits=PORT,
    )


@dataclass(frozen=True)
class OverlayOptions:
    """How the colors of the map are painted into the tomograms."""

    order: str | None = option(
        None,
        "axes of the tomogram files",
        limits=(*ORDER_NAMES, "auto"),
        otherwise="as the run read them, else xzy",
    )
    blend: float = option(
        0.6,
        "weight w of the gray tomogram in w x gray + (1 - w) x colors of the picture",
        limits=Real(0, 1),
    )
    radius: int = option(
        12,
        "radius of a disc in voxels: about that of the particle",
        limits=Whole(1, 1000),
    )


@dataclass(frozen=True)
class SessionOptions:
    """Where the interactive session is, and what it shows."""

    port: int | None = option(
        None, "port of the page", limits=PORT, otherwise="first free from 6006 on"
    )
    host: str = option(
        "127.0.0.1", "loopback address to listen on; reach it from home through ssh -L"
    )
    images: str = option(
        "session",
        "of Phoenix's page: session: the session serves imgs/ itself; url: keep the "
        "links of the table, served by a web server of your own",
        limits=("session", "url"),
    )
    page: str = option(
        "explorer",
        "what opens: the explorer, or Phoenix's page, which needs arize-phoenix",
        limits=("explorer", "phoenix"),
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
        limits=ORDER_NAMES,
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
