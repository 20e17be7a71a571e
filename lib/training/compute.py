"""Where and how a network is trained: device, precision, memory, and several ranks."""

import inspect
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from lib.system.ranks import ALONE, Ranks
from lib.training.models import STAGES

# Activations that the backward pass needs, in feature maps of the first stage.
KEPT_MAPS = {18: 17, 34: 29, 50: 88}
VALUE_BYTES = {"fp32": 4, "bf16": 2}
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


def activation_bytes(depth, *, batch, views, box, precision="fp32"):
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
    precision : {"fp32", "bf16"}
    """
    feature_maps = VALUE_BYTES[precision] * STAGES[0][0] * box**2
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


class SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over all ranks, with gradients."""

    @staticmethod
    def forward(_, values):
        """Return the sum."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_, gradient):
        """Return the gradient, summed over all ranks."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


sum_over_ranks = SumOverRanks.apply


class RankBatchNorm(nn.Module):
    """Batch norm over all ranks, for CPUs; `torch.nn.SyncBatchNorm` needs GPUs.

    Uses the parameters and buffers of a `torch.nn.BatchNorm1d` or ``2d``.
    """

    def __init__(self, norm):
        super().__init__()
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def reset_running_stats(self):
        """Reset the running statistics."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def forward(self, x):
        """Normalize (N, C) or (N, C, H, W)."""
        if not self.training:
            return nn.functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        kept, x = x.dtype, x.float()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        count = x.numel() / x.shape[1]
        sums = torch.cat([x.sum(axes), (x * x).sum(axes), x.new_tensor([count])])
        total, squares, count = sum_over_ranks(sums).split([x.shape[1], x.shape[1], 1])
        mean = total / count
        variance = squares / count - mean * mean
        self._update(mean.detach(), (variance * count / (count - 1)).detach())
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale + (0 if self.bias is None else self.bias)
        return (x * scale.view(shape) + shift.view(shape)).to(kept)

    @torch.no_grad()
    def _update(self, mean, variance):
        self.num_batches_tracked += 1
        share = self.momentum or 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def synchronize_batch_norm(model, device):
    """Replace the batch norm of a model by one over all ranks; return the model."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, RankBatchNorm(child))
    return model


def shared_over_ranks(network, device):
    """Wrap a network so that its gradients are averaged over all ranks.

    Its buffers are not broadcast: synchronized batch norm has the same statistics on
    all ranks.
    """
    shared = nn.parallel.DistributedDataParallel
    # PyTorch 2.13 renamed the argument.
    new = "forward_sync_buffers" in inspect.signature(shared).parameters
    buffers = "forward_sync_buffers" if new else "broadcast_buffers"
    ids = [device.index] if device.type == "cuda" else None
    return shared(network, device_ids=ids, **{buffers: False})


def gather_rows(rows):
    """Return the rows (B, D) of all ranks, with gradients."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    count, rank = len(rows), dist.get_rank()
    padded = rows.new_zeros(dist.get_world_size() * count, rows.shape[1])
    padded[rank * count : (rank + 1) * count] = rows
    return sum_over_ranks(padded)
