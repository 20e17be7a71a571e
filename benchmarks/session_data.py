"""A run of any size for the speed of the session: clusters, patches, 20 tomograms."""

import os

import numpy as np

from lib.artifacts import Columns, ExperimentDir, InteractiveTable
from lib.maps.averages import cluster_averages, typical_rows
from lib.picking.likeness import unit_float16
from tests.mrc_files import write_mrc
from tests.records import make_record

TOMOGRAMS = 20
SHAPE = (256, 512, 512)  # (Z, Y, X) of each tomogram, float32
CLUSTERS = 48
DIM = 128
BOX = 24
DISTINCT = 3000  # patches; they are repeated


def write_synthetic_run(folder, count, seed=0):
    """Write what plot_2d.py leaves for the session, of candidates that were made up.

    Parameters
    ----------
    folder : Path
    count : int
        Candidates.
    seed : int

    Returns
    -------
    Path
        The table.
    """
    rng = np.random.default_rng(seed)
    run = ExperimentDir(folder / "run")
    run.root.mkdir(parents=True)
    label = rng.integers(0, CLUSTERS, count)
    tomogram = np.sort(rng.integers(0, TOMOGRAMS, count))
    names = [f"tomo{number:02d}" for number in range(TOMOGRAMS)]
    embeddings = rng.standard_normal((count, DIM), np.float32) / 3
    embeddings += rng.standard_normal((CLUSTERS, DIM), np.float32)[label]
    pictures = [f"http://localhost:7000/imgs/{row}.png" for row in range(count)]
    table = InteractiveTable(
        name=np.array(names)[tomogram],
        coord=rng.integers(0, SHAPE[::-1], (count, 3)),
        embeddings=embeddings,
        label=label,
        image=np.array(pictures),
        record=make_record(
            {name: _facts(folder / f"{name}.mrc") for name in names}, compress=False
        ),
        map_xy=_blobs(rng, label, 2),
        cloud=_blobs(rng, label, 3),
    )
    _write_tomograms([folder / f"{name}.mrc" for name in names], rng)
    table.save(run.interactive_table)
    unit, _ = unit_float16(embeddings)
    gray = rng.integers(60, 200, (min(count, DISTINCT), BOX, BOX), np.uint8)
    gray = np.resize(gray, (count, BOX, BOX))
    members = typical_rows(unit, label, CLUSTERS)
    Columns(
        names=names,
        numbers=list(range(CLUSTERS)),
        tomogram=tomogram,
        cluster=label,
        coord=table.coord,
        map_xy=table.map_xy,
        cloud=table.cloud,
        unit=unit,
        examples=members[:, :3],
        means=cluster_averages(gray, members),
        patches={"slab": gray},
        layout={"map": "umap", "cloud": "umap"},
    ).save(run.columns, layout_id=table.layout_id)
    return run.interactive_table


def forget(folder):
    """Let the system drop the files of a folder from memory, as after a day."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _facts(path):
    facts = {"rec_path": str(path), "order": "zxy", "shape": list(SHAPE)}
    return {**facts, "voxel_size": 10.0}


def _blobs(rng, label, axes):
    """Return positions 0 to 1, in a blob for each cluster, as a map has them."""
    centers = rng.uniform(0.1, 0.9, (CLUSTERS, axes))
    spread = rng.standard_normal((len(label), axes), np.float32) * 0.025
    return (centers[label] + spread).clip(0, 1).astype(np.float32)


def _write_tomograms(paths, rng):
    """Write one tomogram, under all names: noise is as slow to read as any."""
    write_mrc(paths[0], rng.standard_normal(SHAPE, np.float32))
    for path in paths[1:]:
        path.hardlink_to(paths[0])
