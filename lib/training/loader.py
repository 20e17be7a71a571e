"""The data loader: batches of positive pairs, prefetched to the device."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from lib.errors import OptionError
from lib.system.ranks import ALONE
from lib.training.transforms import apply_transforms, sample_transforms

RESIDENT_SHARE = 0.3  # of the free GPU memory that patches may take


class PairLoader:
    """Iterates over the positive pairs of a patch store.

    View 1 is cut at the candidate, view 2 next to it. Random numbers depend on seed
    and epoch only and are drawn for the global batch, so that an epoch is the same
    after a resumption, on another device, or with several ranks.

    Parameters
    ----------
    store : lib.patches.store.PatchStore
    augmentations : pair of lib.training.transforms.Augmentation
    batch_size : int
        Candidates per step, over all ranks.
    mean, std : list of float, length V
        Normalization of each view.
    seed : int
    device : torch.device
    ranks : lib.system.ranks.Ranks

    Raises
    ------
    OptionError
        When a step would have a single candidate, or a rank none.
    """

    def __init__(
        self, store, augmentations, *, batch_size, mean, std, seed, device, ranks=ALONE
    ):
        self.store = store
        self.augmentations = augmentations
        self.steps = -(-len(store) // batch_size)
        _require_full_batches(
            len(store), len(store) // self.steps, batch_size, ranks.world
        )
        self.seed = seed
        self.device = device
        self.ranks = ranks
        self.mean = torch.tensor(mean, device=device)
        self.std = torch.tensor(std, device=device)
        self.source = patch_source(store, device)

    def epoch(self, number):
        """Yield the batches of an epoch: views 1, views 2, rows.

        Every candidate is used once; the sizes of the batches differ by one at most.
        With W ranks up to W - 1 candidates per batch are left out.

        Yields
        ------
        views1, views2 : Tensor of float32, shape (B, V, box, box)
            On the device.
        rows : ndarray of int, shape (B,)
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.store), generator=generator).numpy()

        def load(rows):
            rows, offsets, transforms = self._sample(rows, generator)
            return rows, self._transform(self._patches(rows, offsets), transforms)

        # In a thread beside the network: a step on a GPU is short, and the work of the
        # host between two steps would add to it.
        for rows, views in prefetch(np.array_split(order, self.steps), load):
            yield (*views, rows)

    def _sample(self, rows, generator):
        """Sample offsets and transforms of a global batch; return this rank's part."""
        world, rank = self.ranks.world, self.ranks.rank
        second = self.store.options.pairing.second
        chosen = torch.randint(len(second), (len(rows),), generator=generator).numpy()
        offsets = np.array(second)[chosen]
        box = self.store.options.box
        transforms = [
            sample_transforms(augmentation, len(rows), box, generator)
            for augmentation in self.augmentations
        ]
        mine = slice(rank, len(rows) // world * world, world)
        return rows[mine], offsets[mine], [part[mine] for part in transforms]

    def _patches(self, rows, offsets):
        first = np.full_like(offsets, self.store.options.pairing.first)
        return self.source(
            np.concatenate([rows, rows]), np.concatenate([first, offsets])
        )

    def _transform(self, patches, transforms):
        halves = patches.chunk(2)
        return [
            apply_transforms(
                half,
                sampled.to(self.device),
                box=self.store.options.box,
                mean=self.mean,
                std=self.std,
            )
            for half, sampled in zip(halves, transforms, strict=True)
        ]


def _require_full_batches(candidates, smallest, batch_size, world):
    if smallest < max(2, world):
        shared = f", shared by {world} processes," if world > 1 else ""
        raise OptionError(
            f"{candidates} candidate(s) in steps of --batch_size {batch_size}{shared} "
            f"leave {smallest} for a step; batch norm needs 2, and each process 1; "
            "raise --batch_size, or lower --dog_std_multiplier for more candidates"
        )


def patch_source(store, device):
    """Return a function that returns patches on the device.

    The whole store is copied to a GPU, 8-bit, if it fits; otherwise batches are
    gathered from the memory-mapped entries.

    Returns
    -------
    callable
        (rows, offsets) of ``PatchStore.gather`` -> Tensor of uint8, (B, V, S, S).
    """
    if device.type == "cuda" and store.nbytes < _room(device):
        try:
            return resident_source(store, device)
        except torch.OutOfMemoryError:  # another program took the free memory
            torch.cuda.empty_cache()
    return host_source(store, device)


def resident_source(store, device):
    """Return a patch source that holds all patches on the device."""
    shape = (len(store), *store.options.patch_shape)
    everything = torch.empty(shape, dtype=torch.uint8, device=device)
    for start, entry in zip(store.starts, store.entries, strict=False):
        part = everything[start : start + len(entry.coords)]
        part.copy_(torch.from_numpy(np.array(entry.patches)))

    def from_device(rows, offsets):
        index = torch.from_numpy(np.stack([rows, offsets])).to(device)
        return everything[index[0], index[1]]

    return from_device


def host_source(store, device):
    """Return a patch source that gathers each batch from the entries."""

    def from_host(rows, offsets):
        batch = torch.from_numpy(store.gather(rows, offsets))
        if device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(device, non_blocking=True)

    return from_host


def _room(device):
    free, _ = torch.cuda.mem_get_info(device)
    return RESIDENT_SHARE * free


def prefetch(items, load):
    """Yield ``load(item)`` in order; a thread loads the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        current = None
        for item in items:
            following = pool.submit(load, item)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()
