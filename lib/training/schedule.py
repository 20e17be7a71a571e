"""Length and learning rate of a run."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Length and rate of a run.

    Attributes
    ----------
    epochs : int
    batch_size : int
        Candidates a step, over all ranks; no rate depends on the number of ranks.
    lr : float
    keep_every : int
        Epochs between two health checks and, with `keep_all`, kept checkpoints.
    keep_all : bool
    """

    epochs: int
    batch_size: int
    lr: float
    keep_every: int = 20
    keep_all: bool = False


def learning_rate(lr, progress, recipe, schedule):
    """Return the rate after `progress` epochs (a fraction within the epoch).

    Warm-up first, then steps or a cosine; a function of progress alone, so that a
    resumed run needs no scheduler state.
    """
    warm = recipe.warm * schedule.epochs
    if progress < warm:
        return lr * (progress + 1 / 50) / (warm + 1 / 50)
    lr *= 0.1 ** sum(progress >= step for step in recipe.steps)
    if recipe.cosine:
        done = (progress - warm) / max(schedule.epochs - warm, 1e-9)
        lr *= (1 + math.cos(math.pi * min(done, 1))) / 2
    return lr
