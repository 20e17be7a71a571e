"""Where and how a network is trained: device, precision, ranks and memory."""

from dataclasses import dataclass

import torch

from lib.system.ranks import ALONE, Ranks
from lib.training.distributed import shared_over_ranks, synchronize_batch_norm
from lib.training.models import STAGES

# Activations that the backward pass needs, in feature maps of the first stage.
KEPT_MAPS = {18: 17, 34: 29, 50: 88}
RECOMPUTE_ABOVE = 3e9  # bytes of activations in the memory of the host


@dataclass(frozen=True)
class Compute:
    """Where and how a network is trained.

    Attributes
    ----------
    device : torch.device
    precision : {"fp32", "bf16"}
        Of the network; see `lib.system.runtime.choose_precision`.
    ranks : lib.system.ranks.Ranks
    compiled : bool
        Whether the network is compiled with `torch.compile`.
    """

    device: torch.device
    precision: str = "fp32"
    ranks: Ranks = ALONE
    compiled: bool = False


def activation_bytes(depth, *, batch, views, box):
    """Estimate the activations that a training step keeps [bytes].

    Parameters
    ----------
    depth : {18, 34, 50}
    batch : int
        Positive pairs of this process.
    views : int
        Views of a candidate.
    box : int
        Edge of a patch [px].
    """
    feature_maps = 4 * STAGES[0][0] * box**2
    return 2 * batch * views * feature_maps * KEPT_MAPS[depth]


def prepare_network(model, compute, step_bytes):
    """Move a model to its device and prepare it for training.

    On the CPU a model recomputes its first layers if a step would keep too much.

    Parameters
    ----------
    model : SimSiam
    compute : Compute
    step_bytes : int
        As from `activation_bytes`.

    Returns
    -------
    model : SimSiam
        Holds the parameters; with several ranks its batch norm is synchronized.
    network : callable
        What a training step calls: the model, compiled or shared over the ranks.
    """
    model = model.to(compute.device, memory_format=torch.channels_last)
    on_cpu = compute.device.type == "cpu" and not compute.compiled
    model.recompute = on_cpu and step_bytes > RECOMPUTE_ABOVE
    if compute.ranks.world > 1:
        model = synchronize_batch_norm(model, compute.device)
    network = torch.compile(model, dynamic=False) if compute.compiled else model
    if compute.ranks.world > 1:
        network = shared_over_ranks(network, compute.device)
    return model, network


def make_optimizer(model, recipe, lr):
    """Return the optimizer of a recipe for the parameters of a model."""
    parameters = model.parameters()
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        parameters, lr=lr, weight_decay=recipe.weight_decay, fused=True
    )
