"""What labeled particles say about candidates and embeddings: pure functions.

Positions are (x, y, z) in voxels; one row of features is one candidate.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    roc_auc_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

APART = 1e6  # between two tomograms [voxels]: nothing matches across


@dataclass(frozen=True)
class Matches:
    """Which candidates and particles belong together.

    Attributes
    ----------
    particle : ndarray of int, shape (C,)
        Nearest particle of each candidate, -1 when none is within the radius.
    candidate : ndarray of int, shape (P,)
        The nearest of the candidates that belong to each particle, -1 without any.
    particle_distance : ndarray, shape (P,)
        From each particle to its nearest candidate [voxels]; inf without any.
    candidate_distance : ndarray, shape (C,)
        From each candidate to its nearest particle [voxels]; inf without any.
    """

    particle: np.ndarray
    candidate: np.ndarray
    particle_distance: np.ndarray
    candidate_distance: np.ndarray


def match(names, candidates, particle_names, particles, radius):
    """Match candidates to particles of the same tomogram.

    Parameters
    ----------
    names : sequence of str, length C
        Tomogram of each candidate.
    candidates : array-like, shape (C, 3)
    particle_names : sequence of str, length P
        Tomogram of each particle.
    particles : array-like, shape (P, 3)
    radius : float
        Greatest distance at which a candidate belongs to a particle [voxels].

    Returns
    -------
    Matches
    """
    known = {*names, *particle_names}
    found = separate_tomograms(names, candidates, known)
    truth = separate_tomograms(particle_names, particles, known)
    candidate_distance, nearest = _nearest(truth, found)
    particle_distance, _ = _nearest(found, truth)
    owner = np.where(candidate_distance <= radius, nearest, -1)
    best = np.full(len(truth), -1)
    for row in np.argsort(-candidate_distance, kind="stable"):  # the nearest last
        if owner[row] >= 0:
            best[owner[row]] = row
    return Matches(owner, best, particle_distance, candidate_distance)


def separate_tomograms(names, positions, known=None):
    """Return positions of several tomograms in one space, far apart.

    Parameters
    ----------
    names : sequence of str, length N
    positions : array-like, shape (N, 3)
    known : collection of str, optional
        All names, where several lists are brought into one space.

    Returns
    -------
    ndarray, shape (N, 3)
    """
    shift = {name: APART * i for i, name in enumerate(sorted(known or {*names}))}
    positions = np.array(positions, dtype=float).reshape(-1, 3)
    positions[:, 2] += [shift[name] for name in names]
    return positions


def _nearest(points, queries):
    if not len(points):
        return np.full(len(queries), np.inf), np.full(len(queries), -1)
    distance, index = cKDTree(points).query(queries, distance_upper_bound=APART / 2)
    return distance, np.where(np.isfinite(distance), index, -1)


def recall_by_class(matches, classes, radius):
    """Return the share of the particles of each class with a candidate in reach.

    Parameters
    ----------
    matches : Matches
    classes : sequence of str, length P
    radius : float
        [voxels]

    Returns
    -------
    dict of str to float
    """
    classes = np.asarray(classes)
    seen = matches.particle_distance <= radius
    return {
        str(name): float(seen[classes == name].mean()) for name in np.unique(classes)
    }


def particle_folds(particles, labels, n_folds=5, seed=0):
    """Deal particles into folds, each class evenly; a particle is in one fold.

    Parameters
    ----------
    particles : array-like of int, shape (N,)
        Particle of each row; rows of one particle stay together.
    labels : array-like, shape (N,)
        Class of each row.
    n_folds : int
    seed : int

    Returns
    -------
    ndarray of int, shape (N,)
        Fold of each row.
    """
    unique, first, rows = np.unique(particles, return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(unique))
    by_class = np.argsort(np.asarray(labels)[first][shuffled], kind="stable")
    fold = np.empty(len(unique), int)
    fold[shuffled[by_class]] = np.arange(len(unique)) % n_folds
    return fold[rows]


def knn_accuracy(features, labels, folds, k=20):
    """Return how often the cosine-nearest rows of other folds vote for the class.

    Parameters
    ----------
    features : ndarray, shape (N, D)
    labels : array-like, shape (N,)
    folds : ndarray of int, shape (N,)
        As from `particle_folds`.
    k : int
        Neighbors that vote; of equal votes the nearer class wins.

    Returns
    -------
    float
        0 to 1.
    """
    hits = [knn_hits(features, labels, folds == fold, k) for fold in np.unique(folds)]
    return float(np.concatenate(hits).mean())


def knn_hits(features, labels, test, k=20):
    """Return which test rows (a mask) are named right by their k nearest others."""
    features = normalize(np.asarray(features, dtype=np.float64))
    _, labels = np.unique(labels, return_inverse=True)
    similarity = features[test] @ features[~test].T
    near = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    weight = 1 + 1e-6 * np.take_along_axis(similarity, near, axis=1)
    votes = np.zeros((len(near), labels.max() + 1))
    np.add.at(votes, (np.arange(len(near))[:, None], labels[~test][near]), weight)
    return votes.argmax(axis=1) == labels[test]


def probe_accuracy(features, labels, folds):
    """Return the accuracy of a logistic regression on rows of other folds.

    Parameters and result as for `knn_accuracy`; features are standardized.
    """
    labels = np.asarray(labels)
    right = 0
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        probe = _probe().fit(features[train], labels[train])
        right += (probe.predict(features[test]) == labels[test]).sum()
    return right / len(labels)


def particle_auc(features, is_particle, folds):
    """Return how well a linear probe tells particles from background: the AUC.

    Parameters
    ----------
    features : ndarray, shape (N, D)
    is_particle : array-like of bool, shape (N,)
    folds : ndarray of int, shape (N,)

    Returns
    -------
    float
        0.5 is chance, 1 perfect; mean over the folds.
    """
    is_particle = np.asarray(is_particle, bool)
    areas = []
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        probe = _probe().fit(features[train], is_particle[train])
        score = probe.decision_function(features[test])
        areas.append(roc_auc_score(is_particle[test], score))
    return float(np.mean(areas))


def agreement(clusters, labels):
    """Return (NMI, ARI) of clusters and classes; an over-clustering limits both."""
    return (
        float(normalized_mutual_info_score(labels, clusters)),
        float(adjusted_rand_score(labels, clusters)),
    )


def _probe():
    # 0.1 shrinks the weights: without it 128 or more features overfit 1,000 rows.
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))


def chance(labels):
    """Return the accuracy of always naming the most frequent class."""
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def pca_features(patches, n_components=64, seed=0):
    """Return the leading principal components of raw pixels, the floor to beat.

    Parameters
    ----------
    patches : ndarray, shape (N, ...)
    n_components : int
    seed : int

    Returns
    -------
    ndarray of float64, shape (N, n)
        n is `n_components`, or less where there are fewer rows.
    """
    flat = np.asarray(patches, dtype=np.float64).reshape(len(patches), -1)
    n_components = min(n_components, *flat.shape)
    return PCA(n_components, random_state=seed).fit_transform(flat)
