"""Matplotlib as the pictures need it, whatever a user has set up for a notebook.

Pictures go to files, drawn by Agg. MPLBACKEND of a notebook names a backend that need
not exist here, and Matplotlib would not even be imported; a matplotlibrc with
text.usetex asks for LaTeX. All that is drawn with comes from this module.
"""

import os
import sys
from contextlib import contextmanager

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


@contextmanager
def plain_style():
    """Draw in Matplotlib's own style while the block, or a decorated function, runs."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield
