"""The cloud of the interactive session: its 3-D layout, sample and clusters.

Phoenix lays its points out while a browser waits, with an approximate search
for neighbors, and clusters them anew with HDBSCAN, from a fresh random sample
each time. Here the layout starts before anybody asks, the sample is the same
each time, and the clusters are the labels of the table, so that "Cluster 07"
of the page is number 7 of every other picture and file of the run.
"""

import threading
import time
import warnings
from concurrent.futures import Future

import numpy as np

SHOWN_AT_FIRST = 10_000
EXACT_NEIGHBORS = 20_000
EPOCHS, EPOCHS_BEYOND = 200, 100
SEED = 0


class Superseded(Exception):
    """A layout that was not begun yet, because another was asked for since."""


class Cloud:
    """Positions and clusters of the rows that the page shows.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (N, D)
    label : ndarray of int, shape (N,)
    say : callable
        Told, in a line of text, what is being computed and how long it took.

    Attributes
    ----------
    order : ndarray of int, shape (N,)
        In which rows come into a sample.
    """

    def __init__(self, embeddings, label, *, say):
        self.embeddings = embeddings
        self.label = label
        self.say = say
        self.order = np.random.default_rng(SEED).permutation(len(label))
        self._layouts = {}
        self._lock = threading.Lock()
        self._next = None  # key of the layout to begin when the present one is done
        self._busy = False

    def sample(self, count):
        """Return `count` rows, spread evenly; a larger sample holds a smaller one."""
        if count >= len(self.label):
            return np.arange(len(self.label))
        return self.order[: max(count, 0)]

    def start(self, count, n_neighbors, min_dist, n_components=3):
        """Lay the sample out in the background, one layout at a time.

        Of the requests that arrive meanwhile, as when a slider is drawn, only the
        newest is computed next.

        Returns
        -------
        Future
            Of an ndarray of float64, shape (count, n_components). The same request
            twice is computed once; one that another took the place of raises
            `Superseded`.
        """
        key = (min(count, len(self.label)), n_neighbors, min_dist, n_components)
        with self._lock:
            if key in self._layouts:
                return self._layouts[key]
            future = self._layouts[key] = Future()
            passed_over = self._layouts.pop(self._next, None)
            self._next = key
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._work, daemon=True).start()
        if passed_over is not None:
            passed_over.set_exception(Superseded("another layout was asked for since"))
        return future

    def _work(self):
        """Compute what is asked for until nothing is left."""
        while True:
            with self._lock:
                if self._next is None:
                    self._busy = False
                    return
                key, self._next = self._next, None
            self._run(key)

    def _run(self, key):
        count, n_neighbors, min_dist, n_components = key
        future = self._layouts[key]
        rows = self.sample(count)
        self.say(f"laying out {len(rows):,} points in {n_components}-D ...")
        begun = time.monotonic()
        try:
            positions = lay_out(
                self.embeddings[rows],
                n_neighbors=n_neighbors,
                min_dist=min_dist,
                n_components=n_components,
            )
        except Exception as error:  # noqa: BLE001 - handed on to who asked
            with self._lock:
                self._layouts.pop(key)
            future.set_exception(error)
            self.say(f"the layout failed: {error}")
            return
        self.say(f"laid out in {time.monotonic() - begun:.0f} s")
        future.set_result(positions)

    def clusters(self, rows):
        """Return which of `rows` belong to each label.

        Parameters
        ----------
        rows : ndarray of int, shape (M,)

        Returns
        -------
        dict of str to ndarray of int
            Key as `label_texts` writes it, without the word; ascending.
        """
        names = label_numbers(self.label)
        present = np.unique(self.label[rows])
        return {names[value]: rows[self.label[rows] == value] for value in present}


def label_numbers(label):
    """Return each label as text with leading zeros, so that texts sort like numbers."""
    values = np.unique(label)
    width = max(2, *(len(str(abs(value))) for value in values.tolist()))
    return {value: f"{value:0{width}d}" for value in values.tolist()}


def lay_out(embeddings, *, n_neighbors, min_dist, n_components):
    """Map embeddings to 2-D or 3-D with UMAP; the same embeddings to the same places.

    Up to 20,000 points the neighbors are searched exactly, by matrix product,
    which is quicker than to build an approximate index; beyond, an index is built
    and half as many steps are made. It starts from the principal components, which
    keeps the far order and skips a slow eigenproblem.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (N, D)
    n_neighbors : int
    min_dist : float
    n_components : {2, 3}

    Returns
    -------
    ndarray of float64, shape (N, n_components)
        Centered on the origin.
    """
    count = len(embeddings)
    if count <= max(n_components + 1, 10):
        return _principal(embeddings, n_components)
    n_neighbors = min(n_neighbors, count - 1)
    with warnings.catch_warnings():
        # umap and numba warn of settings chosen here on purpose
        warnings.simplefilter("ignore")
        from umap import UMAP

        known, epochs = (None, None, None), EPOCHS_BEYOND
        if count <= EXACT_NEIGHBORS:
            known, epochs = (*nearest(embeddings, n_neighbors), None), EPOCHS
        positions = UMAP(
            n_components=n_components,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            n_epochs=epochs,
            init="pca" if embeddings.shape[1] >= n_components else "random",
            precomputed_knn=known,
            random_state=SEED,
            n_jobs=1,  # all cores would give another cloud each time
        ).fit_transform(embeddings)
    return (positions - positions.mean(axis=0)).astype(np.float64)


def _principal(embeddings, n_components):
    """Return the first principal components, zeros where there are fewer."""
    centered = embeddings - embeddings.mean(axis=0)
    left, size, _ = np.linalg.svd(centered.astype(np.float64), full_matrices=False)
    positions = np.zeros((len(embeddings), n_components))
    found = (left * size)[:, :n_components]
    positions[:, : found.shape[1]] = found
    return positions


def nearest(points, count, block=1024):
    """Return the nearest neighbors of each point, itself first, and their distances.

    Parameters
    ----------
    points : ndarray of float32, shape (N, D)
    count : int
        Neighbors of each, at most N.

    Returns
    -------
    indices : ndarray of int32, shape (N, count)
    distances : ndarray of float32, shape (N, count)
        Euclidean.
    """
    squares = np.einsum("ij,ij->i", points, points)
    indices = np.empty((len(points), count), np.int32)
    distances = np.empty((len(points), count), np.float32)
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        table = squares - 2 * points[rows] @ points.T + squares[rows, None]
        # rounding must not put another point before the point itself
        table[np.arange(len(table)), np.arange(start, start + len(table))] = -1
        near = np.argpartition(table, count - 1, axis=1)[:, :count]
        gaps = np.take_along_axis(table, near, axis=1)
        order = np.argsort(gaps, axis=1)
        indices[rows] = np.take_along_axis(near, order, axis=1)
        near_first = np.take_along_axis(gaps, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(near_first, 0))
    return indices, distances
