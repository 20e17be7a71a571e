import numpy as np
import pytest
import torch

from lib.patches.views import SAME_TILTS
from lib.training.metrics import (
    Health,
    check_health,
    collapsed,
    effective_rank,
    output_std,
    sample_rows,
)

CPU = torch.device("cpu")


class Views:
    """Two views a candidate: the candidate's own code, with noise in the second."""

    pairing = SAME_TILTS

    def __init__(self, codes, noise):
        self.codes, self.noise = codes, noise

    def __call__(self, rows, offset=0):
        torch.manual_seed(offset)
        codes = self.codes[np.asarray(rows)]
        return codes + self.noise * offset * torch.randn_like(codes)


class Identity(torch.nn.Module):
    def encode(self, views):
        return views, views


def judge(codes, noise=0.1):
    args = {"seed": 0, "device": CPU, "precision": "fp32"}
    return check_health(Identity(), Views(codes, noise), len(codes), **args)


def test_distinct_candidates_that_find_each_other_are_healthy():
    torch.manual_seed(0)
    health = judge(torch.randn(300, 64))
    assert health.verdict == "healthy"
    assert health.agreement > 0.99
    assert "100% of the time (chance 0.3%)" in health.message


def test_constant_embedding_is_collapsed():
    health = judge(torch.ones(300, 64) + 1e-6 * torch.randn(300, 64))
    assert health.verdict == "collapsed"
    assert "means nothing" in health.message


def test_few_dimensions_are_not_healthy_whatever_the_std():
    torch.manual_seed(0)
    one = torch.randn(300, 1) @ torch.randn(1, 64)
    assert judge(one).verdict == "collapsed"
    three = torch.randn(300, 3) @ torch.randn(3, 64)
    health = judge(three)
    assert health.output_std > 0.5 / 8
    assert health.verdict == "undertrained"


def test_views_that_do_not_find_each_other_are_undertrained():
    torch.manual_seed(0)
    assert judge(torch.randn(300, 64), noise=50).verdict == "undertrained"


def test_collapse_needs_either_monitor():
    assert collapsed(std=0.001, rank=30, dim=128)
    assert collapsed(std=0.08, rank=1.5, dim=128)
    assert collapsed(std=float("nan"), rank=30, dim=128)
    assert not collapsed(std=0.08, rank=30, dim=128)


def test_sample_is_the_same_for_the_same_seed_and_in_order():
    first, second = sample_rows(5000, 100, 1), sample_rows(5000, 100, 1)
    np.testing.assert_array_equal(first, second)
    assert (np.diff(first) > 0).all()
    assert len(sample_rows(7, 100, 1)) == 7


def test_health_is_plain_data():
    health = Health(0.08, 40.0, 0.9, 0.001, "healthy")
    assert set(health.as_dict()) >= {"verdict", "message", "effective_rank"}


def test_effective_rank_counts_dimensions_and_sees_what_output_std_misses():
    torch.manual_seed(0)
    full = torch.randn(4000, 64)
    flat = torch.randn(4000, 2) @ torch.randn(2, 64)
    assert effective_rank(full) > 60
    assert effective_rank(flat) <= 2.001
    healthy = 1 / 64**0.5
    assert output_std(full) == pytest.approx(healthy, rel=0.02)
    assert output_std(flat) > 0.8 * healthy
    assert output_std(torch.ones(10, 64)) == pytest.approx(0, abs=1e-6)


def test_effective_rank_of_arrays_counts_the_dimensions_in_use():
    rng = np.random.default_rng(5)
    plane = rng.normal(size=(5000, 3)) @ np.linalg.qr(rng.normal(size=(64, 3)))[0].T
    assert effective_rank(plane) == pytest.approx(3, abs=0.05)
    assert effective_rank(np.ones((10, 4))) == 1
    assert output_std(rng.normal(size=(5000, 128))) == pytest.approx(
        128**-0.5, rel=0.02
    )
