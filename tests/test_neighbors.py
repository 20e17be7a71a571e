"""Nearest neighbors: found once, kept, and searched again when they are of others."""

import numpy as np
import pytest

from lib.artifacts import ExperimentDir, Neighbors
from lib.maps import neighbors
from lib.maps.layout import unit_rows
from lib.maps.neighbors import kept_neighbors, nearest_neighbors
from tests.plot_tables import make_table


@pytest.fixture(scope="module")
def vectors():
    return unit_rows(make_table(600).pred)


@pytest.fixture
def searches(monkeypatch):
    """Count the searches."""
    counted, search = [], neighbors.nearest_neighbors

    def counting(*arguments):
        counted.append(arguments)
        return search(*arguments)

    monkeypatch.setattr(neighbors, "nearest_neighbors", counting)
    return counted


def test_neighbors_are_the_nearest_and_start_with_the_row_itself(vectors):
    found = nearest_neighbors(vectors, 5)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(len(vectors)))
    everything = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    nearest = np.sort(everything)[:, :5]
    np.testing.assert_allclose(found.distances, nearest, atol=1e-3)
    assert found.recall == 1


@pytest.mark.long  # pynndescent compiles for half a minute
def test_many_rows_are_searched_approximately_and_the_recall_is_told(
    vectors, monkeypatch
):
    exact = nearest_neighbors(vectors, 10)
    monkeypatch.setattr(neighbors, "N_EXACT_NEIGHBORS", 100)
    first, second = (nearest_neighbors(vectors, 10) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    pairs = zip(exact.indices, first.indices, strict=True)
    recall = np.mean([len(np.intersect1d(*pair)) / 10 for pair in pairs])
    assert recall > 0.9
    assert first.recall == pytest.approx(recall, abs=0.05)  # of a sample


def test_kept_neighbors_are_read_and_those_of_others_searched_again(
    vectors, tmp_path, searches
):
    path = ExperimentDir(tmp_path).neighbors
    first = kept_neighbors(path, vectors, 8, fingerprint="a")
    again = kept_neighbors(path, vectors, 8, fingerprint="a")
    np.testing.assert_array_equal(first.indices, again.indices)
    np.testing.assert_array_equal(first.distances, again.distances)
    assert len(searches) == 1
    kept_neighbors(path, vectors[::-1], 8, fingerprint="b")  # another embedding
    kept_neighbors(path, vectors[::-1], 9, fingerprint="b")  # another number
    assert len(searches) == 3
    assert kept_neighbors(path, vectors[:4], 9, fingerprint="c").indices.shape == (4, 4)


@pytest.mark.parametrize("damage", ["cut", "text", "beyond"])
def test_damaged_neighbors_are_searched_again(vectors, tmp_path, searches, damage):
    path = tmp_path / "neighbors.npz"
    right = kept_neighbors(path, vectors, 8, fingerprint="a")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("no neighbors")
    else:
        Neighbors(right.indices + 1, right.distances).save(path, fingerprint="a")
    found = kept_neighbors(path, vectors, 8, fingerprint="a")
    np.testing.assert_array_equal(found.indices, right.indices)
    assert len(searches) == 2
