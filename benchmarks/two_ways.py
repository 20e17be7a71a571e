"""Is one option of training better than another? Labeled sets, real command line.

    python benchmarks/two_ways.py halves --work ways --data_seeds 11 --seeds 1
    python benchmarks/two_ways.py halves --work ways --data_seeds 101 --seeds 1 2
    python benchmarks/two_ways.py precision --work ways --seeds 1 2 3

Two tomograms of 256x256x128 with their even and odd halves; `simsiam3d` is trained both
ways with all other options the same: the views of a pair from one tomogram, or from
different halves; in float32, or in bf16. What is done is kept in --work.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quality_runs import make_set, train_and_embed
from lib.errors import run_script

MODE = "simsiam3d"
WAYS = {
    "halves": {"one tomogram": (), "two halves": ("--halves",)},
    "precision": {
        "float32": ("--precision", "fp32"),
        "bf16": ("--precision", "bf16"),
    },
}
OPTIONS = ("--bbox", 24, "--batch_size", 64, "--dog", "3,5", "--dog_std_multiplier", 1)
MEASURES = ("knn", "probe", "nmi", "ari", "auc", "output_std", "rank")


def main():
    """Train both ways and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=tuple(WAYS))
    add("--work", type=Path, required=True, help="folder of data and runs")
    add("--data_seeds", type=int, nargs="+", default=(101,))
    add("--seeds", type=int, nargs="+", default=(1, 2), help="of training")
    add("--epochs", type=int, default=20)
    add("--size", type=int, nargs=3, default=(256, 256, 128), metavar=("X", "Y", "Z"))
    add("--noise", choices=("low", "high"), default="low")
    add("--templates", type=Path, help="folder of proteins_10A.npz")
    add("--gpus", default="-1")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print(f"| set | seed | way | features | {' | '.join(MEASURES)} |")
    print("|:--" * (len(MEASURES) + 4) + "|")
    for data_seed in options.data_seeds:
        folder = options.work / f"{options.noise}_{data_seed}"
        image_list = make_set(
            options.noise,
            folder,
            tomograms=2,
            size=options.size,
            seed=data_seed,
            templates=options.templates,
            halves=True,
        )
        for seed in options.seeds:
            for way, extra in WAYS[options.what].items():
                measure(way, extra, seed, folder, image_list, options)


def measure(way, extra, seed, folder, image_list, options):
    """Train and embed one way; print its rows of the table."""
    from benchmarks.quality_labels import Evaluation

    name = f"{folder.name}_{way.replace(' ', '_')}_{options.epochs}_{seed}"
    _, table = train_and_embed(
        image_list,
        options.work / "exp",
        name,
        MODE,
        epochs=options.epochs,
        seed=seed,
        gpus=options.gpus,
        extra=(*OPTIONS, *extra),
    )
    evaluation = Evaluation(table, folder, seed)
    for features in ("proj", "pred"):
        found = evaluation.of(getattr(table, features))
        values = " | ".join(f"{found.get(key, float('nan')):.3f}" for key in MEASURES)
        row = f"| {folder.name} | {seed} | {way} | `{features}` | {values} |"
        print(row, flush=True)


if __name__ == "__main__":
    run_script(main)
