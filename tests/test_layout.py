import numpy as np
import pytest

from lib.maps.layout import (
    ProjectionOptions,
    is_collapsed,
    project_2d,
    unit_rows,
)
from lib.maps.neighbors import nearest_neighbors
from tests.plot_tables import make_table


def layout(mode="tsne", n_neighbors=10):
    return ProjectionOptions(mode, n_neighbors, 0.3, seed=1)


def separation(map_xy, groups=3):
    """Distance of the groups' middles over their own width."""
    group = np.arange(len(map_xy)) % groups
    middles = np.array([map_xy[group == g].mean(axis=0) for g in range(groups)])
    widths = [np.linalg.norm(map_xy[group == g].std(axis=0)) for g in range(groups)]
    between = np.linalg.norm(middles[:, None] - middles, axis=-1)
    return between[np.triu_indices(groups, 1)].min() / max(widths)


@pytest.fixture(scope="module")
def vectors():
    return unit_rows(make_table(90).pred)


@pytest.mark.parametrize("mode", ["umap", "tsne"])
def test_map_fills_the_unit_square_and_keeps_groups_apart(vectors, mode):
    map_xy = project_2d(vectors, layout(mode))
    assert (map_xy.shape, map_xy.dtype) == ((90, 2), np.float32)
    np.testing.assert_array_equal(map_xy.min(axis=0), 0)
    np.testing.assert_array_equal(map_xy.max(axis=0), 1)
    assert separation(map_xy) > 2


@pytest.mark.parametrize("mode", ["umap", "tsne"])
def test_same_seed_same_map(vectors, mode):
    first, second = (project_2d(vectors, layout(mode)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", ["umap", "tsne"])
def test_labels_part_what_the_embedding_does_not(mode):
    rng = np.random.default_rng(0)
    one_cloud = unit_rows(1 + 0.1 * rng.normal(size=(90, 16)))
    labels = np.arange(90) % 3
    plain = project_2d(one_cloud, layout(mode))
    supervised = project_2d(one_cloud, layout(mode), labels=labels, start=plain)
    # further apart than they are wide, where the plain map mixes them
    assert separation(plain) < 1 < separation(supervised)


def test_neighbors_found_before_give_the_same_groups(vectors):
    map_xy = project_2d(
        vectors, layout("umap"), neighbors=nearest_neighbors(vectors, 10)
    )
    assert separation(map_xy) > 2


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7])
def test_a_handful_of_rows_has_a_map(rows):
    vectors = unit_rows(np.random.default_rng(0).normal(size=(rows, 8)))
    map_xy = project_2d(vectors, layout(n_neighbors=max(2, rows - 1)))
    assert map_xy.shape == (rows, 2)
    assert (map_xy >= 0).all()
    assert (map_xy <= 1).all()


def test_rows_that_do_not_differ_are_told_and_shuffled_over_a_disc():
    vectors = unit_rows(np.ones((50, 8)) + 1e-7 * np.arange(50)[:, None])
    assert is_collapsed(vectors)
    map_xy = project_2d(vectors, layout())
    radius = np.linalg.norm(map_xy - 0.5, axis=1)
    assert radius.max() <= 0.5
    assert abs(np.corrcoef(radius, np.arange(50))[0, 1]) < 0.4


def test_an_embedding_with_structure_is_not_called_collapsed(vectors):
    assert not is_collapsed(vectors)


def test_rows_become_directions_and_zeros_stay():
    scaled = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0]])
