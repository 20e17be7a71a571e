"""The processes that train together, and how they find and wait for each other."""

import socket
from dataclasses import dataclass, field
from datetime import timedelta

from lib.errors import ResourceError
from lib.system.launched import find_launch

PATIENCE = timedelta(days=7)  # one rank may prepare for so long while others wait
MEETING = timedelta(minutes=5)  # by then every rank of a launch has come


@dataclass(frozen=True)
class Ranks:
    """Which process of those that train together it is.

    Attributes
    ----------
    rank, world : int
        Number of this process, and how many there are.
    slow : object, optional
        Group of all ranks that `barrier` waits in.
    """

    rank: int = 0
    world: int = 1
    slow: object = field(default=None, repr=False, compare=False)

    @property
    def is_main(self):
        """Whether this process writes and speaks."""
        return self.rank == 0

    def part(self, count):
        """Return the places of a list of `count` that are this rank's."""
        return range(self.rank, count, self.world)

    def barrier(self):
        """Wait for all ranks, as long as preparing and drawing may take.

        Where their work is uneven, this goes before the first collective: all others
        give up after the minutes that PyTorch allows, so that a hung step does not hold
        a node until its time is over. A rank that dies ends the wait.
        """
        if self.world > 1:
            import torch.distributed as dist

            dist.barrier(group=self.slow)

    def mean(self, values):
        """Return the mean over the ranks of a float64 tensor."""
        if self.world > 1:
            import torch.distributed as dist

            dist.all_reduce(values)
            values /= self.world
        return values


ALONE = Ranks()


def init_distributed(timeout=None):
    """Join the processes that torchrun started, if it did.

    Parameters
    ----------
    timeout : timedelta, optional
        Of every collective but `Ranks.barrier`; PyTorch's by default.

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
        store=_meet(launch),
        rank=launch.rank,
        world_size=launch.world,
        timeout=timeout,
    )
    slow = dist.new_group(backend="gloo", timeout=PATIENCE)
    return Ranks(launch.rank, launch.world, slow)


def _meet(launch):
    """Return the store through which the ranks find each other, once all are there."""
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
        print(
            f"waiting up to {MEETING.seconds // 60} minutes for {launch.world} "
            f"processes at {launch.host}, as WORLD_SIZE and MASTER_ADDR say; "
            "unset WORLD_SIZE to work alone",
            flush=True,
        )
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=MEETING))
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the {launch.world} processes that WORLD_SIZE promises did not meet at "
            f"{launch.host} ({str(error).splitlines()[0]}): start all of them "
            "with torchrun, or unset WORLD_SIZE to work alone"
        ) from error
    return dist.PrefixStore("default", store)


def end_distributed(ranks):
    """Leave the process group."""
    if ranks.world > 1:
        import torch.distributed as dist

        dist.destroy_process_group()
