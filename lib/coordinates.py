"""Picked candidates from any number of exports, as one set without repetition."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lib.artifacts import (
    parse_coordinates,
    read_integers,
    read_parquet,
    read_provenance,
    require_columns,
)
from lib.errors import ArtifactError, OptionError


@dataclass(frozen=True)
class Picks:
    """Candidates that were picked.

    Attributes
    ----------
    name : ndarray of str, shape (N,)
        Tomogram of each.
    coord : ndarray of int or float, shape (N, 3)
        (x, y, z) [voxels of the tomogram as read].
    label : ndarray of int, shape (N,), or None
        Over-cluster of each; None when one of the files has none.
    tomograms : dict
        By name, what the run knew: ``shape`` (Z, Y, X), ``voxel_size`` [A] and
        ``order`` of the axes in its file.
    compressed : bool or None
        Whether z is halved (``--compress``); None when no file says.
    """

    name: np.ndarray
    coord: np.ndarray
    label: np.ndarray | None = None
    tomograms: dict = field(default_factory=dict)
    compressed: bool | None = None

    def __len__(self):
        return len(self.name)

    def only(self, rows):
        """Return the picks at `rows` (indices or mask)."""
        label = None if self.label is None else self.label[rows]
        return replace(self, name=self.name[rows], coord=self.coord[rows], label=label)


def find_exports(places):
    """Return the parquet files named, and those in the folders named.

    Parameters
    ----------
    places : list of path-like

    Returns
    -------
    list of Path
        Each once.

    Raises
    ------
    ArtifactError
        When a place does not exist, or a folder holds no ``*.parquet``.
    """
    files = []
    for place in map(Path, places):
        if place.is_dir():
            files += _exports_in(place)
        elif place.is_file():
            files.append(place)
        else:
            raise ArtifactError(
                f"{place} does not exist; name an export of the interactive session "
                "(exports/*.parquet), their folder, or interactive_info_parquet.gzip"
            )
    return list(dict.fromkeys(path.resolve() for path in files))


def _exports_in(folder):
    found = sorted(path for path in folder.glob("*.parquet") if path.is_file())
    if not found:
        below = folder / "exports"
        hint = f"; did you mean {below}?" if below.is_dir() else ""
        raise ArtifactError(
            f"{folder} holds no *.parquet; export from the interactive session first, "
            f"or name interactive_info_parquet.gzip and --labels{hint}"
        )
    return found


def read_picks(paths):
    """Read exports, of the session or of a peer's, into one set.

    Parameters
    ----------
    paths : list of Path
        At least one.

    Returns
    -------
    Picks
        In the order of the files; repetitions are still in.

    Raises
    ------
    ArtifactError
        When a file is unreadable or lacks ``name`` or ``coord``, or two files know
        different things of one tomogram.
    """
    parts = [_read_one(path) for path in paths]
    known, tomograms = {}, {}
    for path, part in zip(paths, parts, strict=True):
        for name, facts in part.tomograms.items():
            other = tomograms.setdefault(name, facts)
            if other != facts:
                differing = "; ".join(
                    f"{key} {facts.get(key)} and {other.get(key)}"
                    for key in sorted(facts.keys() | other.keys())
                    if facts.get(key) != other.get(key)
                )
                raise ArtifactError(
                    f"{path} and {known[name]} are of two runs that read {name} "
                    f"differently ({differing}); convert them apart"
                )
            known.setdefault(name, path)
    said = {part.compressed for part in parts}
    if said >= {True, False}:
        raise ArtifactError(
            "some of the files were read with --compress (z halved) and some without; "
            "convert them apart"
        )
    labelled = all(part.label is not None for part in parts)
    return Picks(
        name=np.concatenate([part.name for part in parts]),
        coord=np.concatenate([part.coord for part in parts]),
        label=np.concatenate([part.label for part in parts]) if labelled else None,
        tomograms=tomograms,
        compressed=next((value for value in said if value is not None), None),
    )


def _read_one(path):
    table = read_parquet(path, made_by="the interactive session")
    require_columns(path, table.column_names, ("name", "coord"))
    known = read_provenance(table)
    facts = known.get("tomograms", {})
    options = known.get("options", {})
    labelled = "label" in table.column_names
    return Picks(
        name=np.array(table["name"].to_pylist(), dtype=str),
        coord=parse_coordinates(path, table["coord"].to_pylist()),
        label=read_integers(path, table, "label") if labelled else None,
        tomograms={
            name: {key: found.get(key) for key in ("shape", "voxel_size", "order")}
            for name, found in facts.items()
        },
        compressed=bool(options["compress"]) if "compress" in options else None,
    )


def parse_labels(text, option):
    """Return the set of clusters in such as ``3,7-9``.

    Parameters
    ----------
    text : str
    option : str
        Named in the refusal.

    Returns
    -------
    set of int
    """
    labels = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        first = int(found.group(1)) if found else 0
        last = int(found.group(2) or first) if found else -1
        if last < first or last - first > 100_000:
            raise OptionError(
                f"{option} {text}: {part.strip()!r} is neither a cluster nor a rising "
                "range of them; expected such as 3,7-9"
            )
        labels.update(range(first, last + 1))
    return labels


def select_labels(picks, *, labels=None, exclude=None):
    """Keep the picks of some clusters.

    Parameters
    ----------
    picks : Picks
    labels : str, optional
        Clusters to keep, such as ``3,7-9``; all by default.
    exclude : str, optional
        Clusters to leave out.

    Returns
    -------
    Picks

    Raises
    ------
    OptionError
        When a cluster is not there, or nothing remains.
    """
    if labels is None and exclude is None:
        return picks
    if picks.label is None:
        raise ArtifactError("the picks hold no label, so --labels cannot choose")
    there = set(picks.label.tolist())
    kept = set(there)
    if labels is not None:
        kept = _present(parse_labels(labels, "--labels"), there, "--labels", labels)
    if exclude is not None:
        asked = parse_labels(exclude, "--exclude_labels")
        kept -= _present(asked, there, "--exclude_labels", exclude)
    if not kept:
        raise OptionError("--labels and --exclude_labels together leave no cluster")
    return picks.only(np.isin(picks.label, sorted(kept)))


def _present(asked, there, option, text):
    if missing := sorted(asked - there):
        raise OptionError(
            f"{option} {text}: no candidate has label {', '.join(map(str, missing))}; "
            f"labels here are {as_ranges(there)}"
        )
    return asked


def as_ranges(labels):
    """Return labels as text that `parse_labels` reads, such as ``0-5,8``."""
    runs = []
    for label in sorted(labels):
        if runs and label == runs[-1][1] + 1:
            runs[-1][1] = label
        else:
            runs.append([label, label])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def drop_repeated(picks):
    """Return the picks with each position once, where it came first."""
    seen = {}
    keys = zip(picks.name.tolist(), map(tuple, picks.coord.tolist()), strict=True)
    for row, key in enumerate(keys):
        seen.setdefault(key, row)
    return picks.only(np.fromiter(seen.values(), dtype=np.int64, count=len(seen)))


def double_z(picks):
    """Return the picks with z doubled: for tomograms read with ``--compress``."""
    return replace(picks, coord=picks.coord * np.array([1, 1, 2]))
