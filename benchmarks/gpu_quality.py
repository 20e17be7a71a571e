"""A short quality run on a GPU, to see whether what it trains separates molecules.

Two tomograms of the synthetic shapes, or of proteins where
``MOLECULES=/folder/of/proteins_10A.npz`` names them, in both modes, by the default
recipe; the accuracy of the 20 nearest neighbors beside 64 principal components of the
raw pixels and the untrained network.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.gpu_floors import ARCH, recipe
from benchmarks.gpu_stage import PROJECT, Row

FULL = {"size": (256, 256, 128), "tomograms": 2, "epochs": 100, "box": 36}
SMOKE = {"size": (128, 128, 64), "tomograms": 1, "epochs": 1, "box": 8}
BATCH = 64
SEED = 1


def quality(device, smoke):
    """Yield the accuracy of each mode beside what is to be beaten."""
    from benchmarks.quality_runs import make_set

    form = SMOKE if smoke else FULL
    templates = os.environ.get("MOLECULES")
    kind = "low" if templates else "shapes"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        image_list = make_set(
            kind,
            folder / "set",
            tomograms=form["tomograms"],
            size=form["size"],
            seed=101,
            templates=templates,
        )
        for mode in ARCH:
            table, short, health = _trained(mode, image_list, folder, form, device)
            yield from _measured(mode, kind, table, image_list, form, device)
            yield Row(f"{mode}: its own verdict", health.message)
            cosines = (_unit(table.pred) * _unit(short)).sum(1)
            yield Row(
                f"{mode}: map in bf16 against float32, lowest cosine of a row",
                f"{cosines.min():.5f}",
                goal="" if smoke else "at least 0.999",
                met=None if smoke else bool(cosines.min() >= 0.999),
            )


def _trained(mode, image_list, folder, form, device):
    """Train and embed as the scripts do.

    Returns
    -------
    table : EmbeddingTable
    short : ndarray, shape (N, D)
        Its ``pred`` in bf16.
    health : lib.training.metrics.Health
    """
    import torch

    from lib.artifacts import ExperimentDir
    from lib.inputs.image_list import read_image_list
    from lib.patches.options import PatchOptions
    from lib.patches.preparation import prepare_store
    from lib.run.options import RunOptions
    from lib.run.record import Normalization, RunRecord
    from lib.system.ranks import ALONE
    from lib.training.checkpoint_writer import CheckpointWriter
    from lib.training.compute import Compute
    from lib.training.encoding import encode_store
    from lib.training.inference import TrainedRun, embed
    from lib.training.models import build_model
    from lib.training.recipes import Schedule
    from lib.training.trainer import Trainer

    options = PatchOptions(
        mode,
        form["box"],
        (3, 5),
        0.8,
        dog_std_multiplier=1.0,
        **recipe().patching[mode],
    )
    rows = read_image_list(image_list, project=PROJECT, needs_tilts=options.needs_tilts)
    store = prepare_store(
        rows, options, cache=folder / "cache", workers=0, device=device
    )
    experiment = ExperimentDir.of(folder, mode, "run")
    record = RunRecord(
        options=RunOptions.of({"seed": SEED, "arch": ARCH[mode], **vars(options)}),
        normalization=Normalization(*store.normalization()),
    )
    torch.manual_seed(SEED)
    trainer = Trainer(
        build_model(ARCH[mode], mode=mode),
        store,
        recipe(),
        Schedule(form["epochs"], min(BATCH, len(store)), 1e-3),
        CheckpointWriter(experiment, record, ranks=ALONE),
        Compute(device),
    )
    health = trainer.run()
    run = TrainedRun(experiment.checkpoint("last"), mode=mode, given={})
    table = embed(
        run,
        store,
        experiment.embeddings,
        batch_size=256,
        device=device,
        precision="fp32",
        ranks=ALONE,
        exp_id="run",
    )
    _, short = encode_store(
        run.model,
        store,
        batch_size=256,
        device=device,
        precision="bf16",
        **vars(run.record.normalization),
    )
    return table, short, health


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _measured(mode, kind, table, image_list, form, device):
    """Yield a row for what each kind of features knows about the labels."""
    from benchmarks.quality_labels import Evaluation
    from benchmarks.quality_metrics import chance, knn_accuracy, pca_features
    from benchmarks.quality_networks import random_features

    evaluation = Evaluation(table, image_list.parent, SEED)
    rows, labels = evaluation.known.rows, evaluation.known.labels

    def accuracy(features):
        return knn_accuracy(features[rows], labels, evaluation.folds)

    floor = accuracy(pca_features(evaluation.views))
    untrained = random_features(ARCH[mode], mode, evaluation.views, device, SEED)
    features = {
        f"{form['epochs']} epochs, pred": table.pred,
        f"{form['epochs']} epochs, proj": table.proj,
        "untrained, trunk": untrained["trunk"],
    }
    what = f"{mode}, {kind}, {len(rows)} labeled, chance {chance(labels):.2f}"
    for name, values in features.items():
        own = accuracy(values)
        row = Row(
            f"{what}: {name}",
            f"20-nn {own:.3f}",
            f"PCA-64 {floor:.3f}",
            own / floor if floor else None,
        )
        if "pred" in name and form is FULL:
            row.goal, row.met = "above PCA", own > floor
        yield row
