"""Over-clustering of the embeddings: more clusters than molecules, to merge by eye.

k-means first summarizes the candidates by a few hundred centroids; spectral
clustering then groups the centroids along the manifold they lie on (Huang et al.,
Nat. Methods 2024, methods).
"""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from lib.errors import OptionError

N_CENTROIDS = 256
MAX_ROUNDS = 60  # later rounds of k-means change little
N_SCALING_NEIGHBORS = 7
# Beyond this many rows the centroids are found on a sample of them.
MOST_FITTED, N_FITTED = 300_000, 200_000
ROWS_FOR_TWO_THREADS = 5000


def over_cluster(vectors, *, n_cluster, seed):
    """Assign every candidate to a cluster.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
        Embeddings, scaled to length one: see `lib.maps.layout.unit_rows`.
    n_cluster : int
        Number of clusters; fewer are returned only if fewer rows are distinct.
    seed : int
        Seed of both clusterings.

    Returns
    -------
    ndarray of int64, shape (N,)
        Labels 0, 1, ...; clusters with adjacent numbers are similar.

    Raises
    ------
    OptionError
        If `n_cluster` exceeds N.
    """
    n = len(vectors)
    if n_cluster > n:
        raise OptionError(
            f"--n_cluster {n_cluster} is larger than the number of candidates, {n}; "
            f"give at most {n}, for example --n_cluster {max(1, n // 4)}"
        )
    n_distinct = _count_distinct(vectors, max(N_CENTROIDS, n_cluster))
    n_centroids = min(N_CENTROIDS, max(n_cluster, n // 4), n_distinct)
    n_centroids = max(n_centroids, min(n_cluster, n_distinct))
    centroids, nearest = _k_means(vectors, n_centroids, seed, n_init=1)
    groups = _spectral_groups(centroids, min(n_cluster, n_centroids), seed)
    return _similar_adjacent(groups[nearest], vectors)


def reproducible_threads(n):
    """Return a context in which the same seed gives the same floating-point sums.

    OpenMP adds the partial sums of its threads in any order; with two threads the sum
    does not depend on it. With few rows one thread is faster: on busy cores two spend
    seconds waiting for each other.

    Parameters
    ----------
    n : int
        Number of rows.

    Returns
    -------
    context manager
    """
    threads = 1 if n < ROWS_FOR_TWO_THREADS else 2
    return threadpool_limits(threads, user_api="openmp")


def _count_distinct(vectors, enough):
    """Return how many rows are distinct, or as much as `enough` if at least so many."""
    found = 0
    for count in (4 * enough, len(vectors)):
        found = len(np.unique(vectors[:count], axis=0))
        if found >= enough or count >= len(vectors):
            break
    return found


def _k_means(vectors, n_cluster, seed, n_init):
    fitted = vectors
    if len(vectors) > MOST_FITTED:
        rows = np.random.default_rng(seed).choice(len(vectors), N_FITTED, replace=False)
        fitted = vectors[np.sort(rows)]
    with reproducible_threads(len(vectors)):
        fit = KMeans(
            n_cluster, n_init=n_init, max_iter=MAX_ROUNDS, random_state=seed
        ).fit(fitted)
        labels = fit.labels_ if fitted is vectors else fit.predict(vectors)
    return fit.cluster_centers_, labels


def _spectral_groups(points, n_group, seed):
    """Cluster points in the leading eigenvectors of their affinity (Ng et al. 2002).

    The eigenproblem is dense because there are few points: it is exact, and ARPACK can
    fail on disconnected graphs.
    """
    n = len(points)
    if n_group >= n:
        return np.arange(n)
    degree_scaled = _scaled_affinity(points)
    _, axes = eigh(degree_scaled, subset_by_index=(n - n_group, n - 1))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True).clip(1e-12)
    return _k_means(axes, n_group, seed, n_init=10)[1]


def _scaled_affinity(points):
    """Return D^-1/2 A D^-1/2, with A a Gaussian of the width of each neighborhood.

    The width of a pair is the product of both points' distances to their seventh
    neighbor (Zelnik-Manor & Perona 2004), so that dense and sparse regions of an
    embedding are treated alike.
    """
    points = points.astype(np.float64)
    squares = (points**2).sum(axis=1)
    distances = (squares[:, None] + squares - 2 * points @ points.T).clip(0)
    neighbor = min(N_SCALING_NEIGHBORS, len(points) - 1)
    widths = np.sqrt(np.partition(distances, neighbor, axis=1)[:, neighbor])
    affinity = np.exp(-distances / np.outer(widths, widths).clip(1e-12))
    roots = np.sqrt(affinity.sum(axis=1))
    return affinity / np.outer(roots, roots)


def _similar_adjacent(labels, vectors):
    """Renumber labels so that clusters with adjacent numbers are similar.

    The order is that of the leaves of their average-linkage tree, rotated so that
    adjacent leaves are as close as possible (Bar-Joseph et al. 2001).
    """
    found, labels = np.unique(labels, return_inverse=True)
    if len(found) < 3:
        return labels.astype(np.int64)
    middles = [vectors[labels == label].mean(axis=0) for label in range(len(found))]
    tree = linkage(np.array(middles, np.float64), "average", optimal_ordering=True)
    return np.argsort(leaves_list(tree))[labels].astype(np.int64)
