"""The contrast that keeps the embedding from collapse, also of its dimensions."""

import torch
import torch.nn.functional as F

from lib.training.distributed import gather_rows


def contrastive_loss(z1, z2, temperature):
    """Return how badly the two views of a candidate find each other.

    NT-Xent (Chen et al. 2020, SimCLR, eq. 1): of all other views in the batch, over
    all ranks, the second view of the same candidate shall be the most similar.

    Parameters
    ----------
    z1, z2 : Tensor, shape (N, D)
        Projections of both views.
    temperature : float
        Smaller looks at the hardest of the others only.
    """
    views = F.normalize(torch.cat([gather_rows(z1), gather_rows(z2)]).float(), dim=1)
    similarity = views @ views.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    own = torch.arange(len(views), device=views.device).roll(len(views) // 2)
    return F.cross_entropy(similarity, own)
