"""The weights in the box: trained beforehand on simulated tomograms, one file a mode.

``benchmarks/pretrain.py`` makes them; the card beside each file says how, and how well
they did. They are a start of training, and embed candidates without any.
"""

import hashlib
import io
import json
from pathlib import Path

import torch

from lib.artifacts import atomic_write
from lib.errors import ArtifactError
from lib.modes import MODES
from lib.run.options import RunOptions
from lib.run.record import Lineage, RunRecord
from lib.training.checkpoints import Checkpoint, restore_weights

BUILTIN = "builtin"  # names them on the command line
FOLDER = Path(__file__).with_name("weights")


def load_builtin(mode, folder=FOLDER):
    """Return the weights of a mode as a checkpoint.

    Its record has the network and no options of patches: any box, filter and voxel
    size may be embedded.

    Parameters
    ----------
    mode : str
        Key of `lib.modes.MODES`.
    folder : path-like

    Returns
    -------
    Checkpoint

    Raises
    ------
    ArtifactError
        When a file is missing, or is not the one that the card describes.
    """
    path, card = _files(mode, folder)
    advice = "restore it from the project's repository, or give another source"
    try:
        packed = path.read_bytes()
        known = json.loads(card.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"the built-in weights cannot be read ({error}); {advice}"
        ) from error
    if hashlib.sha256(packed).hexdigest() != known.get("sha256"):
        raise ArtifactError(
            f"{path} is not the file that {card.name} describes ({len(packed):,} "
            f"bytes, another checksum): cut or changed; {advice}"
        )
    state = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    options = RunOptions.of({"mode": mode, "arch": known["arch"]})
    return Checkpoint(
        state_dict={name: _as_float32(value) for name, value in state.items()},
        record=RunRecord(options=options, lineage=Lineage(start=BUILTIN)),
    )


def save_builtin(state_dict, mode, card, folder=FOLDER):
    """Write the weights of a mode in half precision, and their card.

    Parameters
    ----------
    state_dict : dict of str to Tensor
    mode : str
        Key of `lib.modes.MODES`.
    card : dict
        How they were made and how well they did, in the types of json.
    folder : path-like
    """
    path, card_path = _files(mode, folder)
    halved = {
        name: value.half() if value.is_floating_point() else value
        for name, value in state_dict.items()
        if not name.endswith("num_batches_tracked")
    }
    packed = io.BytesIO()
    torch.save(halved, packed)
    known = {
        "mode": mode,
        "arch": MODES[mode].architectures[0],
        "sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
        **card,
    }
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as stream:
        stream.write(packed.getbuffer())
    with atomic_write(card_path, "w") as stream:
        stream.write(json.dumps(known, indent=2) + "\n")


def start_from_builtin(model, mode):
    """Load the weights of a mode into a network, if they fit.

    Parameters
    ----------
    model : SimSiam
    mode : str
        Key of `lib.modes.MODES`.

    Returns
    -------
    str
        What the network starts from, for the log.
    """
    weights = load_builtin(mode).state_dict
    try:
        restore_weights(model, weights, BUILTIN)
    except ArtifactError:  # nothing was loaded
        return (
            "random weights (the built-in ones are of 18 layers and an embedding of "
            "128 numbers)"
        )
    return "the built-in weights"


def _files(mode, folder):
    return Path(folder) / f"{mode}.pth", Path(folder) / f"{mode}.json"


def _as_float32(value):
    return value.float() if value.is_floating_point() else value
