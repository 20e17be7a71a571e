"""The page of a map: paper, frame, dots, caption and color legend."""

import textwrap
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lib.artifacts import atomic_write
from lib.pictures.canvas import Figure, FigureCanvasAgg
from lib.pictures.colormap import plane_colors

DPI = 150
PAPER, FRAME = "#fcfcfa", "#d9dbe0"
INK, FAINT, ALARM = "#22252b", "#6d727c", "#b3261e"
MAP_EDGE = 11.3  # [inches]
MARGIN = 0.35
STRIP = 1.55  # below the map, for caption and legend
LEGEND_EDGE = 1.05
ALARM_WIDTH = 108  # [letters]


@dataclass(frozen=True)
class Caption:
    """What is written below a map.

    Attributes
    ----------
    run : str
        The run, in bold.
    facts : str
        Number of candidates, and how the map was made.
    alarm : str
        Why not to trust the map; empty when one may.
    """

    run: str
    facts: str
    alarm: str = ""


class Page:
    """A light page with the unit square of a map on its left.

    Parameters
    ----------
    edge : float
        Rim left around the unit square, in its units.
    beside : float
        Width of what stands right of the map [inches].
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
        """Return axes in a rectangle of the page [inches]."""
        return self.figure.add_axes(
            (
                left / self.width,
                bottom / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def pixels(self, places):
        """Return where places of the map lie: from the left and the top [pixels]."""
        x, y = self.axes.transData.transform(places).T
        return np.stack([x, self.height * DPI - y], axis=1)

    def write(self, text, left, bottom, size, **style):
        """Write text at a point of the page [inches]."""
        style = {"color": INK, **style}
        self.figure.text(
            left / self.width, bottom / self.height, text, fontsize=size, **style
        )

    def add_dots(self, places, colors, larger=1.0):
        """Draw a dot at every place of the map."""
        size = larger * float(np.clip(9000 / len(places), 1.5, 30.0))
        self.axes.scatter(*places.T, s=size, c=colors / 255, alpha=0.8, linewidths=0)

    def add_caption(self, caption, note):
        """Write the caption below the map, `note` as its last line."""
        self.write(caption.run, MARGIN, STRIP - 0.42, 17, weight="bold")
        self.write(caption.facts, MARGIN, STRIP - 0.7, 11.5)
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
            "a color for every\nplace of the first map,\nthe same in the\n"
            "painted tomograms",
            left - 0.12,
            bottom + LEGEND_EDGE / 2,
            10,
            color=FAINT,
            ha="right",
            va="center",
        )

    def save(self, path, sheet):
        """Lay a sheet of thumbnails over the page and write the PNG, whole."""
        self.figure.canvas.draw()
        pixels = np.array(self.figure.canvas.buffer_rgba())[..., :3]
        covered = sheet.pixels[..., 3] > 0
        pixels[covered] = sheet.pixels[covered, :3]
        with atomic_write(path) as stream:
            Image.fromarray(pixels).save(stream, "PNG", dpi=(DPI, DPI))
