"""The ranks of distributed training: finding, joining and waiting for them.

torchrun, and job scripts that follow PyTorch's convention, set RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT. Other job scripts and notebooks may leave some of them set.
"""

import os
import socket
from dataclasses import dataclass, field
from datetime import timedelta

from lib.errors import ResourceError, warn_once
from lib.system.machine import whole_number

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLOW_TIMEOUT = timedelta(days=7)  # of preparation, while the other ranks wait
RENDEZVOUS_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True)
class Launch:
    """The ranks that the environment variables describe.

    Attributes
    ----------
    rank, world : int
        Rank and world size of this process.
    by_torchrun : bool
        Whether torchrun started the processes; it starts all or none.
    host : str
        Address of the rendezvous.
    """

    rank: int = 0
    world: int = 1
    by_torchrun: bool = False
    host: str = ""


def find_launch():
    """Read the environment variables of torchrun; a single process by default.

    Inconsistent variables are ignored with a warning: otherwise this process would
    wait for others that were never started.
    """
    values = {name: os.environ.get(name, "").strip() for name in VARIABLES}
    world, rank = whole_number(values["WORLD_SIZE"]), whole_number(values["RANK"])
    if world == 1 or not values["WORLD_SIZE"]:
        return Launch()
    wrong = [name for name in VARIABLES if not values[name]]
    if not wrong and (world is None or rank is None or rank >= world):
        wrong = ["RANK", "WORLD_SIZE"]
    if not wrong and whole_number(values["MASTER_PORT"]) is None:
        wrong = ["MASTER_PORT"]
    if wrong:
        found = ", ".join(f"{name}={values[name] or '(not set)'}" for name in wrong)
        warn_once(
            f"WORLD_SIZE={values['WORLD_SIZE']} is ignored ({found}): this process "
            "works alone; start several with torchrun, see docs/cluster.md"
        )
        return Launch()
    return Launch(
        rank,
        world,
        by_torchrun="TORCHELASTIC_RUN_ID" in os.environ,
        host=values["MASTER_ADDR"],
    )


@dataclass(frozen=True)
class Ranks:
    """Rank and world size of this process.

    Attributes
    ----------
    rank, world : int
    slow_group : object, optional
        Process group of `barrier`, with a long timeout.
    """

    rank: int = 0
    world: int = 1
    slow_group: object = field(default=None, repr=False, compare=False)

    @property
    def is_main(self):
        """Whether this process writes files and prints."""
        return self.rank == 0

    def part(self, count):
        """Return the indices of this rank's share of `count` items."""
        return range(self.rank, count, self.world)

    def barrier(self):
        """Wait for all ranks, for up to `SLOW_TIMEOUT`.

        Call it before the first collective after uneven work, such as preparation:
        other collectives have PyTorch's timeout of minutes, so that a hung step does
        not block a node. A rank that dies ends the wait.
        """
        if self.world > 1:
            import torch.distributed as dist

            dist.barrier(group=self.slow_group)

    def mean(self, values):
        """Return the mean over the ranks of a float64 tensor."""
        if self.world > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
            values /= self.world
        return values


ALONE = Ranks()


def init_distributed(timeout=None):
    """Initialize the process group if torchrun started several processes.

    Parameters
    ----------
    timeout : timedelta, optional
        Of all collectives except `Ranks.barrier`; PyTorch's by default.

    Returns
    -------
    Ranks
    """
    launch = find_launch()
    if launch.world == 1:
        return ALONE
    import torch
    import torch.distributed as dist

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(
        backend,
        store=_rendezvous(launch),
        rank=launch.rank,
        world_size=launch.world,
        timeout=timeout,
    )
    slow_group = dist.new_group(backend="gloo", timeout=SLOW_TIMEOUT)
    return Ranks(launch.rank, launch.world, slow_group)


def _rendezvous(launch):
    """Wait until all ranks have joined; return their common store."""
    import torch.distributed as dist

    try:
        socket.getaddrinfo(launch.host, None)
    except OSError as error:
        raise ResourceError(
            f"the ranks are to meet at {launch.host}, a name that this machine cannot "
            f"resolve ({error.strerror}): give torchrun --local_addr 127.0.0.1 on one "
            "machine, or an address that all nodes reach"
        ) from error
    if launch.rank == 0 and not launch.by_torchrun:
        minutes = RENDEZVOUS_TIMEOUT.seconds // 60
        print(
            f"waiting up to {minutes} minutes for {launch.world} processes "
            f"at {launch.host}, as WORLD_SIZE and MASTER_ADDR say; "
            "unset WORLD_SIZE to work alone",
            flush=True,
        )
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=RENDEZVOUS_TIMEOUT))
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the {launch.world} processes that WORLD_SIZE promises did not meet at "
            f"{launch.host} ({str(error).splitlines()[0]}): start all of them "
            "with torchrun, or unset WORLD_SIZE to work alone"
        ) from error
    return dist.PrefixStore("default", store)


def end_distributed(ranks):
    """Destroy the process group."""
    if ranks.world > 1:
        import torch.distributed as dist

        dist.destroy_process_group()
