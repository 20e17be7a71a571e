"""Matplotlib with fixed settings, and the canvas of a map.

Pictures are drawn by Agg and written to files, whatever a user has set up for a
notebook: MPLBACKEND may name a backend that does not exist here, and a matplotlibrc
with text.usetex needs LaTeX. Every picture imports Matplotlib from this module.
"""

import os
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lib.artifacts import atomic_write
from lib.pictures.colormap import plane_colors
from lib.system.caches import ensure_matplotlib_cache

if "matplotlib" not in sys.modules:
    os.environ["MPLBACKEND"] = "agg"
    ensure_matplotlib_cache()

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

__all__ = [
    "Circle",
    "Figure",
    "FigureCanvasAgg",
    "Rectangle",
    "plain_style",
    "withStroke",
]

DPI = 150
PAPER, FRAME = "#fcfcfa", "#d9dbe0"
INK, FAINT, ALARM = "#22252b", "#6d727c", "#b3261e"
MAP_EDGE = 11.3  # [inches]
MARGIN = 0.35
STRIP = 1.55  # below the map, for caption and legend
LEGEND_EDGE = 1.05
ALARM_WIDTH = 108  # [letters]


@contextmanager
def plain_style():
    """Draw in Matplotlib's own style while the block, or a decorated function, runs."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@dataclass(frozen=True)
class Caption:
    """Text below a map.

    Attributes
    ----------
    run : str
        The run, in bold.
    details : str
        Number of candidates, and how the map was made.
    alarm : str
        Why the map cannot be trusted; empty if it can.
    """

    run: str
    details: str
    alarm: str = ""


class MapCanvas:
    """A light canvas with the unit square of a map on its left.

    Parameters
    ----------
    edge : float
        Rim left around the unit square, in its units.
    beside : float
        Width of the column right of the map [inches].
    """

    def __init__(self, edge, beside=0.0):
        self.width = MAP_EDGE + 2 * MARGIN + beside
        self.height = MAP_EDGE + MARGIN + STRIP
        self.figure = Figure(
            figsize=(self.width, self.height), dpi=DPI, facecolor=PAPER
        )
        FigureCanvasAgg(self.figure)
        self.axes = self.add_axes(MARGIN, STRIP, MAP_EDGE, MAP_EDGE)
        limits = (-edge, 1 + edge)
        self.axes.set(xlim=limits, ylim=limits, xticks=[], yticks=[])
        self.axes.set_facecolor("white")
        self.axes.spines[:].set(color=FRAME, linewidth=0.8)

    def add_axes(self, left, bottom, width, height):
        """Return axes in a rectangle of the canvas [inches]."""
        return self.figure.add_axes(
            (
                left / self.width,
                bottom / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def pixels(self, map_xy):
        """Return where positions of the map lie in the picture: (x, y) [pixels]."""
        x, y = self.axes.transData.transform(map_xy).T
        return np.stack([x, self.height * DPI - y], axis=1)

    def write(self, text, left, bottom, size, **style):
        """Write text at a point of the canvas [inches]."""
        style = {"color": INK, **style}
        self.figure.text(
            left / self.width, bottom / self.height, text, fontsize=size, **style
        )

    def add_dots(self, map_xy, colors, larger=1.0):
        """Draw a dot at each position of the map."""
        size = larger * float(np.clip(9000 / len(map_xy), 1.5, 30.0))
        self.axes.scatter(*map_xy.T, s=size, c=colors / 255, alpha=0.8, linewidths=0)

    def add_caption(self, caption, note):
        """Write the caption below the map, `note` as its last line."""
        self.write(caption.run, MARGIN, STRIP - 0.42, 17, weight="bold")
        self.write(caption.details, MARGIN, STRIP - 0.7, 11.5)
        self.write(note, MARGIN, STRIP - 0.93, 11.5, color=FAINT)
        if caption.alarm:
            alarm = textwrap.fill(caption.alarm, ALARM_WIDTH)
            self.write(alarm, MARGIN, STRIP - 1.04, 11, color=ALARM, va="top")

    def add_legend(self):
        """Draw the colors of the unit square below the right end of the map."""
        left = MARGIN + MAP_EDGE - LEGEND_EDGE
        bottom = STRIP - 0.22 - LEGEND_EDGE
        axes = self.add_axes(left, bottom, LEGEND_EDGE, LEGEND_EDGE)
        steps = (np.arange(128) + 0.5) / 128
        grid = np.stack(np.meshgrid(steps, steps), axis=-1)
        axes.imshow(plane_colors(grid), origin="lower", extent=(0, 1, 0, 1))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        self.write(
            "a color for every\nposition on the first map,\nthe same in the\n"
            "painted tomograms",
            left - 0.12,
            bottom + LEGEND_EDGE / 2,
            10,
            color=FAINT,
            ha="right",
            va="center",
        )

    def save(self, path, layer):
        """Paste a layer of thumbnails over the canvas and write the PNG."""
        self.figure.canvas.draw()
        pixels = np.array(self.figure.canvas.buffer_rgba())[..., :3]
        covered = layer.pixels[..., 3] > 0
        pixels[covered] = layer.pixels[covered, :3]
        with atomic_write(path) as stream:
            Image.fromarray(pixels).save(stream, "PNG", dpi=(DPI, DPI))
