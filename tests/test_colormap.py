import numpy as np

from lib.pictures.colormap import plane_colors

STEPS = np.linspace(0, 1, 21)
GRID = np.stack(np.meshgrid(STEPS, STEPS), axis=-1)


def to_oklab(rgb):
    """sRGB to OKLab by the published matrices, a and b weighted twice."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    lab = np.cbrt(linear @ np.transpose(to_lms)) @ np.transpose(to_lab)
    return lab * [1, 2, 2]


def test_colors_are_rgb_bytes_in_the_shape_of_the_places():
    colors = plane_colors(GRID)
    assert (colors.shape, colors.dtype) == ((21, 21, 3), np.uint8)


def test_equal_steps_differ_equally_along_both_axes():
    lab = to_oklab(plane_colors(GRID))
    along_x = np.linalg.norm(np.diff(lab, axis=1), axis=-1)
    along_y = np.linalg.norm(np.diff(lab, axis=0), axis=-1)
    for steps in (along_x, along_y):
        assert steps.max() < 1.35 * steps.min()
    assert 0.9 < along_x.mean() / along_y.mean() < 1.1


def test_no_color_is_too_pale_for_paper_or_too_dark_for_a_black_heatmap():
    lightness = to_oklab(plane_colors(GRID))[..., 0]
    assert lightness.min() > 0.55
    assert lightness.max() < 0.75


def test_corners_are_four_hues():
    corners = plane_colors([[0, 0], [1, 0], [0, 1], [1, 1]]).tolist()
    red, magenta, green, blue = corners
    assert max(red) == red[0]
    assert min(magenta) == magenta[1]
    assert min(green) == green[2]
    assert max(blue) == blue[2]
