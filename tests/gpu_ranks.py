"""What the tests on a GPU share; processes that train together, started by spawn."""

import os
import socket
from pathlib import Path

from benchmarks import stand_ins

stand_ins.install()  # a process that was spawned has nothing of its parent's

import torch  # noqa: E402 - after the stand-ins
import torch.distributed as dist  # noqa: E402 - after the stand-ins

from benchmarks.gpu_floors import ARCH, new_model, noise_store, recipe  # noqa: E402 - after the stand-ins
from lib.artifacts import ExperimentDir  # noqa: E402 - after the stand-ins
from lib.run.options import RunOptions  # noqa: E402 - after the stand-ins
from lib.run.record import Normalization, RunRecord  # noqa: E402 - after the stand-ins
from lib.system.ranks import ALONE, end_distributed, init_distributed  # noqa: E402 - after the stand-ins
from lib.system.runtime import choose_device  # noqa: E402 - after the stand-ins
from lib.training.checkpoint_writer import CheckpointWriter  # noqa: E402 - after the stand-ins
from lib.training.compute import (  # noqa: E402 - after the stand-ins
    Compute,
    shared_over_ranks,
    synchronize_batch_norm,
)
from lib.training.losses import nt_xent_loss, simsiam_loss  # noqa: E402 - after the stand-ins
from lib.training.models import build_model  # noqa: E402 - after the stand-ins
from lib.training.recipes import Schedule  # noqa: E402 - after the stand-ins
from lib.training.trainer import Trainer  # noqa: E402 - after the stand-ins

MODE, BOX, COUNT = "simsiam3d", 8, 32


def full(*_, **__):
    """Take more memory than there is."""
    if os.environ.get("TEST_DEVICE") == "cuda":
        return torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
    raise torch.OutOfMemoryError  # PyTorch's of GPUs: the CPU has another


def start(work, world, **arguments):
    """Run ``work(rank, world, **arguments)`` as `world` processes; wait for all."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(
        _started, args=(work, world, port, arguments), nprocs=world
    )


def _started(rank, work, world, port, arguments):
    torch.set_num_threads(1)
    ours = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world}
    ours |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in ours.items()}
    work(rank, world, **arguments)


def gradients(model, views, device):
    """Return loss and gradients of one step, on the CPU."""
    with torch.autocast(device.type, enabled=False):
        p1, p2, z1, z2 = model(*views)
    loss = nt_xent_loss(z1, z2, 0.2) + 0.1 * simsiam_loss(p1, p2, z1, z2)
    loss.backward()
    named = getattr(model, "module", model).named_parameters()
    return {name: parameter.grad.cpu() for name, parameter in named}


def step_views(device):
    """Return the same two views of a batch in every process."""
    torch.manual_seed(3)
    return [torch.randn(COUNT, 1, BOX, BOX).to(device) for _ in range(2)]


def step_together(rank, world, *, backend, kind, path):
    """Make a step of a shared batch; the first rank keeps its gradients."""
    dist.init_process_group(backend)
    several_cards = kind == "cuda" and torch.cuda.device_count() >= world
    number = rank if several_cards else 0
    if kind == "cuda":
        torch.cuda.set_device(number)
    device = torch.device(kind, number) if kind == "cuda" else torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    model = synchronize_batch_norm(new_model(MODE, device).train(), device)
    model = shared_over_ranks(model, device)
    found = gradients(model, [v[rank::world] for v in step_views(device)], device)
    if rank == 0:
        torch.save(found, path)
    dist.destroy_process_group()


def train_together(rank, world, *, gpus, folder):
    """Train two epochs as torchrun's processes do, into `folder`."""
    ranks = init_distributed() if world > 1 else ALONE
    device = choose_device(gpus, ranks)
    store = noise_store(MODE, 2 * COUNT, BOX)
    torch.manual_seed(0)
    record = RunRecord(
        options=RunOptions(seed=0), normalization=Normalization((0.5,), (0.2,))
    )
    Trainer(
        build_model(ARCH[MODE], mode=MODE, dim=16),
        store,
        recipe(),
        Schedule(2, COUNT, 1e-3),
        CheckpointWriter(ExperimentDir(Path(folder)), record, ranks=ranks),
        Compute(device, "fp32", ranks),
    ).run()
    end_distributed(ranks)
