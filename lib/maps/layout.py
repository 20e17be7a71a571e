"""Projection of the embeddings by UMAP or t-SNE: onto the map, or into the 3-D view."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.decomposition import PCA

from lib.maps.clustering import reproducible_threads
from lib.maps.neighbors import nearest_neighbors
from lib.system.caches import ensure_numba_cache

N_LEAST_FOR_LAYOUT = 6
# Up to this many rows UMAP's own optimizer, on one core; beyond, that of
# `lib.maps.optimizer`, on all.
N_OWN_OPTIMIZER = 50_000
N_ROUNDS = 200  # of the latter, and of UMAP from given positions
# Weight of the labels in supervised UMAP: groups separate, neighborhoods remain.
LABEL_PULL = 0.3
# Length of one label step against unit-length embeddings, in supervised t-SNE.
LABEL_WEIGHT = 0.5
# The view of the interactive page: it is waited for, so a large one takes fewer rounds.
N_MAX_PRINCIPAL = 10  # up to this many rows the principal components are shown
N_CLOUD = 20_000
CLOUD_ROUNDS = 200
# A spread this far below the length of the rows is float32 rounding, not structure.
COLLAPSED_SPREAD = 1e-5


@dataclass(frozen=True)
class ProjectionOptions:
    """How embeddings are projected.

    Attributes
    ----------
    mode : {"umap", "tsne"}
    n_neighbors : int
        Neighbors that UMAP considers; the perplexity of t-SNE is a third of it.
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


def project_2d(vectors, options, *, neighbors=None, labels=None, start=None):
    """Project every row onto the unit square, similar rows close together.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
        See `unit_rows`.
    options : ProjectionOptions
    neighbors : lib.artifacts.Neighbors, optional
        To search only once for several maps.
    labels : ndarray of int, shape (N,), optional
        Pull rows of one label together (the supervised map).
    start : ndarray, shape (N, 2), optional
        Initial positions, so that two maps show the same groups on the same side. The
        default is the plane of largest variance.

    Returns
    -------
    ndarray of float32, shape (N, 2)
        x and y, each from 0 to 1. If the rows do not differ, positions on a disc in
        random order.
    """
    if is_collapsed(vectors) or len(vectors) == 1:
        return _random_disc(len(vectors), options.seed)
    if len(vectors) < N_LEAST_FOR_LAYOUT:
        return _to_unit_square(_principal_axes(vectors))
    if start is None:
        start = _to_unit_square(_principal_axes(vectors))
    if options.mode == "umap":
        # from the map without labels half the rounds are enough
        n_epochs = None if labels is None else N_ROUNDS
        map_xy = _umap(vectors, options, start, neighbors, labels, n_epochs)
    else:
        map_xy = _tsne(vectors, options, labels, start)
    return _to_unit_square(map_xy)


def project_3d(vectors, options, *, neighbors=None):
    """Lay out every row in the unit cube, by UMAP of the neighbors of the map.

    Parameters
    ----------
    vectors, options, neighbors
        See `project_2d`.

    Returns
    -------
    ndarray of float32, shape (N, 3)
        x, y and z, each from 0 to 1. If the rows do not differ, a flat disc.
    """
    if is_collapsed(vectors) or len(vectors) == 1:
        return np.pad(
            _random_disc(len(vectors), options.seed),
            ((0, 0), (0, 1)),
            constant_values=0.5,
        )
    start = _to_unit_square(_principal_axes(vectors, 3))
    if len(vectors) <= N_MAX_PRINCIPAL:
        return start
    # from the principal components fewer rounds are enough
    n_epochs = CLOUD_ROUNDS if len(vectors) <= N_CLOUD else CLOUD_ROUNDS // 2
    positions = _umap(vectors, options, start, neighbors, n_epochs=n_epochs)
    return _to_unit_square(positions)


