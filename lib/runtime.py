"""Seed, device and ranks of a run."""

import os
import random
from dataclasses import dataclass

import numpy as np

from lib.errors import OptionError


@dataclass(frozen=True)
class Ranks:
    """Which process of those that train together it is.

    Attributes
    ----------
    rank, world : int
        Number of this process, and how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_main(self):
        """Whether this process writes and speaks."""
        return self.rank == 0

    def part(self, count):
        """Return the places of a list of `count` that are this rank's."""
        return range(self.rank, count, self.world)

    def barrier(self):
        """Wait for all ranks."""
        if self.world > 1:
            import torch.distributed as dist

            dist.barrier()

    def mean(self, values):
        """Return the mean over the ranks of a float64 tensor."""
        if self.world > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
            values /= self.world
        return values


ALONE = Ranks()


def start_ranks():
    """Join the processes that torchrun or Slurm started, if it did.

    Returns
    -------
    Ranks
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return ALONE
    import torch
    import torch.distributed as dist

    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Ranks(dist.get_rank(), world)


def stop_ranks(ranks):
    """Leave the process group."""
    if ranks.world > 1:
        import torch.distributed as dist

        dist.destroy_process_group()


def choose_device(gpus, ranks=ALONE):
    """Return the torch device of ``--gpus``, saying so when it is not to be had.

    Parameters
    ----------
    gpus : str
        Number of a GPU; "-1" for the CPU on purpose; of several numbers the first,
        unless torchrun gives each process its own.

    Returns
    -------
    torch.device
    """
    import torch

    try:
        numbers = [int(part) for part in str(gpus).split(",")]
    except ValueError as error:
        raise OptionError(
            f"--gpus {gpus!r} is not a number, such as 0 or -1"
        ) from error
    if numbers[0] < 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if ranks.is_main:
            print("no GPU found: running on the CPU", flush=True)
        return torch.device("cpu")
    number = int(os.environ.get("LOCAL_RANK", numbers[0]))
    if number >= torch.cuda.device_count():
        raise OptionError(
            f"--gpus {gpus}: this machine has GPUs 0 to {torch.cuda.device_count() - 1}"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def seed_everything(seed):
    """Make this process repeatable."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(seed)


def autocast(device, precision):
    """Return the context in which the network runs.

    Parameters
    ----------
    device : torch.device
    precision : {"auto", "fp32", "bf16"}
        auto: bf16 on a GPU that has it.
    """
    import torch

    if precision == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    else:
        half = precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=half)
