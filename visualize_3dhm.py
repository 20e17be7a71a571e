"""Paint the colors of the map into the tomograms."""

import shlex

from lib.errors import run_script
from opts import PROJECT, heatmap_options


def main():
    """Write two volumes and a picture for each tomogram; say how to look at them."""
    options = heatmap_options()

    from tqdm import tqdm

    from lib.artifacts import EmbeddingTable, ExperimentDir
    from lib.inputs.noted_files import name_other_files
    from lib.overlay.painted_tomogram import check_painting
    from lib.overlay.plan import check_disk, load_colors, plan_paintings
    from lib.system.preflight import check_environment

    table = EmbeddingTable.load(options.input)
    colors = load_colors(options.color, table, options.input)
    paintings = plan_paintings(
        table,
        rec_dir=options.rec_dir,
        listed=listed_tomograms(options.image_txt),
        ext=options.ext,
        order=options.order,
        only=options.only,
    )
    for painting in paintings:  # the last is refused before the first is painted
        check_painting(painting, table)
    noted = {painting.name: painting.facts for painting in paintings}
    if line := name_other_files(noted, {p.name: p.path for p in paintings}):
        print(line)
    experiment = ExperimentDir(options.dir_simsiam)
    check_environment({experiment.root: "--dir_simsiam"}, maps=True)
    size = check_disk(paintings, experiment)
    print(
        f"painting {len(paintings)} tomogram(s): {size / 1e9:.2f} GB in "
        f"{experiment.root}"
    )
    for painting in tqdm(paintings, unit="tomogram", disable=None):
        paint(painting, table, colors, experiment, options)
    print("look at both volumes at once with napari (pip install napari[all]):")
    for painting in paintings:
        print(f"  {napari_command(experiment, painting.name)}")


def listed_tomograms(image_txt):
    """Return the paths of an image list by name, or None without a list."""
    from lib.inputs.image_list import find_image_list, find_listed_files

    if image_txt is None:
        return None
    return find_listed_files(find_image_list(image_txt, PROJECT), project=PROJECT)


def paint(painting, table, colors, experiment, options):
    """Paint one tomogram: both volumes, then the blended picture of slices."""
    from lib.overlay.heatmap import Discs, paint_tomogram
    from lib.overlay.painted_tomogram import is_paired
    from lib.pictures.overlay_picture import draw_blend

    paired = is_paired(table)
    positions = table.coords[painting.rows]
    gray_path = experiment.gray_volume(painting.name)
    color_path = experiment.heatmap_volume(painting.name)
    paint_tomogram(
        painting.tomogram.map_voxels(),
        Discs.of(positions, colors[painting.rows], options.radius),
        gray_path=gray_path,
        color_path=color_path,
        paired=paired,
    )
    draw_blend(
        experiment.blended_picture(painting.name),
        gray_path,
        color_path,
        heights=positions[:, 2] * (2 if paired else 1),
        weight=options.blend,
        voxel_size=painting.tomogram.voxel_size,
        title=painting.name,
    )
    print(f"look at {experiment.blended_picture(painting.name)}")


def napari_command(experiment, name):
    """Return the command that shows both volumes as layers."""
    volumes = experiment.gray_volume(name), experiment.heatmap_volume(name)
    paths = " ".join(shlex.quote(str(path.resolve())) for path in volumes)
    return f"napari {paths} --blending=additive"


if __name__ == "__main__":
    run_script(main)
