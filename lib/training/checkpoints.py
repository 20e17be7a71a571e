"""Checkpoints: plain types that open without executing anything.

A checkpoint remembers its run (options, normalization, seed, health), so that
inference needs no option again; an option given again must agree.
"""

import io
import re
from pathlib import Path

import torch

from lib.artifacts import SCHEMA_VERSION, atomic_write
from lib.errors import ArtifactError, OptionError
from lib.run.options import named


def save_checkpoint(path, content):
    """Write a checkpoint; it appears whole or not at all.

    Parameters
    ----------
    path : path-like
    content : dict
        ``epoch``, ``state_dict``, ``optimizer`` as MiLoPYP's, and what is ours.
    """
    # Through memory: torch.save hides a full disk behind errors of its own.
    packed = io.BytesIO()
    torch.save({"schema": SCHEMA_VERSION, **content}, packed)
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
    """Read a checkpoint of ours or of MiLoPYP.

    Returns
    -------
    dict
        With ``state_dict`` (names without ``module.``), ``epoch`` and, in ours,
        ``options``, ``normalization``, ``seed``, ``health``.
    """
    content = read_torch_file(path)
    if "state_dict" not in content:
        raise ArtifactError(
            f"{path} is no checkpoint: it lacks state_dict (it has "
            f"{', '.join(map(str, list(content)[:6])) or 'nothing'})"
        )
    if int(content.get("schema", SCHEMA_VERSION)) > SCHEMA_VERSION:
        raise ArtifactError(f"{path} was written by a later version; update")
    if "normalisation" in content:  # before version 0.4
        content["normalization"] = content.pop("normalisation")
    content["state_dict"] = {
        re.sub(r"^module\.", "", name): value
        for name, value in content["state_dict"].items()
    }
    return content


def restore_weights(model, state_dict, path):
    """Load weights of the same shape; refuse others naming the first that differ."""
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


def agree(given, remembered, path, advice="name another --load_model"):
    """Return the options of the run, refusing any that was given otherwise.

    Parameters
    ----------
    given : dict
        Of this command line; None where nothing was given.
    remembered : dict
        Of the checkpoint; empty in a peer's.
    path : path-like
        Named in the refusal.
    advice : str
        What else the user can do, for the refusal.

    Returns
    -------
    dict
        The remembered value of each option, else the given one.
    """
    differing = [
        f"--{named(key)} {_plain(value)} given, {_plain(remembered[key])} in training"
        for key, value in given.items()
        if value is not None and key in remembered and remembered[key] != value
    ]
    if differing:
        raise OptionError(
            f"{path} was trained otherwise: {'; '.join(differing)}. Leave the option "
            f"out, or {advice}"
        )
    return {key: remembered.get(key, value) for key, value in given.items()}


def comparable_orders(given, remembered, content):
    """Return the options as given, and as in training, without an ``auto`` in one.

    It names no order. When it is given, what the run noted stands above a guess; when
    it was used in training, what came of it is in the ``orders`` of the checkpoint
    (not in older ones: there the given order is believed).
    """
    order, noted = given.get("order"), remembered.get("order")
    if order is None or noted is None or order == noted:
        return given, remembered
    if order == "auto":
        return {**given, "order": None}, remembered
    if noted == "auto":
        found = content.get("orders") or [order]
        agreed = order if order in found else " or ".join(found)
        return given, {**remembered, "order": agreed}
    return given, remembered


def _plain(value):
    return (
        ",".join(f"{v:g}" for v in value) if isinstance(value, tuple | list) else value
    )


def _shape(state, name):
    return "x".join(map(str, state[name].shape)) or "1" if name in state else "missing"
