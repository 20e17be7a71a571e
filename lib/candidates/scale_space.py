"""What a volume answers to Gaussians of several sizes, and where it answers most."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from scipy.ndimage import maximum_filter

from lib.candidates.filtering import gaussian_volume, gaussian_volume_torch
from lib.system.machine import usable_threads

SLAB = 16  # sections in which a thread looks for maxima at once


def responses(volume, sigmas, sign, smooth):
    """Yield (kind, its two smallest sigmas, level, matter); four volumes at a time.

    Matter shows whether a shell is centered, and the finest blobs climb in it; it is
    as smooth as between their own sigma and the next; None where it is not needed.
    """
    narrow, wide = smooth(volume, sigmas[0]), smooth(volume, sigmas[1])
    dark = _difference(wide, narrow, sign)
    dark *= dark > 0
    matter = smooth(dark, (sigmas[1] * sigmas[2]) ** 0.5)
    for sigma, next_sigma in zip(sigmas[1:], sigmas[2:], strict=False):
        narrow, wide = wide, None
        wide = smooth(volume, next_sigma)
        yield "blob", sigma, next_sigma, _difference(wide, narrow, sign), matter
        matter = None
    del narrow, wide
    inside, middle = smooth(dark, sigmas[1]), smooth(dark, sigmas[2])
    for sigma, next_sigma, outer_sigma in zip(
        sigmas[1:], sigmas[2:], sigmas[3:], strict=False
    ):
        outside = smooth(dark, outer_sigma)
        inside += outside
        inside *= 0.5
        yield "shell", sigma, next_sigma, _difference(middle, inside, 1), middle
        inside, middle = middle, outside


def _difference(wide, narrow, sign):
    """Return sign x (wide - narrow), in the place of `narrow`."""
    narrow -= wide
    narrow *= -sign
    return narrow


def on_cpu(threads=None):
    """Return the functions `smooth(volume, sigma)` and `maxima(level, inner)`."""
    threads = threads or usable_threads()

    def maxima(level, inner):
        def in_slab(start):
            stop = min(start + SLAB, inner[0].stop)
            slab = level[start - 1 : stop + 1]
            peak = (maximum_filter(slab, 3) == slab) & (slab > 0)
            z, y, x = np.nonzero(peak[1:-1, inner[1], inner[2]])
            return z + start, y + inner[1].start, x + inner[2].start

        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(in_slab, range(inner[0].start, inner[0].stop, SLAB))
            z, y, x = map(np.concatenate, zip(*found, strict=True))
        return np.ravel_multi_index((z, y, x), level.shape), level[z, y, x]

    return partial(gaussian_volume, threads=threads), maxima


def on_gpu(device):
    """Return what `on_cpu` does, for volumes on a GPU."""
    import torch

    def smooth(volume, sigma):
        if isinstance(volume, np.ndarray):
            volume = torch.from_numpy(volume).to(device).float()
        return gaussian_volume_torch(volume, sigma)

    def maxima(level, inner):
        pooled = torch.nn.functional.max_pool3d(level[None, None], 3, 1, 1)[0, 0]
        z, y, x = ((pooled == level) & (level > 0))[inner].nonzero().T
        z, y, x = (a + part.start for a, part in zip((z, y, x), inner, strict=True))
        flat = (z * level.shape[1] + y) * level.shape[2] + x
        return flat.cpu().numpy(), level[z, y, x].cpu().numpy()

    return smooth, maxima
