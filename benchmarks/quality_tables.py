"""Measurements as lines of JSON, and as tables."""

import json
import platform
from collections import defaultdict
from datetime import date

import numpy as np

COLUMNS = ("knn", "probe", "nmi", "ari", "auc", "output_std", "rank")
HEADER = ("20-nn", "probe", "NMI", "ARI", "AUC", "output_std", "eff. rank")
FORMATS = {"output_std": ".4f", "rank": ".1f"}


class Results:
    """Lines of JSON, one a measurement: what an interrupted run goes on from."""

    def __init__(self, path):
        self.path = path

    def read(self):
        """Return all measurements."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def have(self, key):
        """Return whether a measurement of this key is complete."""
        return any(
            key.items() <= entry.items() and "found" in entry for entry in self.read()
        )

    def add(self, entry):
        """Keep a measurement."""
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def add_features(self, key, evaluation, features):
        """Measure and keep features by name."""
        for name, values in features.items():
            found = evaluation.of(values)
            self.add({**key, "features": name, "found": found})


def machine():
    """Return what ran, in words."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, {torch.__version__}"
    )


def write_tables(path, entries, command, where):
    """Write all measurements as tables of Markdown.

    Parameters
    ----------
    path : pathlib.Path
    entries : list of dict
        As from `Results.read`.
    command, where : str
        That made them, and on which machine.
    """
    lines = [f"`{command}`, {where}, {date.today()}.", ""]
    groups = defaultdict(list)
    for entry in entries:
        groups[entry["set"], entry["mode"], entry["dog"]].append(entry)
    for (kind, mode, dog), group in groups.items():
        lines += [f"### {kind}, {mode}, --dog {dog}", ""]
        lines += _candidate_lines(group) + _feature_lines(group)
    path.write_text("\n".join(lines))


def _candidate_lines(group):
    found = next(entry["candidates"] for entry in group if "candidates" in entry)
    classes = sorted(found["recall 6"])
    rows = [["within", *classes]]
    for radius in (6, 10):
        recall = found[f"recall {radius}"]
        rows.append([f"{radius} voxels", *(f"{recall[name]:.2f}" for name in classes)])
    ratio = found["candidates"] / found["particles"]
    text = (
        f"{found['particles']} particles, {found['candidates']} candidates "
        f"({ratio:.2f} a particle), precision {found['precision']:.2f}; "
        f"{found['labeled']} labeled, chance {found['chance']:.2f}. Recall:"
    )
    return [text, "", *_table(rows), ""]


def _feature_lines(group):
    by_source = defaultdict(list)
    for entry in group:
        if "found" in entry:
            epochs = f", {entry['epochs']} epochs" if "epochs" in entry else ""
            by_source[f"{entry['source']}{epochs}: {entry['features']}"].append(entry)
    rows = [["features", "seeds", *HEADER, "20-nn of the ceiling's"]]
    ceiling = [e["found"]["knn"] for e in by_source.get("ceiling: classes", [])]
    for name, entries in by_source.items():
        cells = [_mean_and_spread(entries, column) for column in COLUMNS]
        share = "-"
        if ceiling:
            own = np.mean([entry["found"]["knn"] for entry in entries])
            share = f"{own / np.mean(ceiling):.2f}"
        rows.append([name, str(len({e["seed"] for e in entries})), *cells, share])
    return [*_table(rows), ""]


def _mean_and_spread(entries, column):
    values = [e["found"][column] for e in entries if column in e["found"]]
    if not values:
        return "-"
    digits = FORMATS.get(column, ".3f")
    spread = f" ± {np.std(values):{digits}}" if len(values) > 1 else ""
    return f"{np.mean(values):{digits}}{spread}"


def _table(rows):
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body]
