"""Make the weights that come with the project: from nothing, in stages, resumable.

    python benchmarks/pretrain.py patches --work pretrain      # 10 minutes on 2 cores
    python benchmarks/pretrain.py train --work pretrain --mode simsiam3d
    python benchmarks/pretrain.py write --work pretrain --mode simsiam3d

``patches`` simulates tomograms of hundreds of procedural kinds and cuts their labeled
patches; ``train`` trains the network to tell the kinds apart, in another orientation,
tomogram and noise each time; ``write`` puts the weights and
their card into ``lib/training/weights/``. Neither the
proteins nor the simulator's seeds of the reported benchmarks are used.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import run_script
from lib.modes import MODES

SEED = 1
TOMOGRAMS = 300
HELD_OUT = 16  # tomograms of kinds that are not trained on
KINDS = 500
HELD_OUT_KINDS = range(10_000, 10_060)
HELD_OUT_FROM = 100_000  # numbers of the tomograms
MORE = "proteins_10A_more.npz"
PROJECT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("4v7r",)  # the twin of a ribosome that is reported


def main():
    """Run one stage."""
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    STAGES[options.stage](options)


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("stage", choices=tuple(STAGES))
    add("--work", type=Path, required=True, help="folder of patches and checkpoints")
    add("--mode", choices=tuple(MODES), default="simsiam3d")
    add("--steps", type=int, default=3000)
    add("--start", type=Path, help="checkpoint of the other mode, or builtin")
    add("--minutes", type=float, default=120, help="stop, to be resumed, after these")
    add("--workers", type=int, default=os.cpu_count(), help="tomograms at once")
    add("--tomograms", type=int, default=TOMOGRAMS)
    add("--kinds", type=int, default=KINDS, help="procedural kinds to choose from")
    add("--templates", type=Path, default=PROJECT.parent / "shared/data/templates")
    return parser.parse_args()


def make_patches(options):
    """Simulate the tomograms that are not there yet."""
    from benchmarks.pretrain_kinds import load_more_proteins

    folder = options.work / "patches"
    folder.mkdir(exist_ok=True)
    proteins = load_more_proteins(options.templates / MORE)
    proteins = {name: proteins[name] for name in proteins if name not in LEFT_OUT}
    print(f"{options.kinds} kinds and {len(proteins)} proteins")
    held = range(HELD_OUT_FROM, HELD_OUT_FROM + HELD_OUT)
    numbers = [*held, *range(options.tomograms)]
    numbers = [n for n in numbers if not (folder / f"{n}.npz").is_file()]
    write = partial(_write_patches, folder, proteins, range(options.kinds))
    start = time.monotonic()
    with ProcessPoolExecutor(options.workers) as pool:
        for done, rows in enumerate(pool.map(write, numbers), start=1):
            if done % 20 == 0 or done == len(numbers):
                seconds = time.monotonic() - start
                print(
                    f"{done}/{len(numbers)}, {rows} rows, {seconds:.0f} s", flush=True
                )


def _write_patches(folder, proteins, kinds, number):
    import numpy as np

    from benchmarks.pretrain_patches import make_patches as simulate
    from lib.artifacts import atomic_write

    os.environ["OMP_NUM_THREADS"] = "1"
    held_out = number >= HELD_OUT_FROM
    made = simulate(
        number,
        seed=SEED,
        kinds=HELD_OUT_KINDS if held_out else kinds,
        proteins={} if held_out else proteins,
    )
    with atomic_write(folder / f"{number}.npy") as stream:
        np.save(stream, made.pop("patches"))
    with atomic_write(folder / f"{number}.npz") as stream:
        np.savez(stream, **made)
    return len(made["kind"])


def train(options):
    """Train, from the last checkpoint on."""
    from benchmarks.pretrain_training import train_kinds

    train_kinds(
        options.work,
        mode=options.mode,
        steps=options.steps,
        seed=SEED,
        until=time.monotonic() + 60 * options.minutes,
        held_out_from=HELD_OUT_FROM,
        start=options.start,
    )


def write(options):
    """Write the weights as they ship."""
    from benchmarks.pretrain_training import write_weights

    write_weights(options.work, mode=options.mode, seed=SEED)


STAGES = {"patches": make_patches, "train": train, "write": write}

if __name__ == "__main__":
    run_script(main)
