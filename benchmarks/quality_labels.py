"""Which candidates are labeled, and features measured against the labels."""

import csv
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import normalize

from benchmarks import quality_metrics as metrics
from benchmarks.quality_networks import views_of
from lib.candidates.dog import margins
from lib.maps.clustering import over_cluster
from lib.training.metrics import effective_rank, output_std

CROWDER = "crowder"  # a particle without a class of its own
REACH = 10.0  # of a particle: candidates within belong to it [voxels]
N_CLUSTER = 48  # of plot_2d.py
LEAST_BACKGROUND = 25  # candidates: fewer say nothing in five folds


@dataclass(frozen=True)
class Truth:
    """Particles that candidates can be found for: within the margins.

    Attributes
    ----------
    names : ndarray of str, shape (P,)
        Tomogram.
    positions : ndarray, shape (P, 3)
        (x, y, z) [voxels].
    classes : ndarray of str, shape (P,)
    everywhere : tuple of (names, positions)
        Of all particles, those in the margins too.
    """

    names: np.ndarray
    positions: np.ndarray
    classes: np.ndarray
    everywhere: tuple


def read_truth(folder, record):
    """Read ``particles.csv`` of a set.

    Parameters
    ----------
    folder : pathlib.Path
    record : lib.run.record.RunRecord
        Of the embedding: shapes of the tomograms, box and margin.

    Returns
    -------
    Truth
    """
    with (folder / "particles.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = np.array([row["tomogram"] for row in rows])
    positions = np.array([[float(row[a]) for a in "xyz"] for row in rows])
    classes = np.array([row["class"] for row in rows])
    patches = record.options.patches
    inside = np.zeros(len(rows), bool)
    for name, tomogram in record.tomograms.items():
        shape = tomogram.shape
        margin = margins(shape, boundary=patches.dog_boundary, box=patches.box)
        low, size = np.array(margin[::-1]), np.array(shape[::-1])
        here = ((positions >= low) & (positions < size - low)).all(axis=1)
        inside |= (names == name) & here
    return Truth(names[inside], positions[inside], classes[inside], (names, positions))


@dataclass(frozen=True)
class Labeled:
    """Rows of the embedding that are evaluated.

    Attributes
    ----------
    rows : ndarray of int, shape (R,)
        One candidate of each labeled particle.
    labels : ndarray of str, shape (R,)
    background : ndarray of int, shape (B,)
        Candidates far from every particle.
    """

    rows: np.ndarray
    labels: np.ndarray
    background: np.ndarray


def label_candidates(table, truth):
    """Choose the candidate of each labeled particle, and the background.

    Parameters
    ----------
    table : EmbeddingTable
    truth : Truth

    Returns
    -------
    labeled : Labeled
    matches : quality_metrics.Matches
        Of the particles within the margins.
    """
    matches = metrics.match(
        table.name, table.coords, truth.names, truth.positions, REACH
    )
    known = (matches.candidate >= 0) & (truth.classes != CROWDER)
    anywhere = metrics.match(table.name, table.coords, *truth.everywhere, REACH)
    return (
        Labeled(
            matches.candidate[known],
            truth.classes[known],
            np.flatnonzero(anywhere.candidate_distance > REACH),
        ),
        matches,
    )


class Evaluation:
    """The labeled candidates of one embedding, ready to be measured against."""

    def __init__(self, table, folder, seed):
        self.table, self.seed = table, seed
        self.views = views_of(table)
        self.truth = read_truth(folder, table.record)
        self.known, self.matches = label_candidates(table, self.truth)
        # Folds do not change with the training seed: the spread is of training.
        self.folds = metrics.particle_folds(
            np.arange(len(self.known.rows)), self.known.labels
        )

    def candidates(self):
        """Return recall by class at 6 and 10 voxels, precision and numbers."""
        classes = self.truth.classes
        return {
            "recall 6": metrics.recall_by_class(self.matches, classes, 6),
            "recall 10": metrics.recall_by_class(self.matches, classes, 10),
            "precision": float((self.matches.particle >= 0).mean()),
            "particles": len(classes),
            "candidates": len(self.table),
            "labeled": len(self.known.rows),
            "chance": metrics.chance(self.known.labels),
        }

    def of(self, features):
        """Measure features (N, D) of all candidates."""
        rows, labels = self.known.rows, self.known.labels
        n_cluster = min(N_CLUSTER, len(features) // 2)
        unit = normalize(np.asarray(features, np.float64)).astype(np.float32)
        clusters = over_cluster(unit, n_cluster=n_cluster, seed=self.seed)
        nmi, ari = metrics.agreement(clusters[rows], labels)
        return {
            "knn": metrics.knn_accuracy(features[rows], labels, self.folds),
            "probe": metrics.probe_accuracy(features[rows], labels, self.folds),
            "nmi": nmi,
            "ari": ari,
            "output_std": output_std(features),
            "rank": effective_rank(features),
            **self._against_background(features),
        }

    def _against_background(self, features):
        rows, background = self.known.rows, self.known.background
        if len(background) < LEAST_BACKGROUND:
            return {}
        both = np.concatenate([rows, background])
        is_particle = np.arange(len(both)) < len(rows)
        folds = metrics.particle_folds(np.arange(len(both)), is_particle)
        return {"auc": metrics.particle_auc(features[both], is_particle, folds)}

    def of_supervised(self, predicted, embeddings):
        """Measure what `quality_networks.ceiling` returns."""
        labels = self.known.labels
        hits = [
            metrics.knn_hits(features, labels, self.folds == fold).sum()
            for fold, features in embeddings
        ]
        return {
            "knn": float(sum(hits) / len(labels)),
            "probe": float((predicted == labels).mean()),
        }
