"""Selection of picks by cluster number and by score, without the page."""

import re

import numpy as np

from lib.errors import ArtifactError, OptionError


def parse_labels(text, option):
    """Return the set of clusters in such as ``3,7-9``.

    Parameters
    ----------
    text : str
    option : str
        Named in the error message.

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
                "range; give for example 3,7-9"
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
        If a cluster does not exist, or nothing remains.
    """
    if labels is None and exclude is None:
        return picks
    if picks.label is None:
        raise ArtifactError("the picks have no labels, so --labels cannot be used")
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


def select_top(picks, count):
    """Keep the `count` picks with the highest scores, the highest first; None all.

    Raises
    ------
    ArtifactError
        If the picks have no scores.
    """
    if count is None:
        return picks
    if picks.score is None:
        raise ArtifactError(
            "the picks have no scores, so --top cannot be used; give --like or --teach"
        )
    return picks.only(np.argsort(-picks.score, kind="stable")[:count])


def select_scores(picks, least):
    """Keep the picks with a score of at least `least`; None keeps all.

    Raises
    ------
    ArtifactError
        If the picks have no scores.
    OptionError
        If nothing remains.
    """
    if least is None:
        return picks
    if picks.score is None:
        raise ArtifactError(
            "the picks have no scores, so --min_score cannot be used; the exports of "
            "Find similar have them, and --like and --teach give them"
        )
    # a score of 0.8 was stored as the nearest number of 32 bits
    kept = picks.score >= np.float32(least)
    if not kept.any():
        raise OptionError(
            f"--min_score {least:g}: no candidate has that score; the highest is "
            f"{np.nanmax(picks.score):.3f}"
        )
    return picks.only(kept)
