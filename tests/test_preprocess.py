import numpy as np
import pytest

from lib.patches.tomogram_data import preprocess_tilt_images, preprocess_tomogram


def noise(shape, seed=0, mean=0.0, std=1.0):
    return np.random.default_rng(seed).normal(mean, std, shape).astype(np.float32)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (-3000, 40), (1e4, 2500)])
def test_gray_levels_do_not_depend_on_the_scale_of_the_file(mean, std):
    reference = preprocess_tomogram(noise((12, 20, 20)), 0.8)
    scaled = preprocess_tomogram(noise((12, 20, 20)) * std + mean, 0.8)
    assert np.abs(reference.astype(int) - scaled).max() <= 1


def test_three_standard_deviations_span_the_gray_levels():
    volume = noise((20, 40, 40))
    gray = preprocess_tomogram(volume.copy(), 0)
    standard = (volume - volume.mean()) / volume.std()
    expected = np.clip((standard + 3) * 255 / 6, 0, 255)
    assert np.abs(gray - expected).max() <= 0.51


def test_one_outlier_is_clipped_and_costs_no_contrast():
    volume = noise((12, 20, 20))
    volume[6, 10, 10] = 50
    gray = preprocess_tomogram(volume, 0)
    assert gray[6, 10, 10] == 255
    assert gray.std() > 25


def test_each_tilt_image_is_standardized_on_its_own():
    image = noise((1, 30, 30))
    series = np.concatenate([image, 1000 + 7 * image])
    gray = preprocess_tilt_images(series, 0.8)
    assert np.abs(gray[0].astype(int) - gray[1]).max() <= 1
