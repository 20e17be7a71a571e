"""The state of a training run, and writing it to checkpoints and log."""

import math
import time
from dataclasses import dataclass, field

import torch

from lib.errors import TrainingError
from lib.training.checkpoints import save_checkpoint
from lib.training.logger import write_log
from lib.training.resume import load_run

SAVE_SECONDS = 20  # between checkpoints of short epochs; an interrupt writes one too


@dataclass
class TrainingState:
    """Progress of a training run.

    Attributes
    ----------
    epoch : int
        Finished epochs.
    history : list of dict
        The log entry of each epoch.
    best_loss : float
        Lowest loss of the epochs that had not collapsed.
    health : dict
        Of the last check; see `lib.training.metrics.Health`.
    latest, best : dict or None
        Checkpoints that are not written yet.
    """

    epoch: int = 0
    history: list = field(default_factory=list)
    best_loss: float = math.inf
    health: dict = field(default_factory=dict)
    latest: dict | None = None
    best: dict | None = None


class CheckpointWriter:
    """Holds the state of a run and writes it to disk.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    memory : dict
        What every checkpoint holds of the run, with its ``seed``.
    ranks : lib.system.ranks.Ranks
        Only the main rank writes.
    """

    def __init__(self, experiment, memory, *, ranks):
        self.experiment, self.memory, self.ranks = experiment, memory, ranks
        self.state = TrainingState()
        self.saved_at = time.monotonic()

    @property
    def is_due(self):
        """Whether the last checkpoint is older than `SAVE_SECONDS`."""
        return time.monotonic() - self.saved_at > SAVE_SECONDS

    def restore(self):
        """Restore the state from model_last.pth; return the checkpoint and its path.

        Raises
        ------
        ArtifactError, TrainingError
            When it does not exist, does not hold its run, or was trained with another
            seed.
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
        if self.ranks.is_main:  # a kill may have hit between checkpoint and log
            write_log(self.experiment.log, self.state.history)
        return content, path

    def snapshot(self, model, optimizer):
        """Return a checkpoint of the current state, copied to the CPU."""
        weights = {k: _to_cpu(v) for k, v in model.state_dict().items()}
        return {
            "epoch": self.state.epoch,
            "state_dict": weights,
            "optimizer": _copy_to_cpu(optimizer.state_dict()),
            "history": self.state.history,
            "best_loss": self.state.best_loss,
            "health": self.state.health,
            **self.memory,
        }

    def save_epoch(self):
        """Write the latest checkpoint to the file of its epoch, which is kept."""
        if self.ranks.is_main:
            path = self.experiment.checkpoint(self.state.epoch)
            save_checkpoint(path, self.state.latest)

    def write(self):
        """Write the checkpoints that are not written yet; the best one first."""
        state, self.saved_at = self.state, time.monotonic()
        if self.ranks.is_main:
            if state.best is not None:
                save_checkpoint(self.experiment.checkpoint("best"), state.best)
            if state.latest is not None:
                save_checkpoint(self.experiment.checkpoint("last"), state.latest)
                write_log(self.experiment.log, state.history)
        state.best = state.latest = None


def _to_cpu(tensor):
    """Return a copy of a tensor on the CPU."""
    return tensor.detach().to("cpu", copy=True)


def _copy_to_cpu(content):
    if isinstance(content, torch.Tensor):
        return _to_cpu(content)
    if isinstance(content, dict):
        return {key: _copy_to_cpu(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_copy_to_cpu(value) for value in content]
    return content
