"""The point cloud of the interactive page: its 3-D layout, sample and clusters.

Phoenix computes the layout while the browser waits, and clusters a new random sample
with HDBSCAN each time. Here the layout starts when the session starts, the sample is
the same each time, and the clusters are the labels of the table, so that "Cluster 07"
on the page is number 7 in every other picture and file of the run.
"""

import threading
import time
from concurrent.futures import Future

import numpy as np

from lib.maps.layout import ProjectionOptions, project_cloud, unit_rows

SHOWN_AT_FIRST = 10_000
SEED = 0


class Superseded(Exception):
    """A layout that was replaced by a newer request before it began."""


class Cloud:
    """Positions and clusters of the rows that the page shows.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (N, D)
    label : ndarray of int, shape (N,)
    say : callable
        Called with a line of text: what is being computed, and how long it took.

    Attributes
    ----------
    order : ndarray of int, shape (N,)
        Order in which rows enter a sample.
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
        """Return `count` random rows; a larger sample contains a smaller one."""
        if count >= len(self.label):
            return np.arange(len(self.label))
        return self.order[: max(count, 0)]

    def start(self, count, n_neighbors, min_dist, n_components=3):
        """Compute the layout of a sample in the background, one layout at a time.

        Of the requests that arrive meanwhile, as when a slider moves, only the newest
        is computed next.

        Returns
        -------
        Future
            Of an ndarray of float64, shape (count, n_components). Equal requests are
            computed once; a request that a newer one replaced raises `Superseded`.
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
            passed_over.set_exception(Superseded("a newer layout was requested"))
        return future

    def _work(self):
        """Compute requests until none is left."""
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
            options = ProjectionOptions("umap", n_neighbors, min_dist, SEED)
            vectors = unit_rows(self.embeddings[rows])
            positions = project_cloud(vectors, options, n_components)
        except Exception as error:  # noqa: BLE001 - raised where the result is used
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
