import numpy as np
import pytest

from benchmarks import quality_metrics as metrics

N, CLASSES = 400, 4


@pytest.fixture
def labels():
    return np.repeat([f"class {i}" for i in range(CLASSES)], N // CLASSES)


@pytest.fixture
def folds(labels):
    return metrics.particle_folds(np.arange(N), labels)


def perfect(labels):
    centers = np.eye(CLASSES, 16)
    _, index = np.unique(labels, return_inverse=True)
    noise = np.random.default_rng(0).normal(0, 0.01, (N, 16))
    return centers[index] + noise


def test_perfect_embedding_gives_one(labels, folds):
    features = perfect(labels)
    assert metrics.knn_accuracy(features, labels, folds) == 1
    assert metrics.probe_accuracy(features, labels, folds) == 1
    first = labels == labels[0]
    assert metrics.particle_auc(features, first, folds) == 1


def test_shuffled_labels_give_chance(labels, folds):
    features = perfect(labels)
    shuffled = np.random.default_rng(1).permutation(labels)
    expected = pytest.approx(metrics.chance(labels), abs=0.08)
    assert metrics.knn_accuracy(features, shuffled, folds) == expected
    assert metrics.probe_accuracy(features, shuffled, folds) == expected
    area = metrics.particle_auc(features, shuffled == labels[0], folds)
    assert area == pytest.approx(0.5, abs=0.1)


def test_constant_embedding_gives_chance(labels, folds):
    accuracy = metrics.knn_accuracy(np.ones((N, 8)), labels, folds)
    assert accuracy == pytest.approx(metrics.chance(labels), abs=0.02)


def test_rows_of_one_particle_stay_in_one_fold():
    # Two noisy views of each of 100 particles, all labels at random: who may look
    # at the sister row knows the label, who may not is left with chance.
    rng = np.random.default_rng(2)
    particles = np.tile(np.arange(100), 2)
    labels = np.tile(rng.integers(0, CLASSES, 100), 2)
    features = np.tile(rng.normal(size=(100, 32)), (2, 1))
    folds = metrics.particle_folds(particles, labels, seed=3)
    np.testing.assert_array_equal(folds[:100], folds[100:])
    leaky = np.random.default_rng(4).integers(0, 5, 200)
    assert metrics.knn_accuracy(features, labels, leaky, k=1) > 0.6
    assert metrics.knn_accuracy(features, labels, folds, k=1) < 0.45


def test_folds_hold_every_class_evenly(labels, folds):
    counts = [np.unique(labels[folds == f], return_counts=True)[1] for f in range(5)]
    np.testing.assert_array_equal(counts, np.full((5, CLASSES), N // CLASSES // 5))


def test_recall_and_matching_of_a_small_example():
    names = ["a", "a", "a", "b"]
    candidates = [[10, 10, 10], [12, 10, 10], [90, 90, 10], [50, 50, 20]]
    particle_names = ["a", "a", "b", "b"]
    particles = [[11.5, 10, 10], [50, 50, 20], [50, 58, 20], [10, 10, 10]]
    found = metrics.match(names, candidates, particle_names, particles, radius=10)
    np.testing.assert_array_equal(found.particle, [0, 0, -1, 2])
    np.testing.assert_array_equal(found.candidate, [1, -1, 3, -1])
    classes = ["ring", "rod", "ring", "rod"]
    assert metrics.recall_by_class(found, classes, 6) == {"ring": 0.5, "rod": 0.0}
    assert metrics.recall_by_class(found, classes, 10) == {"ring": 1.0, "rod": 0.0}


def test_a_candidate_belongs_to_its_nearest_particle_only():
    found = metrics.match(["a"], [[0, 0, 0]], ["a", "a"], [[3, 0, 0], [-2, 0, 0]], 6)
    np.testing.assert_array_equal(found.candidate, [-1, 0])


def test_no_candidates_is_a_recall_of_zero():
    found = metrics.match([], np.empty((0, 3)), ["a"], [[1, 2, 3]], 6)
    assert metrics.recall_by_class(found, ["rod"], 10) == {"rod": 0.0}


def test_pca_of_few_rows_keeps_what_there_is():
    patches = np.random.default_rng(6).normal(size=(10, 1, 8, 8))
    assert metrics.pca_features(patches).shape == (10, 10)