def project_cloud(vectors, options, n_components):
    """Project every row into the 2-D or 3-D view of the interactive page, by UMAP.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
        See `unit_rows`.
    options : ProjectionOptions
    n_components : {2, 3}

    Returns
    -------
    ndarray of float64, shape (N, n_components)
        Centered on the origin.
    """
    if len(vectors) == 1:
        return np.zeros((1, n_components))
    positions = _principal_axes(vectors, n_components)
    if len(vectors) > max(n_components + 1, N_MAX_PRINCIPAL):
        n_neighbors = min(options.n_neighbors, len(vectors) - 1)
        options = replace(options, n_neighbors=n_neighbors)
        neighbors = nearest_neighbors(vectors, n_neighbors)
        n_epochs = CLOUD_ROUNDS if len(vectors) <= N_CLOUD else CLOUD_ROUNDS // 2
        start = _to_unit_square(positions)
        positions = _umap(vectors, options, start, neighbors, n_epochs=n_epochs)
    return (positions - positions.mean(axis=0)).astype(np.float64)


def _umap(vectors, options, start, neighbors=None, labels=None, n_epochs=None):
    """Return UMAP positions (N, C) from a start (N, C) on the unit square or cube."""
    start = 10 * start
    if neighbors is None and len(vectors) > N_OWN_OPTIMIZER:
        neighbors = nearest_neighbors(vectors, options.n_neighbors)
    found = (None, None)
    if neighbors is not None:
        found = (neighbors.indices, neighbors.distances)
    with warnings.catch_warnings():
        # umap warns that tensorflow is missing, and of settings chosen here on purpose
        warnings.simplefilter("ignore")
        ensure_numba_cache()
        import umap

        model = umap.UMAP(
            n_components=start.shape[1],
            n_neighbors=options.n_neighbors,
            min_dist=options.min_dist,
            random_state=options.seed,
            n_jobs=1,  # several threads would give another map each time
            init=start.astype(np.float32),
            target_weight=LABEL_PULL,
            n_epochs=n_epochs,
            precomputed_knn=found,
            transform_mode="embedding" if len(vectors) <= N_OWN_OPTIMIZER else "graph",
        )
        if model.transform_mode == "embedding":
            return model.fit_transform(vectors, y=labels)
        graph = model.fit(vectors, y=labels).graph_
        a, b = umap.umap_.find_ab_params(model.spread, model.min_dist)
        from lib.maps.optimizer import optimize_positions

    return optimize_positions(
        graph, start, n_epochs=n_epochs or N_ROUNDS, a=a, b=b, seed=options.seed
    )


def _tsne(vectors, options, labels, start):
    from sklearn.manifold import TSNE

    if labels is not None:
        steps = np.eye(labels.max() + 1, dtype=np.float32)[labels]
        vectors = np.hstack([vectors, LABEL_WEIGHT * steps])
    # The usual small start: a large one keeps clusters where they happen to be.
    start = 1e-4 * (start - start.mean(axis=0)) / start[:, 0].std()
    perplexity = min(max(options.n_neighbors / 3, 2), (len(vectors) - 1) / 3)
    with reproducible_threads(len(vectors)):
        return TSNE(
            perplexity=perplexity,
            init=start.astype(np.float32),
            random_state=options.seed,
        ).fit_transform(vectors)


def _principal_axes(vectors, n_components=2):
    """Return the first principal components (N, n_components), zeros if fewer exist."""
    n_found = min(n_components, *vectors.shape)
    if len(vectors) > N_OWN_OPTIMIZER:  # without copies of all vectors
        found = PCA(n_found, svd_solver="covariance_eigh").fit_transform(vectors)
    else:
        centered = vectors.astype(np.float64) - vectors.mean(axis=0)
        found = PCA(n_found, svd_solver="full").fit_transform(centered)
    return np.pad(found, ((0, 0), (0, n_components - n_found)))


def _to_unit_square(map_xy):
    low, high = map_xy.min(axis=0), map_xy.max(axis=0)
    flat = high - low <= 0
    scaled = (map_xy - low) / np.where(flat, 1, high - low)
    return np.where(flat, 0.5, scaled).astype(np.float32)


def _random_disc(n, seed):
    """Spread rows evenly over a disc, in random order."""
    rank = np.random.default_rng(seed).permutation(n) + 0.5
    radius, angle = np.sqrt(rank / n) / 2, rank * np.pi * (3 - np.sqrt(5))
    disc = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (0.5 + disc).astype(np.float32) if n > 1 else np.full((1, 2), 0.5, "f4")
