"""The search of candidates on a GPU, against its own Gaussians and the CPU."""

import time

import numpy as np

from benchmarks.gpu_floors import BOX, seconds
from benchmarks.gpu_stage import Row

MULTISCALE = (2, 3, 4.5, 7, 10)
PEAK_A_VOXEL = 60  # bytes that the search holds on the GPU at its peak
FULL, QUARTER, TINY = (256, 512, 512), (128, 256, 512), (28, 96, 96)  # (Z, Y, X)
ABOUT_A_SECOND = 1.25


def candidates(device, smoke):
    """Yield the search of a tomogram, with few sigmas and with many."""
    shape = TINY if smoke else fitting_shape(device)
    volume = noise_volume(shape)
    # The GPU's way on the CPU too: "cpu:0" is not "cpu" to the search.
    where = "cpu:0" if device.type == "cpu" else device
    for sigmas, more in (((3, 5), {}), (MULTISCALE, {"std_multiplier": -0.2})):
        sigmas = sigmas[:4] if smoke else sigmas
        yield from _searched(volume, sigmas, more, where, device, 1 if smoke else 3)


def _searched(volume, sigmas, more, where, device, repeats):
    from lib.candidates.dog import find_candidates
    from lib.run.candidate_options import PatchSettings

    options = {
        "box": BOX,
        "diameter": PatchSettings.dog_diameter,
        "boundary": PatchSettings.dog_boundary,
        "std_multiplier": PatchSettings.dog_std_multiplier,
        **more,
    }

    def search(where=where):
        return find_candidates(volume, sigmas, device=where, **options)

    filters = _gaussians(volume, sigmas, where)
    filters()
    found = {tuple(place) for place in search().coords}
    floor = seconds(filters, device, repeats)
    own = seconds(search, device, repeats)
    x_y_z = "x".join(map(str, volume.shape[::-1]))
    what = f"{x_y_z}, --dog {','.join(map(str, sigmas))}"
    aimed = len(sigmas) == 2 and volume.shape == FULL
    yield Row(
        what,
        f"{own:.3f} s",
        f"its Gaussians {floor:.3f} s",
        own / floor,
        goal=f"about 1 s ({ABOUT_A_SECOND:g})" if aimed else "",
        met=own <= ABOUT_A_SECOND if aimed else None,
    )
    began = time.perf_counter()
    expected = {tuple(place) for place in search("cpu").coords}
    slow = time.perf_counter() - began
    yield Row.least(
        f"{what}: the positions of the CPU",
        f"{len(found):,}",
        f"{len(expected):,} in {slow:.2f} s",
        len(found & expected) / len(found | expected),
        0.999,
    )


def noise_volume(shape):
    """Return smooth noise as uint8, (Z, Y, X)."""
    from lib.candidates.scale_space import gaussian_volume

    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    noise = gaussian_volume(noise, 0.8)
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def fitting_shape(device):
    """Return the shape of the largest tomogram whose search fits on the card."""
    import torch

    if device.type != "cuda":
        return QUARTER
    free, _ = torch.cuda.mem_get_info(device)
    return FULL if PEAK_A_VOXEL * np.prod(FULL) < free else QUARTER


def _gaussians(volume, sigmas, where):
    import torch

    from lib.candidates.scale_space import gaussian_volume_torch

    def filters():
        data = torch.from_numpy(volume).to(where).float()
        for sigma in sigmas:
            gaussian_volume_torch(data, sigma)

    return filters
