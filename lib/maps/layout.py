"""The embedding on a plane: UMAP or t-SNE, scaled to the unit square."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from lib.maps.clustering import reproducible_threads
from lib.system.caches import ensure_numba_cache

N_LEAST_FOR_LAYOUT = 6
# Beyond this many rows UMAP's approximate search overtakes the exact one.
N_EXACT_NEIGHBORS = 50_000
# Share of the labels in supervised UMAP: groups part, their neighborhoods remain.
LABEL_PULL = 0.3
N_ROUNDS_FROM_START = 200
# Length of one label step against unit-length embeddings, in supervised t-SNE.
LABEL_WEIGHT = 0.5
# A spread this far below the length of the rows is float32 rounding, not structure.
COLLAPSED_SPREAD = 1e-5


@dataclass(frozen=True)
class Layout:
    """How embeddings are laid out on a plane.

    Attributes
    ----------
    mode : {"umap", "tsne"}
    n_neighbors : int
        Neighbors a point is placed by; t-SNE's perplexity is a third of it.
    min_dist : float
        Least distance of points in UMAP, 0 to 1.
    seed : int
    """

    mode: str
    n_neighbors: int
    min_dist: float
    seed: int


def unit_rows(embeddings):
    """Scale every row to length one: the network was trained on angles alone.

    Parameters
    ----------
    embeddings : ndarray, shape (N, D)

    Returns
    -------
    ndarray of float32, shape (N, D)
        Rows of zeros stay zero.
    """
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    return (embeddings / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def is_collapsed(vectors):
    """Tell whether rows of length one differ by no more than rounding.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)

    Returns
    -------
    bool
    """
    return len(vectors) > 1 and float(vectors.std(axis=0).mean()) < COLLAPSED_SPREAD


def lay_out(vectors, layout, *, neighbors=None, labels=None, start=None):
    """Place every row on the unit square, alike rows close together.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
        See `unit_rows`.
    layout : Layout
    neighbors : tuple of ndarray, optional
        Of `nearest_neighbors`, to search only once for several maps.
    labels : ndarray of int, shape (N,), optional
        Pull rows of one label together (the supervised map).
    start : ndarray, shape (N, 2), optional
        Places to start from, so that two maps show the same groups on the same
        side. The default is the plane of largest variance.

    Returns
    -------
    ndarray of float32, shape (N, 2)
        x and y, each from 0 to 1. Where nothing can be laid out, because the rows
        do not differ, a disc in random order.
    """
    if is_collapsed(vectors) or len(vectors) == 1:
        return _random_disc(len(vectors), layout.seed)
    if len(vectors) < N_LEAST_FOR_LAYOUT:
        return _to_unit_square(_principal_plane(vectors))
    if start is None:
        start = _to_unit_square(_principal_plane(vectors))
    if layout.mode == "umap":
        places = _umap(vectors, layout, neighbors, labels, start)
    else:
        places = _tsne(vectors, layout, labels, start)
    return _to_unit_square(places)


def nearest_neighbors(vectors, n_neighbors):
    """Return the exact nearest rows of every row, itself first.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
    n_neighbors : int
        Itself included; at most N.

    Returns
    -------
    indices, distances : ndarray, shape (N, n_neighbors)
        None where N is so large that UMAP's approximate search is faster.
    """
    if len(vectors) > N_EXACT_NEIGHBORS:
        return None
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(vectors)
    with reproducible_threads(len(vectors)):
        distances, indices = search.kneighbors(vectors)
    return indices, distances.astype(np.float32)


def _umap(vectors, layout, neighbors, labels, start):
    with warnings.catch_warnings():
        # tensorflow is not needed; a map that places no new rows needs no index.
        warnings.simplefilter("ignore")
        ensure_numba_cache()
        import umap

        model = umap.UMAP(
            n_neighbors=layout.n_neighbors,
            min_dist=layout.min_dist,
            random_state=layout.seed,
            n_jobs=1,
            init=(10 * start).astype(np.float32),
            target_weight=LABEL_PULL,
            # from a good start half the rounds are enough
            n_epochs=None if labels is None else N_ROUNDS_FROM_START,
            precomputed_knn=(None, None) if neighbors is None else neighbors,
        )
        return model.fit_transform(vectors, y=labels)


def _tsne(vectors, layout, labels, start):
    from sklearn.manifold import TSNE

    if labels is not None:
        steps = np.eye(labels.max() + 1, dtype=np.float32)[labels]
        vectors = np.hstack([vectors, LABEL_WEIGHT * steps])
    # The usual small start: large ones keep clusters where they happen to be.
    start = 1e-4 * (start - start.mean(axis=0)) / start[:, 0].std()
    perplexity = min(max(layout.n_neighbors / 3, 2), (len(vectors) - 1) / 3)
    with reproducible_threads(len(vectors)):
        return TSNE(
            perplexity=perplexity,
            init=start.astype(np.float32),
            random_state=layout.seed,
        ).fit_transform(vectors)


def _principal_plane(vectors):
    centered = vectors.astype(np.float64) - vectors.mean(axis=0)
    plane = PCA(min(2, *vectors.shape), svd_solver="full").fit_transform(centered)
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def _to_unit_square(places):
    low, high = places.min(axis=0), places.max(axis=0)
    flat = high - low <= 0
    scaled = (places - low) / np.where(flat, 1, high - low)
    return np.where(flat, 0.5, scaled).astype(np.float32)


def _random_disc(n, seed):
    """Spread rows evenly over a disc, shuffled: their places mean nothing."""
    rank = np.random.default_rng(seed).permutation(n) + 0.5
    radius, angle = np.sqrt(rank / n) / 2, rank * np.pi * (3 - np.sqrt(5))
    disc = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (0.5 + disc).astype(np.float32) if n > 1 else np.full((1, 2), 0.5, "f4")
