"""The layout of many rows: UMAP's, the same on any number of cores."""

import numpy as np
import pytest
from scipy.sparse import block_diag, coo_matrix

from lib.maps import layout
from lib.maps.layout import ProjectionOptions, project_2d, project_3d, unit_rows
from lib.maps.optimizer import optimize_positions
from tests.plot_tables import make_table
from tests.test_layout import separation

A_AND_B = {"a": 0.583, "b": 1.334}  # of a least distance of 0.5


@pytest.fixture
def many(monkeypatch):
    """Let 90 rows count as many."""
    monkeypatch.setattr(layout, "N_OWN_OPTIMIZER", 50)
    return unit_rows(make_table(90).pred)


def options(seed=1):
    return ProjectionOptions("umap", 10, 0.3, seed=seed)


def test_groups_stay_apart_and_the_seed_decides(many):
    first, again, other = (project_2d(many, options(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert separation(first) > 2
    assert separation(project_3d(many, options())) > 2


def test_labels_part_what_the_embedding_does_not(many):
    rng = np.random.default_rng(0)
    one_cloud = unit_rows(1 + 0.1 * rng.normal(size=(90, 16)))
    labels = np.arange(90) % 3
    plain = project_2d(one_cloud, options())
    supervised = project_2d(one_cloud, options(), labels=labels, start=plain)
    assert separation(plain) < 1 < separation(supervised)


def rings(n, k):
    """Return a graph in which each row has k neighbors on either side of a ring."""
    rows = np.repeat(np.arange(n), 2 * k)
    steps = np.tile(np.r_[-k:0, 1 : k + 1], n)
    strength = (1 / np.abs(steps)).astype(np.float32)
    return coo_matrix((strength, (rows, (rows + steps) % n)), shape=(n, n))


@pytest.mark.parametrize("k", [5, 20])
def test_threads_do_not_change_the_positions(k, monkeypatch):
    start = 10 * np.random.default_rng(0).random((501, 3))
    found = []
    for cores in (1, 2):
        monkeypatch.setattr("lib.maps.optimizer.usable_cores", lambda n=cores: n)
        found.append(
            optimize_positions(rings(501, k), start, n_epochs=20, seed=3, **A_AND_B)
        )
    np.testing.assert_array_equal(*found)


# With 20 on either side, a part of the rows is laid out first.
@pytest.mark.parametrize(("n", "k"), [(400, 5), (1600, 20)])
def test_neighbors_attract_and_others_repel(n, k):
    start = 10 * np.random.default_rng(0).random((n, 2))
    found = optimize_positions(rings(n, k), start, n_epochs=100, seed=0, **A_AND_B)
    near = np.linalg.norm(found - np.roll(found, 1, axis=0), axis=1)
    far = np.linalg.norm(found - np.roll(found, n // 2, axis=0), axis=1)
    assert np.median(near) < 1 < 5 < np.median(far)
    assert np.isfinite(found).all()


def test_rows_without_a_neighbor_that_was_laid_out_are_placed_too():
    # 200 rows in a chain that no other row knows, among 1,600 with many neighbors
    graph = block_diag([rings(1600, 24), rings(200, 1)])
    start = 10 * np.random.default_rng(0).random((1800, 2))
    found = optimize_positions(graph, start, n_epochs=60, seed=0, **A_AND_B)
    assert np.isfinite(found).all()
    chain = found[1600:]
    steps = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    apart = np.linalg.norm(chain - np.roll(chain, 100, axis=0), axis=1)
    assert np.median(steps) < np.median(apart)
