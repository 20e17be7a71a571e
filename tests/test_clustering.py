import numpy as np
import pytest

from lib.errors import OptionError
from lib.maps.clustering import over_cluster
from lib.maps.layout import unit_rows
from tests.plot_tables import make_table


def test_groups_that_lie_apart_are_found():
    labels = over_cluster(unit_rows(make_table(90).pred), n_cluster=3, seed=0)
    assert (
        len(set(zip(labels.tolist(), (np.arange(90) % 3).tolist(), strict=True))) == 3
    )


def test_over_clustering_divides_groups_and_mixes_none():
    labels = over_cluster(unit_rows(make_table(300).pred), n_cluster=12, seed=0)
    assert set(labels.tolist()) == set(range(12))
    for label in range(12):
        assert len(set((np.flatnonzero(labels == label) % 3).tolist())) == 1


def test_near_numbers_are_alike():
    labels = over_cluster(unit_rows(make_table(300).pred), n_cluster=12, seed=0)
    group = [np.flatnonzero(labels == label)[0] % 3 for label in range(12)]
    assert np.count_nonzero(np.diff(group)) == 2


def test_the_same_seed_gives_the_same_labels():
    vectors = unit_rows(np.random.default_rng(0).normal(size=(400, 16)))
    first, second = (over_cluster(vectors, n_cluster=20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("n_cluster", [1, 2, 11, 12])
def test_few_candidates_fill_every_cluster(n_cluster):
    labels = over_cluster(unit_rows(make_table(12).pred), n_cluster=n_cluster, seed=0)
    assert set(labels.tolist()) == set(range(n_cluster))


def test_more_clusters_than_candidates_are_rejected_with_both_numbers():
    with pytest.raises(OptionError, match="--n_cluster 13 .* candidates, 12;"):
        over_cluster(unit_rows(make_table(12).pred), n_cluster=13, seed=0)


def test_candidates_that_are_all_equal_are_one_cluster():
    labels = over_cluster(np.ones((20, 8), np.float32), n_cluster=5, seed=0)
    assert labels.tolist() == [0] * 20
