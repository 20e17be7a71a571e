"""The losses NT-Xent and SimSiam, and their combination.

SimSiam (Chen & He 2021) is the loss of MiLoPYP: it maximizes the cosine similarity of
the prediction of one view and the projection of the other. NT-Xent (Chen et al. 2020,
SimCLR) is the contrastive loss of the default recipe: among all views of a batch, the
other view of the same candidate should be the most similar one.
"""

import torch
import torch.nn.functional as F

from lib.training.compute import gather_rows


def negative_cosine(p, z):
    """Return D(p, stopgrad(z)), averaged over the batch (Chen & He 2021, eq. 1)."""
    return -F.cosine_similarity(p.float(), z.detach().float(), dim=1).mean()


def simsiam_loss(p1, p2, z1, z2):
    """Return the symmetrized loss of SimSiam (Chen & He 2021, eq. 2 to 4).

    Parameters
    ----------
    p1, p2, z1, z2 : Tensor, shape (N, D)
        Predictions and projections of both views.

    Returns
    -------
    Tensor
        -1 at best.
    """
    return negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2


def nt_xent_loss(z1, z2, temperature):
    """Return the normalized temperature-scaled cross entropy (SimCLR, eq. 1).

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, D)
        Projections of both views. With several ranks, the views of all ranks are
        compared.
    temperature : float
        The smaller it is, the more the most similar other views weigh.
    """
    views = F.normalize(torch.cat([gather_rows(z1), gather_rows(z2)]).float(), dim=1)
    similarity = views @ views.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    own = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return F.cross_entropy(similarity, own)


def training_loss(p1, p2, z1, z2, *, loss, temperature, simsiam_weight):
    """Return the loss of a recipe, and the SimSiam loss for the log.

    Parameters
    ----------
    p1, p2, z1, z2 : Tensor, shape (N, D)
        Predictions and projections of both views.
    loss : {"nt_xent", "simsiam"}
        ``"simsiam"`` minimizes the SimSiam loss alone. ``"nt_xent"`` minimizes NT-Xent
        of the projections plus `simsiam_weight` times the SimSiam loss: NT-Xent does
        not reach the predictor, whose output (``pred``) is what gets clustered, and
        the SimSiam loss trains it.
    temperature, simsiam_weight : float
        Used by ``"nt_xent"`` only.

    Returns
    -------
    total, simsiam : Tensor
    """
    simsiam = simsiam_loss(p1, p2, z1, z2)
    if loss == "simsiam":
        return simsiam, simsiam
    return nt_xent_loss(z1, z2, temperature) + simsiam_weight * simsiam, simsiam
