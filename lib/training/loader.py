"""Batches of positive pairs, on the device before the network asks for them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from lib.errors import OptionError
from lib.system.ranks import ALONE
from lib.training.transforms import augment, draw

RESIDENT_SHARE = 0.3  # of the free GPU memory that patches may take


class PairLoader:
    """Positive pairs of a patch store: view 1 of the candidate, view 2 beside it.

    All draws come from (seed, epoch) and are made for the global batch, so that an
    epoch is the same whether resumed, on another device, or shared by ranks.

    Parameters
    ----------
    store : lib.patches.store.PatchStore
    augmentations : pair of lib.training.transforms.Augmentation
    batch_size : int
        Candidates a step, over all ranks.
    mean, std : list of float, length V
        Normalization.
    seed : int
    device : torch.device
    ranks : lib.system.ranks.Ranks

    Raises
    ------
    OptionError
        When a step would have a single candidate, or none for some rank.
    """

    def __init__(
        self, store, augmentations, *, batch_size, mean, std, seed, device, ranks=ALONE
    ):
        self.store = store
        self.augmentations = augmentations
        self.steps = -(-len(store) // batch_size)
        _refuse_too_few(len(store), len(store) // self.steps, batch_size, ranks.world)
        self.seed = seed
        self.device = device
        self.ranks = ranks
        self.mean = torch.tensor(mean, device=device)
        self.std = torch.tensor(std, device=device)
        self.source = patch_source(store, device)

    def epoch(self, number):
        """Yield the steps of an epoch: views 1, views 2, rows.

        Every candidate comes once, in batches that are equal within one candidate;
        with W ranks up to W - 1 candidates a batch are left out.

        Yields
        ------
        views1, views2 : Tensor of float32, shape (B, V, box, box)
            On the device.
        rows : ndarray of int, shape (B,)
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.store), generator=generator).numpy()

        def made(rows):
            rows, places, draws = self._plan(rows, generator)
            return rows, self._augmented(self._patches(rows, places), draws)

        # All of it beside the network: a GPU is soon done with a step, and what the
        # host does between two of them adds to it.
        for rows, views in ahead(np.array_split(order, self.steps), made):
            yield (*views, rows)

    def _plan(self, rows, generator):
        """Draw what happens to a global batch and keep this rank's part."""
        world, rank = self.ranks.world, self.ranks.rank
        second = self.store.options.pairing.second
        drawn = torch.randint(len(second), (len(rows),), generator=generator).numpy()
        places = np.array(second)[drawn]
        box = self.store.options.box
        draws = [draw(a, len(rows), box, generator) for a in self.augmentations]
        mine = slice(rank, len(rows) // world * world, world)
        return rows[mine], places[mine], [d.part(mine) for d in draws]

    def _patches(self, rows, places):
        first = np.full_like(places, self.store.options.pairing.first)
        return self.source(
            np.concatenate([rows, rows]), np.concatenate([first, places])
        )

    def _augmented(self, patches, draws):
        halves = patches.chunk(2)
        return [
            augment(
                half,
                drawn.to(self.device),
                box=self.store.options.box,
                mean=self.mean,
                std=self.std,
            )
            for half, drawn in zip(halves, draws, strict=True)
        ]


def _refuse_too_few(candidates, smallest, batch_size, world):
    if smallest < max(2, world):
        shared = f", shared by {world} processes," if world > 1 else ""
        raise OptionError(
            f"{candidates} candidate(s) in steps of --batch_size {batch_size}{shared} "
            f"leave {smallest} for a step; batch norm needs 2, and each process 1; "
            "raise --batch_size, or lower --dog_std_multiplier for more candidates"
        )


def patch_source(store, device):
    """Return a function that gives patches on the device.

    On a GPU the whole store goes there as 8-bit when it fits; otherwise batches are
    gathered from the memory-mapped shards.

    Returns
    -------
    callable
        (rows, places) of ``PatchStore.gather`` -> Tensor of uint8, (B, V, S, S).
    """
    if device.type == "cuda" and store.nbytes < _room(device):
        try:
            return resident_source(store, device)
        except torch.OutOfMemoryError:  # another program took what was free
            torch.cuda.empty_cache()
    return host_source(store, device)


def resident_source(store, device):
    """Return a function as `patch_source` does, with all patches on the device."""
    shape = (len(store), *store.options.patch_shape)
    everything = torch.empty(shape, dtype=torch.uint8, device=device)
    for start, shard in zip(store.starts, store.shards, strict=False):
        part = everything[start : start + len(shard.coords)]
        part.copy_(torch.from_numpy(np.array(shard.patches)))

    def from_device(rows, places):
        index = torch.from_numpy(np.stack([rows, places])).to(device)
        return everything[index[0], index[1]]

    return from_device


def host_source(store, device):
    """Return a function as `patch_source` does, that gathers from the shards."""

    def from_host(rows, places):
        batch = torch.from_numpy(store.gather(rows, places))
        if device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(device, non_blocking=True)

    return from_host


def _room(device):
    free, _ = torch.cuda.mem_get_info(device)
    return RESIDENT_SHARE * free


def ahead(plans, work):
    """Yield work(plan) in their order, the next one made while the current is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for plan in plans:
            coming = pool.submit(work, plan)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
