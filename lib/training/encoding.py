"""Encode views with a network, and recalibrate its batch norm before."""

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lib.system.ranks import ALONE
from lib.system.runtime import autocast
from lib.training.compute import RankBatchNorm
from lib.training.loader import host_source, patch_source, prefetch
from lib.training.transforms import center_crop

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, RankBatchNorm)


@torch.no_grad()
def recalibrate(model, views, *, device, precision, batch_size=256):
    """Recompute the running statistics of batch norm on patches without transforms.

    The running averages of training lag behind the weights: after a short run,
    embeddings that use them are constant.

    Parameters
    ----------
    model : SimSiam
    views : Tensor, shape (N, V, box, box)
        Normalized patches on the device.
    """
    norms = [m for m in model.modules() if isinstance(m, BATCH_NORMS)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    model.train()
    with autocast(device, precision):
        for batch in views.chunk(max(1, -(-len(views) // batch_size))):
            model.encode(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def encode(model, views, *, device, precision):
    """Return projection and prediction (N, dim) of normalized views, as float32."""
    model.eval()
    with autocast(device, precision):
        proj, pred = model.encode(views)
    return proj.float(), pred.float()


class PlainViews:
    """Normalized views of a store, without transforms.

    Parameters
    ----------
    store : lib.patches.store.PatchStore
    mean, std : list of float, length V
    device : torch.device
    source : callable, optional
        As from `lib.training.loader.patch_source`, to share the patches on the device.
    """

    def __init__(self, store, *, mean, std, device, source=None):
        self.box, self.pairing = store.options.box, store.options.pairing
        self.source = source or patch_source(store, device)
        self.mean = torch.tensor(mean, device=device)
        self.std = torch.tensor(std, device=device)

    def __call__(self, rows, offset=0):
        """Return views (B, V, box, box) of candidates at an offset; 0 is embedded."""
        rows = np.asarray(rows)
        patches = self.source(rows, np.full_like(rows, offset))
        return center_crop(patches, box=self.box, mean=self.mean, std=self.std)


def encode_store(
    model, store, *, mean, std, batch_size, device, precision="fp32", ranks=ALONE
):
    """Embed every candidate of a store, in its order.

    Whole batches are distributed over the ranks, so that the result does not depend
    on the number of ranks.

    Returns
    -------
    proj, pred : ndarray of float32, shape (N, dim)
        On the main rank; None on other ranks.
    """
    model = model.to(device, memory_format=torch.channels_last)
    source = host_source(store, device)  # each patch is needed once
    views = PlainViews(store, mean=mean, std=std, device=device, source=source)
    starts = range(0, len(store), batch_size)
    mine = {}
    bar = tqdm(
        ranks.part(len(starts)), "embedding", unit="batch", disable=_quiet(ranks)
    )

    def views_of(number):
        start = starts[number]
        rows = np.arange(start, min(start + batch_size, len(store)))
        return number, views(rows)

    for number, batch in prefetch(bar, views_of):
        pair = encode(model, batch, device=device, precision=precision)
        mine[number] = torch.stack(pair).cpu().numpy()
    batches = _collect(mine, ranks)
    if batches is None:
        return None, None
    proj, pred = np.concatenate([batches[n] for n in range(len(starts))], axis=1)
    return proj, pred


def _collect(mine, ranks):
    """Return the batches of all ranks on the main rank; None on other ranks."""
    if ranks.world == 1:
        return mine
    import torch.distributed as dist

    ranks.barrier()  # a rank may be later than the timeout of a collective
    gathered = [None] * ranks.world if ranks.is_main else None
    dist.gather_object(mine, gathered)
    if not ranks.is_main:
        return None
    return {number: batch for part in gathered for number, batch in part.items()}


def _quiet(ranks):
    """Return `disable` of tqdm: a bar on the main rank, if that has a terminal."""
    return None if ranks.is_main else True
