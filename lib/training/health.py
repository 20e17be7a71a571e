"""Is the embedding worth looking at? One verdict, in words."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lib.training.embedding import encode
from lib.training.models import effective_rank, output_std

SAMPLE = 1024
COLLAPSED_STD = 0.1  # of the healthy 1 / sqrt(dim)
COLLAPSED_RANK = 2.0
POOR_RANK = 8.0
TIMES_CHANCE = 10  # agreement of two views of a candidate below this is too little


@dataclass(frozen=True)
class Health:
    """How an embedding does on the training candidates, in evaluation mode.

    Attributes
    ----------
    output_std : float
        Collapse monitor; 1 / sqrt(dim) is healthy.
    effective_rank : float
        Dimensions really used.
    agreement : float
        Share of candidates whose nearest neighbor among the second views is their
        own.
    chance : float
        What that share would be by chance.
    verdict : {"healthy", "undertrained", "collapsed"}
    """

    output_std: float
    effective_rank: float
    agreement: float
    chance: float
    verdict: str

    @property
    def message(self):
        """One line for the user."""
        figures = (
            f"output_std {self.output_std:.4f}, effective rank "
            f"{self.effective_rank:.1f}, two views of a candidate find each other "
            f"{self.agreement:.0%} of the time (chance {self.chance:.1%})"
        )
        advice = {
            "healthy": "",
            "undertrained": "; train longer before trusting the map",
            "collapsed": "; all candidates look alike to it: its map means nothing",
        }
        return f"the model is {self.verdict}: {figures}{advice[self.verdict]}"

    def as_dict(self):
        """Return plain values, for checkpoints and npz."""
        return {**asdict(self), "message": self.message}


def check_health(model, views, count, *, seed, device, precision):
    """Judge a model whose batch-norm statistics are recalibrated.

    Parameters
    ----------
    model : SimSiam
    views : lib.training.embedding.PlainViews
    count : int
        Candidates in the store.
    seed : int
        Of the sample of at most `SAMPLE` candidates.

    Returns
    -------
    Health
    """
    sample = sample_rows(count, SAMPLE, seed)
    embedded, first, second = (
        _predictions(model, views, sample, place, device, precision)
        for place in (0, views.pairing.first, views.pairing.second[0])
    )
    nearest = (F.normalize(first, dim=1) @ F.normalize(second, dim=1).T).argmax(1)
    agreement = float(
        (nearest == torch.arange(len(nearest), device=device)).float().mean()
    )
    std, rank = output_std(embedded), effective_rank(embedded)
    chance = 1 / len(sample)
    return Health(
        std, rank, agreement, chance, _verdict(std, rank, agreement, chance, embedded)
    )


def collapsed(std, rank, dim):
    """Return whether these monitors say that the embedding holds nothing."""
    return not (std > COLLAPSED_STD / dim**0.5 and rank > COLLAPSED_RANK)


def sample_rows(count, most, seed):
    """Return at most `most` of the rows, the same for the same seed."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:most])


def _predictions(model, views, rows, place, device, precision, at_once=256):
    parts = np.array_split(rows, -(-len(rows) // at_once))
    return torch.cat(
        [
            encode(model, views(part, place), device=device, precision=precision)[1]
            for part in parts
        ]
    )


def _verdict(std, rank, agreement, chance, embeddings):
    count, dim = embeddings.shape
    if collapsed(std, rank, dim):
        return "collapsed"
    if rank < min(POOR_RANK, count / 8) or agreement < min(TIMES_CHANCE * chance, 0.5):
        return "undertrained"
    return "healthy"
