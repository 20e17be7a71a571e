"""Thumbnails of patches on a map: which rows, and pasted pixel by pixel."""

import numpy as np
from PIL import Image


def choose_apart(map_xy, *, edge, min_dist):
    """Choose rows whose thumbnails do not cover each other.

    Parameters
    ----------
    map_xy : ndarray, shape (N, 2)
        On the unit square.
    edge : float
        Of a thumbnail, on the same square.
    min_dist : float
        Least squared distance of two of them.

    Returns
    -------
    ndarray of int
        Rows, in the order they were chosen. Rows next to the points of a regular
        grid come first, so that the map fills evenly. No other row can be added.
    """
    pitch = max(edge, np.sqrt(min_dist))
    # a little wider than needed, because no row lies exactly on a point
    grid = map_xy / (1.08 * pitch)
    off_grid = np.abs(grid - np.round(grid)).max(axis=1)
    chosen, cells = [], {}
    for row in np.argsort(off_grid, kind="stable").tolist():
        x, y = map_xy[row].tolist()
        column, line = int(x // pitch), int(y // pitch)
        rivals = (
            rival
            for i in (column - 1, column, column + 1)
            for j in (line - 1, line, line + 1)
            for rival in cells.get((i, j), ())
        )
        if all(_apart(x - a, y - b, edge, min_dist) for a, b in rivals):
            cells.setdefault((column, line), []).append((x, y))
            chosen.append(row)
    return np.array(chosen, dtype=np.int64)


def push_apart(label_positions, size, steps=200):
    """Move text boxes apart, no further than needed, until none covers another.

    Parameters
    ----------
    label_positions : ndarray, shape (K, 2)
        Centers.
    size : tuple of float
        Width and height of a box.
    steps : int
        Rounds at most.

    Returns
    -------
    ndarray, shape (K, 2)
    """
    centers = np.array(label_positions, dtype=np.float64)
    size = np.asarray(size)
    numbers = np.arange(len(centers))
    for _ in range(steps):
        apart = centers[:, None] - centers
        overlap = (size - abs(apart)).clip(0)
        covered = overlap.all(axis=-1) & ~np.eye(len(centers), dtype=bool)
        if not covered.any():
            break
        # along the shorter way; of two boxes at one point the first goes left
        axis = (overlap / size).argmin(axis=-1)
        order = np.sign(numbers[:, None] - numbers)
        for i in range(2):
            away = np.where(apart[..., i] == 0, order, np.sign(apart[..., i]))
            moves = away * overlap[..., i] * (covered & (axis == i))
            centers[:, i] += 0.3 * moves.sum(axis=1)
    return centers


def _apart(dx, dy, edge, min_dist):
    return max(abs(dx), abs(dy)) >= edge and dx * dx + dy * dy >= min_dist


class ThumbnailLayer:
    """A transparent layer of pixels to paste framed thumbnails on.

    Parameters
    ----------
    width, height : int
        [pixels].
    """

    def __init__(self, width, height):
        self.pixels = np.zeros((height, width, 4), dtype=np.uint8)

    @classmethod
    def over(cls, canvas):
        """Return a layer of the size of a `lib.pictures.canvas.MapCanvas`."""
        width, height = canvas.figure.get_size_inches() * canvas.figure.dpi
        return cls(round(width), round(height))

    def fill(self, color, *, left, top, size):
        """Fill a rectangle of (width, height) with one color [pixels]."""
        width, height = size
        self.pixels[top : top + height, left : left + width, :3] = color
        self.pixels[top : top + height, left : left + width, 3] = 255

    def paste(self, gray, *, left, top, edge, color=None, frame=3):
        """Paste a patch, resampled, with a frame inside its edge.

        Parameters
        ----------
        gray : ndarray of uint8, shape (H, W)
        left, top, edge, frame : int
            [pixels]; what lies beyond the layer is cut off.
        color : sequence of int, optional
            RGB of the frame; none without.
        """
        inner = edge - 2 * frame if color is not None else edge
        picture = Image.fromarray(gray).resize((inner, inner), Image.Resampling.LANCZOS)
        tile = np.full((edge, edge, 4), 255, dtype=np.uint8)
        if color is not None:
            tile[..., :3] = color
        start = (edge - inner) // 2
        inside = slice(start, start + inner)
        tile[inside, inside, :3] = np.asarray(picture)[..., None]
        height, width = self.pixels.shape[:2]
        rows = slice(max(top, 0), min(top + edge, height))
        columns = slice(max(left, 0), min(left + edge, width))
        self.pixels[rows, columns] = tile[
            rows.start - top : rows.stop - top,
            columns.start - left : columns.stop - left,
        ]
