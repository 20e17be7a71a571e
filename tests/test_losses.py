import math

import pytest
import torch
from torch.nn import functional as F

from lib.training.losses import negative_cosine, nt_xent_loss, simsiam_loss


def test_loss_is_the_papers_and_perfect_at_minus_one():
    torch.manual_seed(0)
    p1, p2, z1, z2 = torch.randn(4, 6, 8)
    by_hand = (
        -(
            F.normalize(p1, dim=1) * F.normalize(z2, dim=1)
            + F.normalize(p2, dim=1) * F.normalize(z1, dim=1)
        )
        .sum(1)
        .mean()
        / 2
    )
    torch.testing.assert_close(simsiam_loss(p1, p2, z1, z2), by_hand)
    torch.testing.assert_close(simsiam_loss(z1, z2, z2, 3 * z1), torch.tensor(-1.0))


def test_no_gradient_flows_into_the_projection():
    p = torch.randn(4, 8, requires_grad=True)
    z = torch.randn(4, 8, requires_grad=True)
    negative_cosine(p, z).backward()
    assert p.grad.abs().sum() > 0
    assert z.grad is None


def test_contrast_is_the_papers_formula():
    torch.manual_seed(0)
    z1, z2 = torch.randn(2, 5, 8)
    views = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    losses = []
    for i in range(10):
        similarity = torch.exp(views @ views[i] / 0.2)
        others = similarity.sum() - similarity[i]
        losses.append(-torch.log(similarity[(i + 5) % 10] / others))
    torch.testing.assert_close(nt_xent_loss(z1, z2, 0.2), torch.stack(losses).mean())


def test_contrast_prefers_distinct_candidates_to_a_collapse():
    torch.manual_seed(0)
    distinct = torch.randn(32, 16)
    constant = torch.ones(32, 16)
    assert nt_xent_loss(distinct, distinct, 0.2) < 1
    assert nt_xent_loss(constant, constant, 0.2) == pytest.approx(math.log(63))
