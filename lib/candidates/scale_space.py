"""Scale space: Gaussians of a volume, the levels between them, and their maxima.

On all cores, or on a GPU.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter

from lib.system.machine import usable_threads

TRUNCATE = 4.0  # scipy's default: kernels end at four standard deviations
SLAB = 16  # sections in which a thread looks for maxima at once


def gaussian_volume(volume, sigma, out=None, *, threads=None):
    """Filter a volume with an isotropic Gaussian, mirrored at the borders.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
    sigma : float
        Standard deviation [voxels]; 0 only copies.
    out : ndarray of float32, shape (Z, Y, X), optional
        May be `volume` itself, so that no second copy is needed.
    threads : int, optional
        By default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    if out is None:
        out = np.empty(volume.shape, np.float32)
    if sigma <= 0:
        out[...] = volume
        return out
    threads = threads or usable_threads()

    def in_slices(slab):
        for axis, source in ((2, volume), (1, out)):
            gaussian_filter1d(source[slab], sigma, axis, output=out[slab])

    def along_z(slab):
        gaussian_filter1d(out[:, slab], sigma, 0, output=out[:, slab])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(in_slices, _slabs(volume.shape[0], threads)))
        list(pool.map(along_z, _slabs(volume.shape[1], threads)))
    return out


def gaussian_volume_torch(volume, sigma):
    """Filter a volume on its device, equal to `gaussian_volume` up to rounding.

    Parameters
    ----------
    volume : torch.Tensor of float32, shape (Z, Y, X)
    sigma : float
        Standard deviation [voxels].

    Returns
    -------
    torch.Tensor of float32, shape (Z, Y, X)
    """
    import torch

    radius = int(TRUNCATE * sigma + 0.5)
    taps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    weights = (kernel / kernel.sum()).tolist()
    # A sum of shifted volumes: a convolution of a hundred thousand lines is no case
    # that GPU libraries are made for.
    for axis in (2, 1, 0):
        size = volume.shape[axis]
        padded = volume.index_select(axis, _mirror(size, radius, volume.device))
        volume = padded.narrow(axis, radius, size) * weights[radius]
        for step in range(1, radius + 1):
            for start in (radius - step, radius + step):
                shifted = padded.narrow(axis, start, size)
                volume.add_(shifted, alpha=weights[start])
    return volume


def _mirror(size, radius, device):
    """Return indices that mirror a line at its borders (d c b a | a b c d)."""
    import torch

    index = torch.arange(-radius, size + radius, device=device) % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def _slabs(size, threads):
    step = max(1, -(-size // (4 * threads)))
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def multiscale_levels(volume, sigmas, sign, smooth):
    """Yield the levels of a multi-scale search; four volumes at a time.

    Parameters
    ----------
    volume : ndarray of uint8, shape (Z, Y, X)
    sigmas : sequence of float
        Ascending [voxels].
    sign : {1, -1}
        -1 for bright particles.
    smooth : callable
        Of `on_cpu` or `on_gpu`.

    Yields
    ------
    kind : {"blob", "shell"}
    sigma, next_sigma : float
        The two smallest sigmas of the level [voxels].
    level : ndarray of float32, shape (Z, Y, X)
    density : ndarray of float32, shape (Z, Y, X), or None
        The positive part of the finest level, smoothed. It shows whether a shell is
        centered, and the finest blobs climb in it; None for other blobs.
    """
    narrow, wide = smooth(volume, sigmas[0]), smooth(volume, sigmas[1])
    finest = _difference(wide, narrow, sign)
    finest *= finest > 0
    density = smooth(finest, (sigmas[1] * sigmas[2]) ** 0.5)
    for sigma, next_sigma in zip(sigmas[1:], sigmas[2:], strict=False):
        narrow, wide = wide, None
        wide = smooth(volume, next_sigma)
        yield "blob", sigma, next_sigma, _difference(wide, narrow, sign), density
        density = None
    del narrow, wide
    inside, middle = smooth(finest, sigmas[1]), smooth(finest, sigmas[2])
    for sigma, next_sigma, outer_sigma in zip(
        sigmas[1:], sigmas[2:], sigmas[3:], strict=False
    ):
        outside = smooth(finest, outer_sigma)
        inside += outside
        inside *= 0.5
        yield "shell", sigma, next_sigma, _difference(middle, inside, 1), middle
        inside, middle = middle, outside


def _difference(wide, narrow, sign):
    """Return sign x (wide - narrow), written over `narrow`."""
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


def non_maximum_suppression(index, shape, radius):
    """Greedily keep the strongest of the points that lie within `radius`.

    Parameters
    ----------
    index : ndarray of int, shape (M,)
        Flat positions in the volume, strongest first.
    shape : tuple of int
        (Z, Y, X) of the volume.
    radius : float
        [voxels].

    Returns
    -------
    list of int
        Which of `index` are kept, ascending.
    """
    reach = int(radius)
    padded = tuple(size + 2 * reach for size in shape)
    points = np.unravel_index(index, shape)
    centers = np.ravel_multi_index([axis + reach for axis in points], padded).tolist()
    span = np.arange(-reach, reach + 1)
    z, y, x = np.meshgrid(span, span, span, indexing="ij")
    inside = z**2 + y**2 + x**2 <= radius**2
    ball = ((z * padded[1] + y) * padded[2] + x)[inside]
    taken = np.zeros(int(np.prod(padded)), bool)
    kept = []
    for number, center in enumerate(centers):
        if not taken[center]:
            kept.append(number)
            taken[ball + center] = True
    return kept
