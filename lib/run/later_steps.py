"""The options of plots, overlay and session."""

from dataclasses import dataclass

from lib.axis_orders import DEFAULT_ORDER, ORDERS
from lib.run.config import option
from lib.run.limits import MOST, Real, Text, Whole

PORT = Whole(1, 65535)


def _image_list():
    return option(
        None, "image list that names the tomograms instead", kind="plain path"
    )


@dataclass(frozen=True)
class PlotOptions:
    """What is clustered and drawn, and how."""

    input: str | None = option(
        None, "all_output_info.npz of inference", kind="path", required=True
    )
    path: str | None = option(
        None, "folder of all output", kind="path", otherwise="that of --input"
    )
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
    png: bool = option(
        False,
        "write a PNG of each patch to imgs/ above 200,000 candidates, too: for those "
        "who serve imgs/ themselves; the session serves them from one file",
        kind="flag",
    )
    num_workers: int | None = option(
        None,
        "processes that write the patches in imgs/; 0 for none but this one",
        limits=Whole(0, 1024),
        otherwise="all usable cores but one, at most 8, and 0 below 2000 patches",
    )


@dataclass(frozen=True)
class OverlayOptions:
    """How the colors of the map are painted, and into which tomograms."""

    input: str | None = option(
        None, "all_output_info.npz of inference", kind="path", required=True
    )
    color: str | None = option(
        None, "all_colors.npy", kind="path", otherwise="beside --input"
    )
    dir_simsiam: str | None = option(
        None, "folder of output", kind="path", otherwise="that of --input"
    )
    rec_dir: str | None = option(
        None,
        "folder of the tomograms, named <tomo><--ext>",
        kind="path",
        otherwise="where the run found them",
    )
    image_txt: str | None = _image_list()
    ext: str | None = option(
        None, "ending of the tomograms in --rec_dir", otherwise=".rec, then .mrc"
    )
    only: tuple | None = option(
        None,
        "paint only these tomograms: each takes six bytes a voxel of disk",
        kind="names",
        metavar="TOMO,...",
    )
    order: str | None = option(
        None,
        "axes of the tomogram files",
        limits=(*ORDERS, "auto"),
        otherwise=f"as the run read them, else {DEFAULT_ORDER}",
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

    input: str | None = option(
        None, "interactive_info_parquet.gzip", kind="path", required=True
    )
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
    rec_dir: str | None = option(
        None,
        "folder of the tomograms",
        kind="path",
        otherwise="where the run found them",
    )
    image_txt: str | None = _image_list()
    allow_host: tuple | None = option(
        None,
        "name of a proxy in front of the session, such as that of JupyterHub; may be "
        "given several times",
        limits=Text(
            r"[\w-]+(\.[\w-]+)*",
            "the name of a host alone, such as hub.example.org",
        ),
        repeats="each",
        metavar="NAME",
    )
