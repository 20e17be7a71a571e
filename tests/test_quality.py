import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import quality_networks
from benchmarks.quality_labels import Evaluation
from benchmarks.quality_metrics import particle_folds
from benchmarks.quality_tables import Results, write_tables
from lib.artifacts import EmbeddingTable
from tests.records import make_record

BOX = 8
RECORD = make_record({"a": {"shape": [60, 80, 80]}}, box=BOX, dog_boundary=10)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep threads from waiting for each other over tiny patches."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def evaluation(tmp_path):
    """Two classes of 40 particles, crowders, background; candidates near them."""
    rng = np.random.default_rng(0)
    lateral = np.arange(12, 68, 11)
    z, y, x = np.meshgrid([11, 22, 33, 44], lateral, lateral, indexing="ij")
    grid = np.stack([x, y, z], axis=-1).reshape(-1, 3)[rng.permutation(144)]
    kinds = np.repeat(["ring", "rod", "crowder", "nothing"], [40, 40, 24, 40])
    lines = ["tomogram,x,y,z,class", "a,2,40,30,rod"]  # one in the margin
    lines += [
        f"a,{x},{y},{z},{kind}"
        for (x, y, z), kind in zip(grid, kinds, strict=True)
        if kind != "nothing"
    ]
    (tmp_path / "particles.csv").write_text("\n".join(lines) + "\n")
    vectors = rng.normal(0, 0.1, (144, 128)).astype(np.float32)
    vectors[np.arange(144), np.unique(kinds, return_inverse=True)[1]] += 1
    patches = rng.normal(size=(144, 1, BOX, BOX)).astype(np.float32)
    table = EmbeddingTable(
        np.repeat("a", 144), grid, vectors, vectors, patches, record=RECORD
    )
    return Evaluation(table, tmp_path, seed=0)


def test_candidates_are_counted_within_the_margins_only(evaluation):
    found = evaluation.candidates()
    assert found["particles"] == 104
    assert found["labeled"] == 80
    assert found["recall 6"] == {"crowder": 1.0, "ring": 1.0, "rod": 1.0}
    assert found["chance"] == 0.5


def test_perfect_embedding_is_measured_as_one_and_noise_as_chance(evaluation):
    perfect = evaluation.of(evaluation.table.pred)
    assert perfect["knn"] == 1
    assert perfect["probe"] > 0.9
    assert perfect["auc"] > 0.9
    noise = np.random.default_rng(1).normal(size=(144, 32))
    measured = evaluation.of(noise)
    assert measured["knn"] == pytest.approx(0.5, abs=0.2)
    assert measured["rank"] > 20


def test_crowders_are_neither_labeled_nor_background(evaluation):
    assert len(evaluation.known.background) == 40
    assert {*evaluation.known.labels} == {"ring", "rod"}


def test_the_ceiling_never_trains_on_the_fold_it_predicts(monkeypatch):
    rng = np.random.default_rng(2)
    particles = np.repeat(np.arange(15), 2)
    views = rng.normal(size=(15, 1, BOX, BOX)).astype(np.float32)[particles]
    labels = np.array(["ring", "rod", "cross"])[particles % 3]
    folds = particle_folds(particles, labels)
    trained_on = []
    monkeypatch.setattr(
        quality_networks,
        "_fit",
        lambda model, views, *_: trained_on.append({v.tobytes() for v in views}),
    )
    predicted, embeddings = quality_networks.ceiling(
        views,
        labels,
        folds,
        arch="simsiam2d_18",
        mode="simsiam3d",
        device=torch.device("cpu"),
        seed=0,
        epochs=1,
    )
    assert set(predicted) <= set(labels)
    for (fold, features), seen in zip(embeddings, trained_on, strict=True):
        assert len(features) == len(views)
        assert seen.isdisjoint(v.tobytes() for v in views[folds == fold])
        assert len(seen) == len(np.unique(particles[folds != fold]))


def test_the_ceiling_learns_what_is_easy():
    bright = np.arange(40) % 2
    views = np.random.default_rng(3).normal(0, 0.2, (40, 1, BOX, BOX))
    views[:, :, 2:6, 2:6] += 2 * bright[:, None, None, None]
    labels = np.array(["dark", "bright"])[bright]
    predicted, _ = quality_networks.ceiling(
        views.astype(np.float32),
        labels,
        np.arange(40) // 2 % 2,
        arch="simsiam2d_18",
        mode="simsiam3d",
        device=torch.device("cpu"),
        seed=0,
        epochs=10,
    )
    assert (predicted == labels).mean() > 0.9


def test_results_go_on_where_they_stopped_and_become_a_table(tmp_path, evaluation):
    results = Results(tmp_path / "results.jsonl")
    key = {"set": "shapes", "mode": "simsiam3d", "dog": "3,5", "source": "default"}
    results.add({**key, "seed": 1, "candidates": evaluation.candidates()})
    assert not results.have({**key, "seed": 1})
    for seed, accuracy in ((1, 0.5), (2, 0.7)):
        found = {"knn": accuracy, "rank": 20.0}
        results.add({**key, "seed": seed, "features": "pred", "found": found})
    assert results.have({**key, "seed": 2, "features": "pred"})
    best = {**key, "source": "ceiling", "features": "classes", "seed": 1}
    results.add({**best, "found": {"knn": 0.8}})
    write_tables(tmp_path / "t.md", results.read(), "python quality.py", "a machine")
    text = (tmp_path / "t.md").read_text()
    (line,) = (line for line in text.splitlines() if "default: pred" in line)
    assert line.startswith("| default: pred | 2 | 0.600 ± 0.100 | - |")
    assert line.endswith("| 0.75 |")
    assert "| 6 voxels | 1.00 | 1.00 | 1.00 |" in text


def test_help_answers_at_once_without_torch():
    script = Path(__file__).parents[1] / "benchmarks/quality.py"
    code = (
        "import runpy, sys; sys.argv = ['quality.py', '--help']\n"
        f"try: runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--form" in done.stdout
