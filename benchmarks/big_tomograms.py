"""Large tomograms through the commands of a user: memory and time of each.

    python benchmarks/big_tomograms.py --work FOLDER

Writes tomograms of 1000 x 1000 x 400 voxels and their tilt series (a slab of noise with
dense balls; all are the first, shifted along the tilt axis), about 1 GB each, then
embeds them with the built-in weights, draws the maps and paints the tomograms. Prints
of each command its seconds and its largest anonymous memory, beside the memory that it
announced for each tomogram at work.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peak_memory import PeakMemory
from sample_data import simulation

PROJECT = Path(__file__).resolve().parents[1]
ANGLES = np.arange(-60.0, 61.0, 6.0)
ORDER = "xzy"  # of the files, as IMOD's tilt writes them
BALLS = 3000 / (400 * 1000 * 1000)  # a voxel
RADIUS = 6  # of a ball [voxels]
CONTRAST = 3  # density of a ball, in the std of the noise
# What the noise alone gives is above the mean response by less than this many std.
THRESHOLD = 3.0


def main():
    """Write the tomograms, run the commands, print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, help="folder to write to (default: a temporary one)")
    add("--tomograms", type=int, default=8)
    add("--size", type=int, nargs=3, default=(1000, 1000, 400), metavar=("X", "Y", "Z"))
    add("--num_workers", help="processes that prepare (default: the command's own)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        listed = write_tomograms(Path(folder), options.tomograms, options.size[::-1])
        run = Path(folder) / "exp" / "simsiam2d3d" / "big"
        embed = (
            "simsiam_test_hm_2d3d.py simsiam2d3d --exp_id big --load_model builtin "
            f"--test_img_txt {listed} --exp_dir {folder}/exp "
            "--bbox 24 --gauss 0.8 --dog 3,5 --gpus -1 "
            f"--dog_std_multiplier {THRESHOLD}"
        )
        if options.num_workers:
            embed += f" --num_workers {options.num_workers}"
        told = watch(embed)
        announced = re.search(r"[\d.]+ GB of memory for each at work", told)
        table = run / "all_output_info.npz"
        print(f"{len(np.load(table)['name']):,} candidates; told: {announced[0]}")
        table = f"--input {table}"
        watch(f"plot_2d.py {table}")
        watch(f"visualize_3dhm.py {table} --rec_dir {folder}")


def write_tomograms(folder, count, shape):
    """Write tomograms and tilt series of balls in noise; return their list.

    Parameters
    ----------
    folder : Path
    count : int
    shape : tuple of int
        (Z, Y, X) [voxels].
    """
    volume = make_volume(shape)
    matrix = simulation.projection_matrix(
        ANGLES, shape[0], shape[2], simulation.Z_SIGN[ORDER]
    )
    tilts = simulation.project(volume, matrix)
    rows = ["image_name\trec_path\ttilt_path\tangle_path"]
    for number in range(count):
        name, shift = f"big{number}", number * shape[1] // count
        paths = [folder / (name + ending) for ending in (".rec", ".ali", ".tlt")]
        for path, data in zip(paths, (volume.transpose(1, 0, 2), tilts), strict=False):
            moved = np.roll(data, shift, axis=0 if path.suffix == ".rec" else 1)
            simulation.write_volume(path, moved, 10.0)
        paths[2].write_text("".join(f"{angle:8.2f}\n" for angle in ANGLES))
        rows.append("\t".join([name, *map(str, paths)]))
    listed = folder / "image_list.txt"
    listed.write_text("\n".join(rows) + "\n")
    return listed


def make_volume(shape, seed=0):
    """Return a slab of noise with dark balls in it, float32 (Z, Y, X)."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    volume = gaussian_filter(rng.standard_normal(shape, np.float32), 0.8)
    volume /= volume[0].std()
    grid = np.indices([2 * RADIUS + 1] * 3) - RADIUS
    ball = CONTRAST * ((grid**2).sum(axis=0) <= RADIUS**2).astype(np.float32)
    room = np.array(shape) - ball.shape
    middle = np.array([shape[0] // 8, 0, 0])  # empty below and above the slab
    for corner in middle + rng.integers(
        0, room - 2 * middle + 1, (round(BALLS * volume.size), 3)
    ):
        box = tuple(slice(low, low + len(ball)) for low in corner)
        volume[box] -= ball
    return volume


def watch(command):
    """Run a command of the project; print what it took, return what it printed."""
    script, *arguments = command.split()
    start = time.perf_counter()
    with (
        subprocess.Popen(
            [sys.executable, PROJECT / script, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        PeakMemory(process.pid) as memory,
    ):
        told = process.communicate()[0]
    if process.returncode:
        sys.exit(f"{script} ended with exit code {process.returncode}:\n{told}")
    print(
        f"{script}: {time.perf_counter() - start:.0f} s, peak anonymous memory "
        f"{memory.peak / 1e9:.2f} GB",
        flush=True,
    )
    return told


if __name__ == "__main__":
    main()
