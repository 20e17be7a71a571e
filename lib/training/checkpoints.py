"""Checkpoints: files of plain types that open without executing anything.

A checkpoint holds the record of its run, so that inference needs no option again.
"""

import io
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from lib.artifacts import atomic_write
from lib.errors import ArtifactError
from lib.run.old_layouts import record_of_checkpoint
from lib.run.record import SCHEMA_VERSION, RunRecord


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds, of ours or of MiLoPYP.

    Attributes
    ----------
    state_dict : dict of str to torch.Tensor
        Names without ``module.``.
    epoch : int or None
    optimizer : dict or None
    record : lib.run.record.RunRecord
        Of the run, with its epoch; of MiLoPYP only that.
    history : list of dict, or None
        A line of log.txt an epoch.
    best_loss : float or None
        Lowest of an epoch that had not collapsed.
    """

    state_dict: dict
    epoch: int | None = None
    optimizer: dict | None = None
    record: RunRecord = field(default_factory=RunRecord)
    history: list | None = None
    best_loss: float | None = None


def save_checkpoint(path, checkpoint):
    """Write a checkpoint; it appears whole or not at all.

    Parameters
    ----------
    path : path-like
    checkpoint : Checkpoint
        ``epoch``, ``state_dict`` and ``optimizer`` are stored as MiLoPYP does.
    """
    content = {"schema": SCHEMA_VERSION, **vars(checkpoint)}
    content["record"] = checkpoint.record.plain()
    # Through memory: torch.save hides a full disk behind errors of its own.
    packed = io.BytesIO()
    torch.save(content, packed)
    with atomic_write(path) as stream:
        stream.write(packed.getbuffer())


def read_torch_file(path):
    """Return the dict in a file of torch.save, executing nothing in it.

    Raises
    ------
    ArtifactError
        When the file is missing, no such file, or holds more than plain types.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(
            f"checkpoint {path} does not exist; simsiam_main.py writes model_last.pth, "
            "model_best.pth, and with --save_all one every --val_intervals epochs"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (
            str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
        )
        raise ArtifactError(
            f"{path} cannot be read as a checkpoint of plain tensors ({reason[:200]})"
        ) from error
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path} holds a {type(content).__name__}, not a checkpoint"
        )
    return content


def load_checkpoint(path):
    """Read a checkpoint of ours, of an earlier version, or of MiLoPYP.

    Returns
    -------
    Checkpoint
    """
    content = read_torch_file(path)
    if "state_dict" not in content:
        raise ArtifactError(
            f"{path} is no checkpoint: it lacks state_dict (it has "
            f"{', '.join(map(str, list(content)[:6])) or 'nothing'})"
        )
    record = record_of_checkpoint(content, path)
    epoch = content.get("epoch")
    return Checkpoint(
        state_dict={
            re.sub(r"^module\.", "", name): value
            for name, value in content["state_dict"].items()
        },
        epoch=epoch,
        optimizer=content.get("optimizer"),
        record=replace(record, lineage=replace(record.lineage, epoch=epoch)),
        history=content.get("history"),
        best_loss=content.get("best_loss"),
    )


def restore_weights(model, state_dict, path):
    """Load weights of the same shape; reject others naming the first that differ."""
    own = model.state_dict()
    wrong = [
        f"{name} ({_shape(state_dict, name)} in the file, {_shape(own, name)} here)"
        for name in [*own, *(n for n in state_dict if n not in own)]
        if _shape(state_dict, name) != _shape(own, name)
        and not name.endswith("num_batches_tracked")
    ]
    if wrong:
        raise ArtifactError(
            f"{path} is of another network: {'; '.join(wrong[:3])}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}; "
            "use the mode and --arch it was trained with"
        )
    model.load_state_dict({**own, **state_dict})


def _shape(state, name):
    return "x".join(map(str, state[name].shape)) or "1" if name in state else "missing"
