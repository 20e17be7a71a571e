"""The two pictures of the map: with thumbnails, and with cluster numbers."""

import numpy as np

from lib.maps.layout import unit_rows
from lib.pictures.canvas import (
    DPI,
    FAINT,
    MAP_EDGE,
    MARGIN,
    MapCanvas,
    plain_style,
    withStroke,
)
from lib.pictures.colormap import plane_colors
from lib.pictures.thumbnails import ThumbnailLayer, choose_apart, push_apart

THUMBNAIL_EDGE = (0.022, 0.075)  # least and most, on the unit map
THUMBNAIL_FILL = 0.92  # of the least distance of two thumbnails
N_EXAMPLES = 5
EXAMPLE_EDGE = (54, 120)  # least and most [pixels]
GALLERY_GAP = 4  # [pixels]
NUMBER_WIDTH = 68  # [pixels]
MAX_GALLERY = 120  # clusters
EASY_LINES, EASY_COLUMNS = 16, 4  # of the gallery, before patches get smaller
FEW_DOTS = 4


@plain_style()
def draw_map(path, map_xy, gray, *, min_dist, caption):
    """Draw the map with thumbnails of patches.

    Parameters
    ----------
    path : path-like
        PNG, written atomically.
    map_xy : ndarray, shape (N, 2)
        Positions on the unit square.
    gray : ndarray of uint8, shape (N, H, W)
        Patches: see `lib.pictures.patch_pictures.gray_levels`.
    min_dist : float
        Least squared distance of two thumbnails on the unit square.
    caption : Caption

    Returns
    -------
    int
        Thumbnails drawn.
    """
    edge = float(np.clip(THUMBNAIL_FILL * np.sqrt(min_dist), *THUMBNAIL_EDGE))
    canvas = MapCanvas(edge)
    colors = plane_colors(map_xy)
    canvas.add_dots(map_xy, colors)
    scale = MAP_EDGE * DPI / (1 + 2 * edge)  # pixels a unit of the map
    pixels = round(edge * scale)
    # two pixels more: a gap, whatever the rounding to pixels
    shown = choose_apart(map_xy, edge=(pixels + 2) / scale, min_dist=min_dist)
    layer = ThumbnailLayer.over(canvas)
    for row, center in zip(shown, canvas.pixels(map_xy[shown]), strict=True):
        left, top = np.rint(center - pixels / 2).astype(int)
        layer.paste(gray[row], left=left, top=top, edge=pixels, color=colors[row])
    canvas.add_caption(caption, f"{len(shown):,} of {len(map_xy):,} patches shown")
    canvas.add_legend()
    canvas.save(path, layer)
    return len(shown)


@plain_style()
def draw_label_map(path, map_xy, labels, gray, *, vectors, colors, caption):
    """Draw the map with cluster numbers, and typical patches of every cluster.

    Parameters
    ----------
    path : path-like
        PNG, written atomically.
    map_xy : ndarray, shape (N, 2)
        Positions in the map supervised by the labels, on the unit square.
    labels : ndarray of int, shape (N,)
        0, 1, ...
    gray : ndarray of uint8, shape (N, H, W)
        Patches.
    vectors : ndarray of float32, shape (N, D)
        Embeddings of length one, to find the typical patches.
    colors : ndarray of uint8, shape (N, 3)
        Of the candidates, as in the first map.
    caption : Caption
    """
    sizes = np.bincount(labels)
    largest = np.sort(np.argsort(-sizes, kind="stable")[:MAX_GALLERY])
    gallery = Gallery(len(largest))
    canvas = MapCanvas(0.03, beside=gallery.width / DPI)
    colors = _mean_colors(colors, labels)
    canvas.add_dots(map_xy, colors[labels], larger=2.5)
    _add_numbers(canvas, map_xy, labels)
    layer = ThumbnailLayer.over(canvas)
    for index, label in enumerate(largest):
        rows = _typical_first(np.flatnonzero(labels == label), vectors)
        gallery.add(canvas, layer, index, label, rows, gray, colors[label])
    note = (
        f"{len(sizes)} clusters, each in its mean color of the first map; beside them "
        "the most typical patches of each"
    )
    if len(largest) < len(sizes):
        note += f" of the {len(largest)} largest"
    canvas.add_caption(caption, note)
    canvas.add_legend()
    canvas.save(path, layer)


def _mean_colors(colors, labels):
    totals = [np.bincount(labels, channel) for channel in colors.T.astype(np.float64)]
    means = np.stack(totals, axis=1) / np.bincount(labels)[:, None]
    return np.rint(means).astype(np.uint8)


def _typical_first(rows, vectors):
    """Sort rows by their angle to the mean direction, the most typical first."""
    middle = unit_rows(vectors[rows].mean(axis=0, keepdims=True))[0]
    return rows[np.argsort(-vectors[rows] @ middle, kind="stable")]


def _add_numbers(canvas, map_xy, labels):
    """Write the number of each cluster on its most central candidate."""
    anchors = []
    for label in range(labels.max() + 1):
        members = map_xy[labels == label]
        off_middle = ((members - np.median(members, axis=0)) ** 2).sum(axis=1)
        anchor = members[off_middle.argmin()]
        # beside the dots where they are so few that the number would hide them
        anchors.append(anchor + (0, 0.018 * (len(members) < FEW_DOTS)))
    label_positions = push_apart(np.array(anchors), (0.026, 0.02))
    for label, position in enumerate(label_positions):
        canvas.axes.text(
            *position,
            str(label),
            ha="center",
            va="center",
            fontsize=15,
            weight="bold",
            color="#111317",
            path_effects=[withStroke(linewidth=4, foreground="white")],
            zorder=6,
        )


class Gallery:
    """Typical patches of the clusters, in columns right of the map.

    Parameters
    ----------
    n_cluster : int
        Clusters to make room for.
    """

    def __init__(self, n_cluster):
        height = MAP_EDGE * DPI
        least, most = EXAMPLE_EDGE
        most_lines = int(height // (least + 2 * GALLERY_GAP))
        columns = min(-(-n_cluster // EASY_LINES), EASY_COLUMNS)
        columns = max(columns, -(-n_cluster // most_lines))
        self.lines = -(-n_cluster // columns)
        self.edge = int(min(most, height // self.lines - 2 * GALLERY_GAP))
        self.pitch = height / max(self.lines, height // (most + 2 * GALLERY_GAP))
        self.column = NUMBER_WIDTH + N_EXAMPLES * (self.edge + GALLERY_GAP) + 16
        self.width = columns * self.column

    def add(self, canvas, layer, index, label, rows, gray, color):
        """Paste the first patches of a cluster; `index` counts the clusters."""
        column, line = divmod(index, self.lines)
        left = round((MAP_EDGE + 2 * MARGIN) * DPI + column * self.column)
        top = round(MARGIN * DPI + line * self.pitch)
        for step, row in enumerate(rows[:N_EXAMPLES]):
            across = left + NUMBER_WIDTH + step * (self.edge + GALLERY_GAP)
            layer.paste(gray[row], left=across, top=top, edge=self.edge)
        layer.fill(color, left=left + NUMBER_WIDTH - 12, top=top, size=(6, self.edge))
        height = canvas.height - (top + self.edge / 2) / DPI
        right = (left + NUMBER_WIDTH - 20) / DPI
        style = {"ha": "right", "weight": "bold"}
        canvas.write(str(label), right, height + 0.01, 13, va="bottom", **style)
        canvas.write(
            f"{len(rows):,}", right, height - 0.02, 8, ha="right", va="top", color=FAINT
        )
