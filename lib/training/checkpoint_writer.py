"""Where a run stands, and what of it is on disk."""

import math
import time
from dataclasses import dataclass, field

import torch

from lib.errors import TrainingError
from lib.training.checkpoints import save_checkpoint
from lib.training.logger import write_log
from lib.training.resume import load_run

SAVE_SECONDS = 20  # short epochs share a checkpoint; an interrupt writes the newest


@dataclass
class TrainingState:
    """Where a run stands.

    Attributes
    ----------
    epoch : int
        Finished epochs.
    history : list of dict
        A line of log.txt an epoch.
    best_loss : float
        Lowest of an epoch that had not collapsed.
    health : dict
        Of the newest check; see `lib.training.metrics.Health`.
    newest, best : dict or None
        Checkpoints that are not on disk yet.
    """

    epoch: int = 0
    history: list = field(default_factory=list)
    best_loss: float = math.inf
    health: dict = field(default_factory=dict)
    newest: dict | None = None
    best: dict | None = None


class CheckpointWriter:
    """Keeps the state of a run and brings it to disk.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    memory : dict
        What every checkpoint remembers of the run, with its ``seed``.
    ranks : lib.system.ranks.Ranks
        Only the main one writes.
    """

    def __init__(self, experiment, memory, *, ranks):
        self.experiment, self.memory, self.ranks = experiment, memory, ranks
        self.state = TrainingState()
        self.saved_at = time.monotonic()

    @property
    def is_due(self):
        """Whether what is not on disk would be missed."""
        return time.monotonic() - self.saved_at > SAVE_SECONDS

    def restore(self):
        """Take the state from model_last.pth; return the checkpoint and its path.

        Raises
        ------
        ArtifactError, TrainingError
            When there is none, it does not remember its run, or it was trained with
            another seed.
        """
        path = self.experiment.checkpoint("last")
        content = load_run(path)
        if content.get("seed") != self.memory["seed"]:
            raise TrainingError(
                f"{path} was trained with --seed {content.get('seed')}, not "
                f"{self.memory['seed']}; resume with the same"
            )
        self.state = TrainingState(
            content["epoch"],
            content["history"],
            content["best_loss"],
            content["health"],
        )
        if self.ranks.is_main:  # a kill may have come between checkpoint and log
            write_log(self.experiment.log, self.state.history)
        return content, path

    def snapshot(self, model, optimizer):
        """Return the checkpoint of this moment, in memory of its own."""
        weights = {k: _apart(v) for k, v in model.state_dict().items()}
        return {
            "epoch": self.state.epoch,
            "state_dict": weights,
            "optimizer": _copied(optimizer.state_dict()),
            "history": self.state.history,
            "best_loss": self.state.best_loss,
            "health": self.state.health,
            **self.memory,
        }

    def keep(self):
        """Write the newest checkpoint as that of its epoch, which stays."""
        if self.ranks.is_main:
            path = self.experiment.checkpoint(self.state.epoch)
            save_checkpoint(path, self.state.newest)

    def write(self):
        """Bring to disk what is not there yet; best first, see `restore`."""
        state, self.saved_at = self.state, time.monotonic()
        if self.ranks.is_main:
            if state.best is not None:
                save_checkpoint(self.experiment.checkpoint("best"), state.best)
            if state.newest is not None:
                save_checkpoint(self.experiment.checkpoint("last"), state.newest)
                write_log(self.experiment.log, state.history)
        state.best = state.newest = None


def _apart(tensor):
    """Return a copy in the memory of the host, whatever befalls the GPU."""
    return tensor.detach().to("cpu", copy=True)


def _copied(content):
    if isinstance(content, torch.Tensor):
        return _apart(content)
    if isinstance(content, dict):
        return {key: _copied(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_copied(value) for value in content]
    return content
