"""What is watched while training: loss and collapse."""

import torch

from lib.training.models import spectrum_rank


class Monitor:
    """Loss and collapse monitors of an epoch, kept on the device until its end."""

    def __init__(self, steps, device):
        self.losses = torch.zeros(steps, 2, device=device)
        self.rows = []
        self.moments = None

    def add(self, step, loss, cosine, p, rows):
        """Take in a step: its losses, predictions (B, D) and rows."""
        self.losses[step, 0] = loss
        self.losses[step, 1] = cosine
        self.rows.append(rows)
        p = p.float()
        unit = torch.nn.functional.normalize(p, dim=1)
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
