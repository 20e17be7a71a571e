"""Random transforms of whole batches on the device, as one resampling.

Every candidate has its own transform, which its views share. Transforms are sampled
on the CPU for the global batch, so that they depend on the seed alone: neither on the
device nor on the number of ranks.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F

ERASE_AREA = (0.01, 0.02)  # of the patch
ERASE_DISTANCE = 0.25  # from the center at least, in units of the edge


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which the transforms of a view are sampled.

    Attributes
    ----------
    rotation : float
        In-plane rotation within +- this, beside quarter turns [degrees].
    crop : (float, float)
        Range of the share of the area that is cropped and resized to the box.
    brightness, contrast : float
        Factor within 1 +- this.
    erase : float
        Probability that a small rectangle away from the center is blanked.
    """

    rotation: float = 0.0
    crop: tuple = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True)
class Transforms:
    """The transform of each of B candidates.

    Attributes
    ----------
    matrix : Tensor, shape (B, 2, 3)
        From the output's (x, y, 1) to the stored patch's (x, y) [px from the center
        of the box].
    brightness, contrast : Tensor, shape (B,)
    erase : Tensor, shape (B, 4)
        left, top, right, bottom [px]; all 0 if nothing is erased.
    """

    matrix: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor
    erase: torch.Tensor

    def __getitem__(self, index):
        """Return the transforms of some candidates."""
        return Transforms(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device):
        """Return the transforms on a device."""
        moved = (
            getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)
        )
        return Transforms(*moved)


def sample_transforms(augmentation, count, box, generator):
    """Sample transforms: flips and quarter turns always, the rest as allowed.

    Parameters
    ----------
    augmentation : Augmentation
    count : int
    box : int
        Edge of a patch [px].
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Transforms
        On the CPU.
    """

    def uniform(low, high):
        return low + (high - low) * torch.rand(count, generator=generator)

    quarter = torch.randint(4, (count,), generator=generator)
    flip = torch.randint(2, (2, count), generator=generator) * 2 - 1
    free = torch.deg2rad(uniform(-augmentation.rotation, augmentation.rotation))
    scale = uniform(*augmentation.crop).sqrt()
    shift = (1 - scale) * box / 2 * torch.stack([uniform(-1, 1), uniform(-1, 1)])
    # From a table: cos and sin of quarter turns are not exact.
    cos_q = torch.tensor([1.0, 0.0, -1.0, 0.0])[quarter]
    sin_q = torch.tensor([0.0, 1.0, 0.0, -1.0])[quarter]
    cos = cos_q * free.cos() - sin_q * free.sin()
    sin = sin_q * free.cos() + cos_q * free.sin()
    turn = torch.stack(
        [cos * flip[0], -sin * flip[1], sin * flip[0], cos * flip[1]], -1
    )
    matrix = torch.cat(
        [(scale[:, None] * turn).view(count, 2, 2), shift.T[:, :, None]], dim=2
    )
    return Transforms(
        matrix,
        brightness=uniform(1 - augmentation.brightness, 1 + augmentation.brightness),
        contrast=uniform(1 - augmentation.contrast, 1 + augmentation.contrast),
        erase=_sample_erase(augmentation.erase, count, box, uniform),
    )


def apply_transforms(patches, transforms, *, box, mean, std):
    """Resample, jitter and normalize a batch.

    Parameters
    ----------
    patches : Tensor of uint8, shape (B, V, S, S)
        Stored patches; S is `box` and the context around it.
    transforms : Transforms
        On the device of `patches`.
    box : int
        Edge of the result [px].
    mean, std : Tensor, shape (V,)
        Normalization of each view, of pixels scaled to 0..1.

    Returns
    -------
    Tensor of float32, shape (B, V, box, box)
    """
    size = patches.shape[-1]
    values = patches.float() / 255
    grid = _sampling_grid(transforms.matrix, box, size)
    values = F.grid_sample(
        values, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    values = _jitter(values, transforms)
    values = _blank(values, transforms.erase, mean)
    return (values - mean[:, None, None]) / std[:, None, None]


def center_crop(patches, *, box, mean, std):
    """Crop the boxes of a batch and normalize them; shapes as in `apply_transforms`."""
    context = (patches.shape[-1] - box) // 2
    inner = slice(context, context + box)
    values = patches[..., inner, inner].float() / 255
    return (values - mean[:, None, None]) / std[:, None, None]


def _sampling_grid(matrix, box, size):
    """Return where each output pixel lies in the stored patch, in -1..1."""
    # The pixel raster is symmetric about the middle of the box, so that flips and
    # quarter turns map pixels onto pixels.
    axis = torch.arange(box, device=matrix.device, dtype=torch.float32) - (box - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    raster = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (box, box, 3)
    return torch.einsum("hwk,bck->bhwc", raster, matrix) * (2 / size)


def _jitter(values, transforms):
    """Scale brightness, then contrast about the mean of a patch; clip to 0..1."""
    values = (values * transforms.brightness[:, None, None, None]).clamp(0, 1)
    center = values.mean(dim=(2, 3), keepdim=True)
    return (
        (values - center) * transforms.contrast[:, None, None, None] + center
    ).clamp(0, 1)


def _blank(values, erase, mean):
    """Set the erased rectangles to the mean."""
    axis = torch.arange(values.shape[-1], device=values.device)
    left, top, right, bottom = erase.T[:, :, None]
    columns = (axis >= left) & (axis < right)
    rows = (axis >= top) & (axis < bottom)
    blank = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(blank, mean[:, None, None], values)


def _sample_erase(probability, count, box, uniform):
    area = uniform(*ERASE_AREA) * box**2
    aspect = uniform(-1, 1).exp2()
    size = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()])
    angle = uniform(0, 2 * torch.pi)
    distance = uniform(ERASE_DISTANCE, 0.5) * box
    center = box / 2 + distance * torch.stack([angle.cos(), angle.sin()])
    corners = torch.cat([center - size / 2, center + size / 2]).round()
    return torch.where(uniform(0, 1) < probability, corners, 0).T
