import math

import numpy as np
import pytest
import torch

from lib.training.transforms import (
    Augmentation,
    apply_transforms,
    center_crop,
    sample_transforms,
)

BOX, CONTEXT = 16, 4
MEAN, STD = torch.zeros(1), torch.ones(1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_patches(count, views=1, seed=0):
    rng = np.random.default_rng(seed)
    size = BOX + 2 * CONTEXT
    return torch.from_numpy(
        rng.integers(0, 256, (count, views, size, size), dtype=np.uint8)
    )


def plain(patches, mean=MEAN, std=STD):
    return center_crop(patches, box=BOX, mean=mean, std=std)


def vary(patches, transforms, mean=MEAN, std=STD):
    return apply_transforms(patches, transforms, box=BOX, mean=mean, std=std)


def test_flips_and_quarter_turns_are_exact_and_all_eight_come():
    patches = random_patches(1).expand(200, -1, -1, -1)
    turned = vary(patches, sample_transforms(Augmentation(), 200, BOX, generator()))
    reference = plain(patches[:1])[0, 0]
    eight = [
        torch.rot90(image, k)
        for image in (reference, reference.flip(1))
        for k in range(4)
    ]
    seen = set()
    for image in turned[:, 0]:
        errors = [float((image - target).abs().max()) for target in eight]
        assert min(errors) < 1e-4
        seen.add(int(np.argmin(errors)))
    assert seen == set(range(8))


def test_views_of_a_candidate_share_the_draw_and_candidates_do_not():
    one = random_patches(1, views=1)
    patches = one.expand(50, 2, -1, -1)
    transforms = sample_transforms(Augmentation(rotation=180), 50, BOX, generator())
    turned = vary(patches, transforms, mean=torch.zeros(2), std=torch.ones(2))
    torch.testing.assert_close(turned[:, 0], turned[:, 1])
    assert (turned[0, 0] - turned[1, 0]).abs().max() > 0.1


def test_free_rotation_moves_a_mark_by_its_angle():
    size = BOX + 2 * CONTEXT
    y, x = np.indices((size, size)) - (size - 1) / 2
    blob = 255 * np.exp(-((x - 5) ** 2 + y**2) / 4)
    patches = torch.from_numpy(blob.round().astype(np.uint8))[None, None]
    patches = patches.expand(100, -1, -1, -1)
    transforms = sample_transforms(Augmentation(rotation=30), 100, BOX, generator())
    axis = torch.arange(BOX) - (BOX - 1) / 2
    for image, matrix in zip(
        vary(patches, transforms)[:, 0], transforms.matrix, strict=True
    ):
        found = torch.stack([(image * axis).sum(), (image * axis[:, None]).sum()])
        found /= image.sum()
        # The matrix maps output to stored: the mark at (5, 0) is seen at its inverse.
        expected = torch.linalg.inv(matrix[:, :2]) @ torch.tensor([5.0, 0.0])
        torch.testing.assert_close(found, expected, atol=0.15, rtol=0)
        assert math.hypot(*found) == pytest.approx(5, abs=0.15)


def test_turned_corners_show_the_context_not_nothing():
    patches = torch.full((100, 1, BOX + 2 * CONTEXT, BOX + 2 * CONTEXT), 200).byte()
    transforms = sample_transforms(
        Augmentation(rotation=180, crop=(0.8, 1.0)), 100, BOX, generator()
    )
    torch.testing.assert_close(
        vary(patches, transforms), torch.full((100, 1, BOX, BOX), 200 / 255)
    )


def test_crop_magnifies_within_its_range():
    transforms = sample_transforms(Augmentation(crop=(0.8, 1.0)), 500, BOX, generator())
    area = transforms.matrix[:, :, :2].det().abs()
    assert 0.8 <= area.min() < 0.82
    assert 0.98 < area.max() <= 1.0001
    reach = transforms.matrix[:, :, 2].abs().amax(1) + area.sqrt() * BOX / 2
    assert reach.max() <= BOX / 2 + 1e-4  # the crop stays inside the box


def test_erasing_blanks_a_small_part_away_from_the_center():
    patches = torch.full((400, 1, BOX + 2 * CONTEXT, BOX + 2 * CONTEXT), 255).byte()
    transforms = sample_transforms(Augmentation(erase=0.5), 400, BOX, generator())
    mean = torch.tensor([0.25])
    erased = vary(patches, transforms, mean=mean) == 0
    share = erased.float().mean((1, 2, 3))
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert share.max() < 0.05
    middle = slice(BOX // 2 - 2, BOX // 2 + 2)
    assert not erased[:, :, middle, middle].any()


def test_brightness_and_contrast_stay_within_the_gray_levels():
    patches = random_patches(200)
    transforms = sample_transforms(
        Augmentation(brightness=0.5, contrast=0.2), 200, BOX, generator()
    )
    varied = vary(patches, transforms)
    assert varied.min() >= 0
    assert varied.max() <= 1
    ratio = varied.mean((1, 2, 3)) / plain(patches).mean((1, 2, 3))
    assert ratio.min() < 0.7
    assert ratio.max() > 1.15


def test_normalization_is_per_view():
    patches = random_patches(64, views=2)
    raw = patches[..., CONTEXT:-CONTEXT, CONTEXT:-CONTEXT].float() / 255
    mean, std = raw.mean((0, 2, 3)), raw.std((0, 2, 3))
    normalized = plain(patches, mean, std)
    torch.testing.assert_close(
        normalized.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        normalized.std((0, 2, 3)), torch.ones(2), atol=1e-3, rtol=0
    )


def test_same_generator_same_draw():
    patches = random_patches(8)
    augmentation = Augmentation(rotation=30, erase=0.5)
    first, second = (
        sample_transforms(augmentation, 8, BOX, generator(3)) for _ in range(2)
    )
    torch.testing.assert_close(vary(patches, first), vary(patches, second))


def test_part_of_a_draw_is_the_draw_of_a_part():
    patches = random_patches(10)
    transforms = sample_transforms(
        Augmentation(rotation=90, erase=1.0), 10, BOX, generator()
    )
    whole = vary(patches, transforms)
    torch.testing.assert_close(vary(patches[1::3], transforms[1::3]), whole[1::3])
