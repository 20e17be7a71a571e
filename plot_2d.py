"""Cluster the embedding and draw its maps: pictures, colors, table, patches."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import ArtifactError, run_script, warn
from opts import plot_options

OTHER_FILES = 40  # beside a picture of each candidate
MOST_PICTURES = 200_000  # with more, the patches are packed into one file
BLOCK = 4096  # bytes of the disk that a file may leave unused
# Both maps and the 3-D layout, which is by UMAP in both modes and takes a quarter of
# what two maps by UMAP take; on a core of 2023 (one of 2020: 0.005 and 0.011).
SECONDS_A_ROW = {"umap": 0.003, "tsne": 0.007}
# Of many rows: of each pair of them to find the neighbors exactly, of each row to find
# them approximately; of each row for UMAP's graphs, and for the layouts. Same core.
MANY = {"pair": 8e-9, "search": 3.4e-4, "graphs": 1e-4, "layouts": 3.5e-4}


def main():
    """Read all_output_info.npz; write what the maps and the session need."""
    options = plot_options()

    from lib.artifacts import EmbeddingTable, ExperimentDir
    from lib.maps.clustering import over_cluster
    from lib.maps.layout import is_collapsed, unit_rows
    from lib.maps.neighbors import kept_neighbors
    from lib.pictures.colormap import plane_colors
    from lib.pictures.patch_pictures import gray_levels, writing_patch_pictures
    from lib.system.preflight import check_environment

    table = EmbeddingTable.load(options.input)
    if not len(table):
        raise ArtifactError(f"{options.input} has no candidates; embed again")
    experiment = ExperimentDir(options.path)
    packed = len(table) > MOST_PICTURES and not options.png
    check_environment(
        {experiment.root: "--path"},
        room=room_needed(table),
        files=OTHER_FILES + (0 if packed else len(table)),
    )
    if packed:
        print(
            f"{len(table):,} patches go into one file, which the session serves behind "
            "the same links (--png: a file each, to serve imgs/ without it)"
        )
    vectors = unit_rows(table.pred)
    alarm = health_alarm(table, is_collapsed(vectors))
    if alarm:
        warn(alarm)
    labels = over_cluster(vectors, n_cluster=options.n_cluster, seed=options.seed)
    print(f"{len(table):,} candidates in {labels.max() + 1} clusters")

    fingerprint, gray = table.fingerprint, gray_levels(table.subvol)
    with writing_patch_pictures(
        experiment.patch_pictures,
        gray,
        fingerprint=fingerprint,
        workers=options.num_workers,
        packed=packed,
    ):
        layout = choose_projection(options, len(vectors))
        neighbors = kept_neighbors(
            experiment.neighbors, vectors, layout.n_neighbors, fingerprint=fingerprint
        )
        if neighbors.recall < 1:
            print(f"{neighbors.recall:.2%} of the nearest neighbors were found")
        map_xy, labeled, cloud = project_all(vectors, labels, layout, neighbors)
        caption = write_caption(table, options, layout, alarm)
        draw(experiment, options, vectors, labels, gray, map_xy, labeled, caption)
        save_colors(experiment.colors, plane_colors(map_xy), fingerprint)
    save_for_session(experiment, table, labels, map_xy, cloud, gray, options, layout)
    for path in (experiment.map_picture, experiment.label_picture):
        print(f"look at {path}")


def health_alarm(table, collapsed):
    """Return why the map cannot be trusted, or an empty string."""
    if collapsed:
        return (
            "all embeddings are equal to within rounding: the map is random and means "
            "nothing; train longer, or use another checkpoint"
        )
    health = table.record.health
    return "" if health.is_good else health.message or f"the model is {health.verdict}"


def choose_projection(options, n):
    """Return how to project `n` candidates, and print how long it will take."""
    from lib.maps.layout import ProjectionOptions

    n_neighbors = max(2, min(options.num_neighbor, n - 1))
    if n_neighbors < options.num_neighbor:
        print(f"--num_neighbor is reduced to {n_neighbors}: there are {n} candidates")
    print(
        f"computing two maps by {options.mode}, and the 3-D layout: about "
        f"{seconds_needed(n, options.mode) / 60:.1f} minutes on idle cores"
    )
    return ProjectionOptions(
        options.mode, n_neighbors, options.min_dist_umap, options.seed
    )


def seconds_needed(n, mode):
    """Return about how long neighbors and layouts of `n` candidates take here."""
    from lib.maps.layout import N_OWN_OPTIMIZER
    from lib.maps.neighbors import N_EXACT_NEIGHBORS, THREADS
    from lib.system.machine import usable_cores

    if mode == "tsne" or n <= N_OWN_OPTIMIZER:
        return 15 + n * SECONDS_A_ROW[mode]
    exact = n <= N_EXACT_NEIGHBORS
    search = n * n * MANY["pair"] if exact else 60 + n * MANY["search"]
    cores = usable_cores()
    beyond_cache = max(1, n / 100_000) ** 0.25
    layouts = n * (MANY["graphs"] + MANY["layouts"] * beyond_cache / cores)
    return 25 + search / min(THREADS, cores) + layouts


def project_all(vectors, labels, layout, neighbors):
    """Return the plain map, the map supervised by labels, and the 3-D layout."""
    from lib.maps.layout import project_2d, project_3d

    map_xy = project_2d(vectors, layout, neighbors=neighbors)
    labeled = project_2d(
        vectors, layout, neighbors=neighbors, labels=labels, start=map_xy
    )
    return map_xy, labeled, project_3d(vectors, layout, neighbors=neighbors)


def room_needed(table):
    """Return the bytes of what is written beside the pictures of the maps."""
    patches = table.subvol.size * (2 if table.subvols_2d is None else 3)
    return patches + (BLOCK + 8 * table.pred.shape[1]) * len(table)


def write_caption(table, options, layout, alarm):
    """Return the caption: the run, the number of candidates, and the method."""
    from lib.pictures.canvas import Caption

    folder = options.input.resolve().parent
    run = table.record.exp_id or folder.name
    mode = table.record.options.patches.mode or folder.parent.name
    tomograms = len(set(table.name.tolist()))
    plural = "" if tomograms == 1 else "s"
    method = {
        "umap": f"UMAP, {layout.n_neighbors} neighbors, distance {layout.min_dist:g}",
        "tsne": f"t-SNE, perplexity {layout.n_neighbors / 3:.0f}",
    }[layout.mode]
    details = (
        f"{len(table):,} candidates of {tomograms} tomogram{plural}  ·  {method}, "
        f"seed {layout.seed}"
    )
    return Caption(f"{run}  ·  {mode}", details, alarm)


def draw(experiment, options, vectors, labels, gray, map_xy, labeled, caption):
    """Draw both maps."""
    from lib.pictures.colormap import plane_colors
    from lib.pictures.map_pictures import draw_label_map, draw_map

    draw_map(
        experiment.map_picture,
        map_xy,
        gray,
        min_dist=options.min_dist_vis,
        caption=caption,
    )
    draw_label_map(
        experiment.label_picture,
        labeled,
        labels,
        gray,
        vectors=vectors,
        colors=plane_colors(map_xy),
        caption=caption,
    )


def save_colors(path, colors, fingerprint):
    """Write all_colors.npy and the fingerprint of its rows."""
    import numpy as np

    from lib.artifacts import atomic_write, fingerprint_path, write_fingerprint

    record = fingerprint_path(path)
    record.unlink(missing_ok=True)  # valid only once both files are complete
    with atomic_write(path) as stream:
        np.save(stream, colors)
    write_fingerprint(record, fingerprint=fingerprint, rows=len(colors))


def save_for_session(experiment, table, labels, map_xy, cloud, gray, options, layout):
    """Write the table of the interactive session, and the same as columns."""
    import numpy as np

    from lib.artifacts import Columns, InteractiveTable, remove_at_once
    from lib.artifacts.measures import shown_numbers
    from lib.maps.averages import cluster_averages, typical_rows
    from lib.picking.likeness import unit_float16
    from lib.pictures.patch_pictures import gray_levels

    pictures = experiment.patch_pictures.name
    links = [
        f"http://localhost:{options.host}/{pictures}/{i}.png" for i in range(len(table))
    ]
    shown = InteractiveTable(
        name=table.name,
        coord=table.coords,
        embeddings=table.pred,
        label=labels,
        image=np.array(links),
        record=table.record,
        map_xy=map_xy,
        cloud=cloud,
        measures=table.measures,
        given_score=table.given_score,
        given_label=table.given_label,
    )
    names, tomogram = np.unique(table.name, return_inverse=True)
    numbers, cluster = np.unique(labels, return_inverse=True)
    patches = {"slab": gray}
    if table.subvols_2d is not None:
        patches["tilt"] = gray_levels(table.subvols_2d)
    unit, _ = unit_float16(table.pred)
    members = typical_rows(unit, cluster, len(numbers))
    remove_at_once(experiment.columns)  # they belong to the table that is replaced
    shown.save(experiment.interactive_table)
    Columns(
        names=names.tolist(),
        numbers=numbers.tolist(),
        tomogram=tomogram,
        cluster=cluster,
        coord=table.coords,
        map_xy=map_xy,
        cloud=cloud,
        unit=unit,
        examples=members[:, :3],
        means=cluster_averages(gray, members),
        patches=patches,
        layout={"map": layout.mode, "cloud": "umap"},
        measures=shown_numbers(table),
    ).save(experiment.columns, layout_id=shown.layout_id)


if __name__ == "__main__":
    run_script(main)
