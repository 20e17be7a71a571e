"""A picture of three slices of the painted tomogram."""

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.artifacts import atomic_write
from lib.overlay.paint import GRAY_PERCENTILES, REACH
from lib.pictures.canvas import (
    DPI,
    FAINT,
    INK,
    PAPER,
    Figure,
    FigureCanvasAgg,
    plain_style,
)
from lib.pictures.colormap import plane_colors

SHARES = (0.3, 0.5, 0.7)  # of the candidates lie below the slices shown
SIGMA = 1.0  # of the Gaussian that makes particles visible [voxels]
PANEL = 6.0  # longer edge of a slice [inches]
GAP, RIM, STRIP = 0.12, 0.25, 0.62
LEGEND_EDGE = 0.42
NICE_LENGTHS = (10, 20, 50, 100, 200, 500, 1000)  # of a scale bar [nm]


def blend(gray, colors, weight):
    """Blend colors with gray where a voxel is painted.

    Parameters
    ----------
    gray, colors : ndarray of uint8, shape (Y, X, 3)
    weight : float
        Of the gray: ``weight * gray + (1 - weight) * colors``.

    Returns
    -------
    ndarray of uint8, shape (Y, X, 3)
        Voxels that are not painted keep their gray.
    """
    mixed = weight * gray.astype(np.float32) + (1 - weight) * colors
    painted = colors.any(axis=-1, keepdims=True)
    return np.where(painted, np.rint(mixed).astype(np.uint8), gray)


def thick_slice(gray, z):
    """Average the slices over which a marker is painted; smooth and stretch them.

    Parameters
    ----------
    gray : ndarray of uint8, shape (Z, Y, X, 3)
    z : int

    Returns
    -------
    ndarray of uint8, shape (Y, X, 3)
    """
    slices = gray[max(z - REACH, 0) : z + REACH + 1, :, :, 0]
    mean = gaussian_filter(slices.mean(axis=0, dtype=np.float32), SIGMA)
    low, high = np.percentile(mean, GRAY_PERCENTILES)
    levels = ((mean - low) * (255 / max(high - low, 1e-6))).clip(0, 255)
    return np.repeat(np.rint(levels).astype(np.uint8)[..., None], 3, axis=-1)


def choose_slices(heights, depth):
    """Return three slices through the middle of the candidates.

    Parameters
    ----------
    heights : ndarray of int, shape (N,)
        z of the candidates [voxels].
    depth : int
        Number of slices.

    Returns
    -------
    list of int
        Ascending and different; fewer in a very thin tomogram.
    """
    slices = np.quantile(heights, SHARES, method="nearest").astype(int)
    return sorted(set(slices.clip(0, depth - 1).tolist()))


@plain_style()
def draw_blend(
    path, gray_path, color_path, *, heights, weight, voxel_size=None, title=""
):
    """Draw slices of the painted tomogram.

    Parameters
    ----------
    path : path-like
        PNG, written atomically.
    gray_path, color_path : path-like
        What `lib.overlay.paint.paint_tomogram` wrote; only the slices shown are read.
    heights : ndarray of int, shape (N,)
        z of the candidates [voxels of the volumes].
    weight : float
        See `blend`.
    voxel_size : float, optional
        [Angstrom]; a scale bar is drawn when it is known.
    title : str
    """
    gray = np.load(gray_path, mmap_mode="r")
    colors = np.load(color_path, mmap_mode="r")
    depth, height, width, _ = gray.shape
    slices = choose_slices(heights, depth)
    scale = PANEL / max(height, width)
    size = (
        2 * RIM + len(slices) * width * scale + (len(slices) - 1) * GAP,
        RIM + height * scale + STRIP,
    )
    figure = Figure(figsize=size, dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    for column, z in enumerate(slices):
        left = RIM + column * (width * scale + GAP)
        axes = _add_axes(figure, left, STRIP, width * scale, height * scale)
        picture = blend(thick_slice(gray, z), colors[z], weight)
        axes.imshow(picture, interpolation="lanczos")
        _label(axes, f"z = {z}", voxel_size if column == 0 else None, width)
    _add_strip(figure, title, f"{len(heights):,} candidates", size[0])
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", dpi=DPI)


def _add_axes(figure, left, bottom, width, height):
    page = figure.get_size_inches()
    axes = figure.add_axes(
        (left / page[0], bottom / page[1], width / page[0], height / page[1])
    )
    axes.set_axis_off()
    return axes


def _label(axes, text, voxel_size, width):
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.5}
    style = {"transform": axes.transAxes, "fontsize": 10, "color": INK, "bbox": box}
    axes.text(0.02, 0.98, text, va="top", ha="left", **style)
    if voxel_size:
        nanometers = width * voxel_size / 10
        length = max([n for n in NICE_LENGTHS if n <= nanometers / 3] or [0])
        if length:
            share = length / nanometers
            axes.plot(
                [0.03, 0.03 + share],
                [0.03, 0.03],
                transform=axes.transAxes,
                color="white",
                linewidth=4,
                solid_capstyle="butt",
            )
            axes.text(0.03, 0.045, f"{length} nm", va="bottom", ha="left", **style)


def _add_strip(figure, title, details, width):
    axes = _add_axes(figure, RIM, 0, width - 2 * RIM, STRIP)
    axes.text(0, 0.62, title, fontsize=13, weight="bold", color=INK, va="center")
    axes.text(0, 0.24, details, fontsize=10, color=FAINT, va="center")
    axes.text(
        1 - (LEGEND_EDGE + 0.1) / (width - 2 * RIM),
        0.45,
        "color: position on the 2-D map",
        fontsize=10,
        color=FAINT,
        va="center",
        ha="right",
    )
    bottom = (STRIP - LEGEND_EDGE) / 2
    legend = _add_axes(
        figure, width - RIM - LEGEND_EDGE, bottom, LEGEND_EDGE, LEGEND_EDGE
    )
    steps = (np.arange(64) + 0.5) / 64
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    legend.imshow(plane_colors(grid), origin="lower")
