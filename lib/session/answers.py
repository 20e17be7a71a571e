"""What the page is told of the session: its candidates, tomograms and classes."""

import json

import numpy as np
from starlette.responses import Response

from lib.artifacts.measures import title_of
from lib.errors import UserError
from lib.run.history import describe_history
from lib.session.slices import HIGH, LOW

# Hues by the golden angle: neighbors in number differ.
GOLDEN_ANGLE = 137.508
ANGSTROM_PER_NM = 10
ROWS_OF_MEAN = 64


class Json(Response):
    """An answer in json, in ASCII: paths may hold bytes that are no text."""

    media_type = "application/json"

    def render(self, content):
        """Return the bytes to send."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def describe(candidates, shown):
    """Return what the page is told of the table, in the types of json.

    Parameters
    ----------
    candidates : lib.session.candidates.Candidates
    shown : list of lib.session.slices.Shown
        One for each tomogram.
    """
    columns, record = candidates.columns, candidates.record
    patches = candidates.patches
    return {
        "run": record.exp_id or candidates.run.root.name,
        "history": describe_history(record.lineage.given),
        "mode": record.options.patches.mode or "",
        "table": str(candidates.path),
        "kept_in": str(candidates.run.exports),
        "fingerprint": candidates.fingerprint,
        "rows": len(candidates),
        "dim": columns.unit.shape[1],
        "layout": {**columns.layout, "note": _note_of(candidates)},
        "tomograms": _tomograms(candidates, shown),
        "clusters": _clusters(columns),
        "measures": [
            {"name": name, "title": title_of(name)} for name in columns.measures
        ],
        "patches": {
            "edge": patches.edge,
            "views": list(patches.views),
            "available": bool(patches.views),
        },
    }


def _note_of(candidates):
    if candidates.has_layout:
        return ""
    return "principal components; plot_2d.py makes the map"


def _tomograms(candidates, shown):
    columns, record = candidates.columns, candidates.record
    counts = np.bincount(columns.tomogram, minlength=len(columns.names)).tolist()
    told = []
    for index, name in enumerate(columns.names):
        tomogram, recorded = shown[index].tomogram, record.tomogram(name)
        shape = tomogram.shape if tomogram else recorded.shape
        size = recorded.voxel_size or (tomogram.voxel_size if tomogram else None)
        told.append(
            {
                "index": index,
                "name": name,
                "count": counts[index],
                "available": tomogram is not None,
                "why": shown[index].why,
                "shape": list(map(int, shape)) if shape else None,
                "voxel_nm": size / ANGSTROM_PER_NM if size else None,
                "low": LOW,
                "high": HIGH,
            }
        )
    return told


def _clusters(columns):
    counts = np.bincount(columns.cluster, minlength=len(columns.numbers)).tolist()
    return [
        {
            "number": int(number),
            "count": counts[index],
            "color": cluster_color(index),
            "examples": [row for row in columns.examples[index].tolist() if row >= 0],
        }
        for index, number in enumerate(columns.numbers)
    ]


def cluster_color(index):
    """Return a color as ``#rrggbb``; neighbors in number differ in hue."""
    from colorsys import hls_to_rgb

    hue = (index * GOLDEN_ANGLE % 360) / 360
    rgb = hls_to_rgb(hue, (0.62, 0.46, 0.74)[index % 3], 0.65)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def state_of(journal):
    """Return the classes and what can be undone, in the types of json."""
    classes = journal.classes
    counts = classes.counts()
    return {
        "version": classes.version,
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "color": c.color,
                "count": counts[c.id],
                "taught": c.id in classes.lessons,
            }
            for c in sorted(classes.classes.values(), key=lambda c: c.id)
        ],
        "merged": {str(k): into for k, into in sorted(classes.merged.items())},
        "undo": classes.undo_text,
        "redo": classes.redo_text,
        "read_only": journal.read_only,
    }


def cluster_means(candidates):
    """Return the average patch of each cluster, uint8, shape (K, edge, edge).

    Those of `plot_2d.py` are turned in plane before they are averaged; where it wrote
    none, typical patches are averaged as they are.
    """
    columns, edge = candidates.columns, candidates.patches.edge
    if columns.means is not None:
        return np.ascontiguousarray(columns.means[:, :edge, :edge])
    means = np.full((len(columns.numbers), edge, edge), 128, np.uint8)
    order = np.argsort(columns.cluster, kind="stable")
    edges = np.searchsorted(columns.cluster[order], np.arange(len(means) + 1))
    for number in range(len(means)):
        rows = order[edges[number] : edges[number + 1]][:ROWS_OF_MEAN]
        if len(rows) and edge:
            try:
                found = candidates.patches.read(rows)
            except UserError:
                continue
            means[number] = np.rint(found.mean(axis=0)).astype(np.uint8)
    return means
