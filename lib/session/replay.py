"""Classes of the explorer without a browser: which rows of a table are in one."""

import numpy as np

from lib.artifacts import ExperimentDir, InteractiveTable, TableFacts
from lib.errors import OptionError
from lib.session.export import home_of
from lib.session.journal import read_classes


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
    facts = TableFacts.of(path)
    fingerprint = facts.fingerprint
    if fingerprint is None:  # of an earlier version, or of another program
        fingerprint = InteractiveTable.load(path, finite=False).fingerprint
    classes = read_classes(
        ExperimentDir(home_of(path)).picks,
        fingerprint=fingerprint,
        rows=facts.rows,
    )
    named = classes.find(name)
    counts = classes.counts()
    if named is None or not counts[named.id]:
        there = ", ".join(
            f"{known.name} ({counts[known.id]:,} candidates)"
            for known in classes.classes.values()
        )
        raise OptionError(
            f"--class {name}: {'no such class' if named is None else 'it is empty'}; "
            f"classes of {path}: {there or 'none'}"
        )
    return np.flatnonzero(classes.of_row == named.id)
