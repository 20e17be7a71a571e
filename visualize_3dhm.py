"""Paint the colors of the map into the tomograms."""

import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import run_script
from opts import PROJECT, heatmap_options


def main():
    """Write two volumes and a picture for each tomogram; print how to view them."""
    options = heatmap_options()

    from tqdm import tqdm

    from lib.artifacts import EmbeddingTable, ExperimentDir
    from lib.inputs.image_list import listed_tomograms
    from lib.inputs.noted_files import name_other_files
    from lib.overlay.checks import check_job
    from lib.overlay.jobs import check_disk, find_overlay_jobs, load_colors
    from lib.system.preflight import check_environment

    table = EmbeddingTable.load(options.input)
    colors = load_colors(options.color, table, options.input)
    jobs = find_overlay_jobs(
        table,
        rec_dir=options.rec_dir,
        listed=listed_tomograms(options.image_txt, PROJECT),
        ext=options.ext,
        order=options.order,
        only=options.only,
    )
    for job in jobs:  # all are checked before the first is painted
        check_job(job, table)
    recorded = {job.name: job.recorded for job in jobs}
    if line := name_other_files(recorded, {job.name: job.path for job in jobs}):
        print(line)
    experiment = ExperimentDir(options.dir_simsiam)
    check_environment({experiment.root: "--dir_simsiam"}, maps=True)
    size = check_disk(jobs, experiment)
    print(f"painting {len(jobs)} tomogram(s): {size / 1e9:.2f} GB in {experiment.root}")
    for job in tqdm(jobs, unit="tomogram", disable=None):
        paint(job, table, colors, experiment, options)
    print("look at both volumes at once with napari (pip install napari[all]):")
    for job in jobs:
        print(f"  {napari_command(experiment, job.name)}")


def paint(job, table, colors, experiment, options):
    """Paint one tomogram: both volumes, then the blended picture of slices."""
    from lib.overlay.checks import is_paired
    from lib.overlay.paint import Markers, paint_tomogram
    from lib.pictures.overlay_slices import draw_blend

    paired = is_paired(table)
    positions = table.coords[job.rows]
    gray_path = experiment.gray_volume(job.name)
    color_path = experiment.heatmap_volume(job.name)
    paint_tomogram(
        job.tomogram.map_voxels(),
        Markers.of(positions, colors[job.rows], options.radius),
        gray_path=gray_path,
        color_path=color_path,
        paired=paired,
    )
    draw_blend(
        experiment.blended_picture(job.name),
        gray_path,
        color_path,
        heights=positions[:, 2] * (2 if paired else 1),
        weight=options.blend,
        voxel_size=job.recorded.voxel_size or job.tomogram.voxel_size,
        title=job.name,
    )
    print(f"look at {experiment.blended_picture(job.name)}")


def napari_command(experiment, name):
    """Return the command that shows both volumes as layers."""
    volumes = experiment.gray_volume(name), experiment.heatmap_volume(name)
    paths = " ".join(shlex.quote(str(path.resolve())) for path in volumes)
    return f"napari {paths} --blending=additive"


if __name__ == "__main__":
    run_script(main)
