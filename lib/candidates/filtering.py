"""Gaussian filters of volumes and images, on all cores or on the GPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lib.system.machine import usable_threads

TRUNCATE = 4.0  # scipy's default: kernels end at four standard deviations


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
