"""Classes of the explorer without a browser: which rows are in one, and scores."""

import numpy as np

from lib.artifacts import ExperimentDir, InteractiveTable, TableFooter
from lib.errors import OptionError
from lib.session.candidates import open_candidates
from lib.session.export import home_of
from lib.session.journal import read_classes
from lib.session.teaching import taught_scores


def find_table(paths):
    """Return the one table whose classes are asked for.

    Parameters
    ----------
    paths : list of Path
        A table, or the folder of a run, which has one.

    Raises
    ------
    OptionError
        If there are several, because a class belongs to one.
    """
    if len(paths) > 1:
        raise OptionError(
            "the candidates of one table are asked for: give one --input, such as "
            "exp/.../interactive_info_parquet.gzip"
        )
    (path,) = paths
    return ExperimentDir(path).interactive_table if path.is_dir() else path


def rows_of_class(path, name):
    """Return the candidates of a class, as the page exports them.

    Parameters
    ----------
    path : Path
        The table that the page was opened on.
    name : str
        Of the class.

    Returns
    -------
    ndarray of int64
        Rows of the table, ascending.

    Raises
    ------
    ArtifactError
        If nothing was named in this table.
    OptionError
        If there is no such class, or it is empty.
    """
    classes = _classes_of(path)
    named = _find(classes, name, path)
    if not classes.counts()[named.id]:
        raise OptionError(f"--class {name}: it is empty; {_listed(classes, path)}")
    return np.flatnonzero(classes.of_row == named.id)


def scores_of_class(path, name):
    """Return the probability of every candidate to be of a class that was taught.

    Parameters
    ----------
    path, name
        As in `rows_of_class`.

    Returns
    -------
    ndarray of float32, shape (N,), or None
        As the page shows it; None if the class was not taught.

    Raises
    ------
    ArtifactError
        If nothing was named in this table.
    OptionError
        If there is no such class.
    """
    classes = _classes_of(path)
    lesson = classes.lessons.get(_find(classes, name, path).id)
    if lesson is None:
        return None
    # the very columns of the page, so that not a digit differs
    return taught_scores(open_candidates(path).columns.unit, lesson)


def _classes_of(path):
    footer = TableFooter.of(path)
    fingerprint = footer.fingerprint
    if fingerprint is None:  # of an earlier version, or of another program
        fingerprint = InteractiveTable.load(path, finite=False).fingerprint
    return read_classes(
        ExperimentDir(home_of(path)).picks,
        fingerprint=fingerprint,
        rows=footer.rows,
    )


def _find(classes, name, path):
    named = classes.find(name)
    if named is None:
        raise OptionError(f"--class {name}: no such class; {_listed(classes, path)}")
    return named


def _listed(classes, path):
    counts = classes.counts()
    there = (
        f"{known.name} ({counts[known.id]:,} candidates)"
        for known in classes.classes.values()
    )
    return f"classes of {path}: {', '.join(there) or 'none'}"
