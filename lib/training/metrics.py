"""Metrics of a model in training: loss, collapse monitors, and its health."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lib.training.encoding import encode

SAMPLE = 1024  # candidates that a health check looks at
COLLAPSED_STD = 0.1  # of the healthy 1 / sqrt(dim)
COLLAPSED_RANK = 2.0
POOR_RANK = 8.0
TIMES_CHANCE = 10  # an agreement of two views below this multiple of chance is poor


def effective_rank(embeddings):
    """Return the effective number of dimensions of the embeddings.

    The exponential of the entropy of the covariance spectrum (Roy & Vetterli 2007);
    it sees the dimensional collapse that `output_std` misses.

    Parameters
    ----------
    embeddings : Tensor or ndarray, shape (N, D)

    Returns
    -------
    float
        1 to D.
    """
    embeddings = torch.as_tensor(embeddings).double()
    centered = embeddings - embeddings.mean(0)
    return spectrum_rank(centered.T @ centered)


def spectrum_rank(covariance):
    """Return the effective rank of a covariance (D, D); see `effective_rank`."""
    # On the CPU: a GPU would first have to load its solver.
    spectrum = torch.linalg.eigvalsh(covariance.double().cpu()).clamp(min=0)
    share = spectrum / spectrum.sum().clamp(min=1e-300)
    return float(torch.exp(-(share * share.clamp(min=1e-300).log()).sum()))


def output_std(embeddings):
    """Return the collapse monitor of SimSiam (Chen & He 2021, fig. 2).

    The standard deviation of the normalized embeddings (N, D), averaged over the
    dimensions: about 1 / sqrt(D) if healthy, near 0 if collapsed.
    """
    embeddings = torch.as_tensor(embeddings).float()
    return float(F.normalize(embeddings, dim=1).std(0).mean())


class Monitor:
    """Accumulates loss and collapse monitors of an epoch, on the device."""

    def __init__(self, steps, device):
        self.losses = torch.zeros(steps, 2, device=device)
        self.rows = []
        self.moments = None

    def add(self, step, loss, cosine, p, rows):
        """Add the losses, predictions (B, D) and rows of a step."""
        self.losses[step, 0] = loss
        self.losses[step, 1] = cosine
        self.rows.append(rows)
        p = p.float()
        unit = F.normalize(p, dim=1)
        new = [len(p), p.sum(0), p.T @ p, unit.sum(0), unit.square().sum(0)]
        old = self.moments or [0] * len(new)
        self.moments = [a + b for a, b in zip(old, new, strict=True)]

    def summary(self, ranks):
        """Return loss, cosine_loss, output_std and effective_rank of the epoch."""
        loss, cosine = ranks.mean(self.losses.double().mean(0)).tolist()
        count, total, products, unit, unit_squares = self.moments
        covariance = products / count - torch.outer(total, total) / count**2
        variance = unit_squares / count - (unit / count).square()
        return {
            "loss": loss,
            "cosine_loss": cosine,
            "output_std": float(variance.clamp(min=0).sqrt().mean()),
            "effective_rank": spectrum_rank(covariance),
        }


@dataclass(frozen=True)
class Health:
    """Quality of an embedding of the training candidates, in evaluation mode.

    Attributes
    ----------
    output_std : float
        See `output_std`; 1 / sqrt(dim) is healthy.
    effective_rank : float
        See `effective_rank`.
    agreement : float
        Share of candidates whose nearest neighbor among the second views is their
        own.
    chance : float
        The share expected by chance.
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
    """Check a model whose batch norm is recalibrated.

    Parameters
    ----------
    model : SimSiam
    views : lib.training.encoding.PlainViews
    count : int
        Candidates in the store.
    seed : int
        Of the random sample of at most `SAMPLE` candidates.

    Returns
    -------
    Health
    """
    sample = sample_rows(count, SAMPLE, seed)
    embedded, first, second = (
        _predictions(model, views, sample, offset, device, precision)
        for offset in (0, views.pairing.first, views.pairing.second[0])
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
    """Return whether an embedding of these metrics has collapsed."""
    return not (std > COLLAPSED_STD / dim**0.5 and rank > COLLAPSED_RANK)


def sample_rows(count, size, seed):
    """Return a sorted random sample of at most `size` of `count` rows."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:size])


def _predictions(model, views, rows, offset, device, precision, batch_size=256):
    parts = np.array_split(rows, -(-len(rows) // batch_size))
    return torch.cat(
        [
            encode(model, views(part, offset), device=device, precision=precision)[1]
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
