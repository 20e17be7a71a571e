"""Does the pipeline find and separate molecules? Labeled sets, real command line.

    python benchmarks/quality.py --work quality_small                      # a CPU
    python benchmarks/quality.py --work quality_full --form full --gpus 0  # a GPU

For every set, mode, recipe and seed: train and embed by the documented commands,
then measure candidates and features against the labels. Beside them the floors (64
principal components of the raw pixels, random weights) and the ceiling (the same
network trained with the labels, same folds). What is done is kept in --work, so that
an interrupted run goes on; the tables go to ``<work>/quality.md``.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quality_runs import ARCH, SETS, make_set, train_and_embed
from benchmarks.quality_tables import Results, machine, write_tables
from lib.errors import run_script

FORMS = {
    "small": {
        "sets": ("low",),
        "tomograms": 2,
        "size": (256, 256, 128),
        "bbox": 24,
        "batch_size": 64,  # as many steps as 8 tomograms in batches of 256
        "dog_std_multiplier": 1.0,
        "epochs": 20,
        "ceiling_epochs": 15,
        "seeds": (1, 2),
        "compare": 1,
        "recipes": ("default", "milopyp"),
    },
    "full": {
        "sets": SETS,
        "tomograms": 8,
        "size": (256, 256, 128),
        "bbox": 36,
        "batch_size": 256,
        "dog_std_multiplier": 0.5,
        "epochs": 100,
        "ceiling_epochs": 40,
        "seeds": (1, 2, 3),
        "compare": 2,
        "recipes": ("default", "milopyp"),
    },
}


def main():
    """Run what is not done yet, then write the tables."""
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    results = Results(options.work / "results.jsonl")
    for kind in options.sets:
        folder = options.work / f"{kind}_{options.data_seed}"
        image_list = make_set(
            kind,
            folder,
            tomograms=options.tomograms,
            size=options.size,
            seed=options.data_seed,
            templates=options.templates,
        )
        for mode in options.modes:
            for seed in options.seeds:
                run_seed(kind, folder, image_list, mode, seed, options, results)
    command = f"python benchmarks/quality.py {' '.join(sys.argv[1:])}"
    write_tables(options.work / "quality.md", results.read(), command, machine())
    print((options.work / "quality.md").read_text())


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder of data, runs and results")
    add("--form", choices=tuple(FORMS), default="small", help="sets the defaults below")
    add("--sets", nargs="+", choices=SETS)
    add("--tomograms", type=int, help="in each set")
    add("--size", type=int, nargs=3, metavar=("X", "Y", "Z"))
    add("--bbox", type=int, help="edge of a patch [px]")
    add("--batch_size", type=int)
    add("--epochs", type=int)
    add("--ceiling_epochs", type=int, help="of the supervised network")
    add("--seeds", type=int, nargs="+", help="of training")
    add("--compare", type=int, help="seeds that get floors and a ceiling as well")
    add("--recipes", nargs="+")
    add("--modes", nargs="+", choices=tuple(ARCH), default=tuple(ARCH))
    add("--data_seed", type=int, default=101, help="other than where recipes are tuned")
    add("--dog", default="3,5")
    add("--dog_std_multiplier", type=float)
    add("--templates", type=Path, help="folder of proteins_10A.npz")
    add("--gpus", default="-1")
    parser.set_defaults(**FORMS["small"])
    form = parser.parse_known_args()[0].form
    parser.set_defaults(**FORMS[form])
    return parser.parse_args()


def run_seed(kind, folder, image_list, mode, seed, options, results):
    """Measure every source of features of one set, mode and seed."""
    from benchmarks.quality_labels import Evaluation
    from benchmarks.quality_networks import trained_features
    from lib.system.runtime import choose_device

    device = choose_device(options.gpus)
    key = {"set": kind, "mode": mode, "seed": seed, "dog": options.dog}
    to_compare = seed in options.seeds[: options.compare]
    for recipe in options.recipes:
        run_key = {**key, "source": recipe, "epochs": options.epochs}
        measured = results.have({**run_key, "features": "pred"})
        compared = not to_compare or results.have({**key, "source": "ceiling"})
        if measured and compared:
            continue
        started = time.monotonic()
        checkpoint, table = train_and_embed(
            image_list,
            options.work / "exp",
            f"{kind}_{options.data_seed}_{recipe}_{options.epochs}_{seed}",
            mode,
            epochs=options.epochs,
            seed=seed,
            gpus=options.gpus,
            extra=(
                *("--bbox", options.bbox, "--batch_size", options.batch_size),
                *("--recipe", recipe, "--dog", options.dog),
                *("--dog_std_multiplier", options.dog_std_multiplier),
            ),
        )
        run_key["seconds"] = round(time.monotonic() - started)
        evaluation = Evaluation(table, folder, seed)
        if not measured:
            results.add({**run_key, "candidates": evaluation.candidates()})
            features = trained_features(checkpoint, mode, evaluation.views, device)
            results.add_features(run_key, evaluation, features)
        if not compared:
            compare(key, evaluation, device, options.ceiling_epochs, results)


def compare(key, evaluation, device, ceiling_epochs, results):
    """Measure the floors and the ceiling on the patches of an embedding."""
    from benchmarks.quality_metrics import pca_features
    from benchmarks.quality_networks import ceiling, random_features

    seed, mode, views = key["seed"], key["mode"], evaluation.views
    if not results.have({**key, "source": "PCA-64"}):
        pixels = {"pixels": pca_features(views, seed=seed)}
        results.add_features({**key, "source": "PCA-64"}, evaluation, pixels)
    if not results.have({**key, "source": "random weights", "features": "pred"}):
        untrained = random_features(ARCH[mode], mode, views, device, seed)
        results.add_features({**key, "source": "random weights"}, evaluation, untrained)
    known = evaluation.known
    predicted, embeddings = ceiling(
        views[known.rows],
        known.labels,
        evaluation.folds,
        arch=ARCH[mode],
        mode=mode,
        device=device,
        seed=seed,
        epochs=ceiling_epochs,
    )
    found = evaluation.of_supervised(predicted, embeddings)
    results.add({**key, "source": "ceiling", "features": "classes", "found": found})


if __name__ == "__main__":
    run_script(main)
