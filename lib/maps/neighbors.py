"""The nearest rows of every row: searched once, kept, and read by every map."""

import warnings

import numpy as np
from sklearn.neighbors import NearestNeighbors

from lib.artifacts import Neighbors
from lib.maps.clustering import reproducible_threads
from lib.system.caches import ensure_numba_cache

# Up to this many rows the search is exact. Its time grows with the square; the
# approximate one takes as long here, most of it to compile.
N_EXACT_NEIGHBORS = 100_000
SEED = 0  # of the approximate search: neighbors belong to the embedding, not to a map
THREADS = 2  # of the approximate search, which finds others with another number
ROWS_CHECKED = 200


def kept_neighbors(path, vectors, n_neighbors, *, fingerprint):
    """Return the nearest rows of an experiment, as kept there or searched now.

    Parameters
    ----------
    path : path-like
        See `lib.artifacts.ExperimentDir.neighbors`.
    vectors : ndarray of float32, shape (N, D)
        See `lib.maps.layout.unit_rows`.
    n_neighbors : int
        The row itself included.
    fingerprint : str
        Of the table that the vectors are of.

    Returns
    -------
    lib.artifacts.Neighbors
    """
    n_neighbors = min(n_neighbors, len(vectors))
    found = Neighbors.load(
        path, fingerprint=fingerprint, rows=len(vectors), count=n_neighbors
    )
    if found is None:
        found = nearest_neighbors(vectors, n_neighbors)
        found.save(path, fingerprint=fingerprint)
    return found


def nearest_neighbors(vectors, n_neighbors):
    """Return the nearest rows of every row, itself first.

    Exact up to `N_EXACT_NEIGHBORS` rows; beyond, by nearest-neighbor descent (Dong et
    al. 2011), whose recall is measured on some rows.

    Parameters
    ----------
    vectors : ndarray of float32, shape (N, D)
    n_neighbors : int
        Itself included; at most N.

    Returns
    -------
    lib.artifacts.Neighbors
    """
    if len(vectors) > N_EXACT_NEIGHBORS:
        return _approximate(vectors, n_neighbors)
    indices, distances = _exact(vectors, n_neighbors, vectors)
    return Neighbors(indices.astype(np.int32), distances.astype(np.float32))


def _exact(vectors, n_neighbors, of):
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(vectors)
    with reproducible_threads(len(vectors)):
        distances, indices = search.kneighbors(of)
    return indices, distances


def _approximate(vectors, n_neighbors):
    ensure_numba_cache()
    import numba
    import pynndescent

    n = len(vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads and of numba, not of the result
        search = pynndescent.NNDescent(
            vectors,
            n_neighbors=n_neighbors,
            n_trees=min(64, 5 + round(n**0.5 / 20)),  # this and the next as UMAP does
            n_iters=max(5, round(np.log2(n))),
            max_candidates=60,
            random_state=SEED,
            n_jobs=min(THREADS, numba.config.NUMBA_NUM_THREADS),
            compressed=False,
        )
        indices, distances = search.neighbor_graph
    rows = np.random.default_rng(SEED).choice(n, ROWS_CHECKED, replace=False)
    true = _exact(vectors, n_neighbors, vectors[rows])[0]
    shared = [
        len(np.intersect1d(*pair)) for pair in zip(true, indices[rows], strict=True)
    ]
    recall = float(np.sum(shared) / true.size)
    return Neighbors(indices.astype(np.int32), distances.astype(np.float32), recall)
