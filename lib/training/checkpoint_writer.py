"""The state of a training run, and writing it to checkpoints and log."""

import math
import time
from dataclasses import dataclass, field, replace

import torch

from lib.errors import TrainingError
from lib.run.record import HealthRecord
from lib.training.checkpoints import Checkpoint, save_checkpoint
from lib.training.resume import load_run
from lib.training.run_notes import write_log

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
    latest, best : lib.training.checkpoints.Checkpoint or None
        Those that are not written yet.
    """

    epoch: int = 0
    history: list = field(default_factory=list)
    best_loss: float = math.inf
    latest: Checkpoint | None = None
    best: Checkpoint | None = None


class CheckpointWriter:
    """Holds the state of a run and writes it to disk.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    record : lib.run.record.RunRecord
        Of the run, in every checkpoint.
    ranks : lib.system.ranks.Ranks
        Only the main rank writes.
    """

    def __init__(self, experiment, record, *, ranks):
        self.experiment, self.record, self.ranks = experiment, record, ranks
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
        checkpoint = load_run(path)
        trained, seed = checkpoint.record.options.seed, self.record.options.seed
        if trained != seed:
            raise TrainingError(
                f"{path} was trained with --seed {trained}, not {seed}; resume with "
                "the same"
            )
        self.record = replace(self.record, health=checkpoint.record.health)
        self.state = TrainingState(
            checkpoint.epoch, checkpoint.history, checkpoint.best_loss
        )
        if self.ranks.is_main:  # a kill may have hit between checkpoint and log
            write_log(self.experiment.log, self.state.history)
        return checkpoint, path

    def snapshot(self, model, optimizer):
        """Return a checkpoint of the current state, copied to the CPU."""
        weights = {k: _to_cpu(v) for k, v in model.state_dict().items()}
        return Checkpoint(
            weights,
            self.state.epoch,
            _copy_to_cpu(optimizer.state_dict()),
            self.record,
            self.state.history,
            self.state.best_loss,
        )

    def record_health(self, health):
        """Add the health of the latest model to the record, and to its checkpoint.

        Parameters
        ----------
        health : lib.training.metrics.Health
        """
        state, latest = self.state, self.state.latest
        self.record = replace(self.record, health=HealthRecord(**health.as_dict()))
        state.latest = replace(latest, record=self.record)
        if state.best is latest:
            state.best = state.latest

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
