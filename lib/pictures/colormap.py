"""A color for every position on the unit square, with even perceptual steps."""

import numpy as np

# The largest square of the OKLab space (Ottosson 2020; a and b weighted twice) that
# stays inside sRGB at lightness 0.5 to 0.9: center and half edges, found by search.
COLOR_CENTER = np.array([0.651, 0.0784, -0.0211])
COLOR_ALONG_X = np.array([-0.0029, -0.0001, -0.1465])
COLOR_ALONG_Y = np.array([0.0261, -0.1460, 0.0])
OKLAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
LMS_TO_LINEAR_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def plane_colors(map_xy):
    """Return the colors of positions: equal steps give equal perceptual differences.

    Parameters
    ----------
    map_xy : ndarray, shape (..., 2)
        x to the right and y upwards, 0 to 1.

    Returns
    -------
    ndarray of uint8, shape (..., 3)
        sRGB.
    """
    x, y = np.moveaxis(2.0 * np.asarray(map_xy, dtype=np.float64) - 1, -1, 0)
    lab = COLOR_CENTER + x[..., None] * COLOR_ALONG_X + y[..., None] * COLOR_ALONG_Y
    linear = ((lab @ OKLAB_TO_LMS.T) ** 3 @ LMS_TO_LINEAR_RGB.T).clip(0, 1)
    low, high = 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    return np.rint(255 * np.where(linear <= 0.0031308, low, high)).astype(np.uint8)
