"""Columns of what is measured of each candidate, in tables and exports.

They are further columns of ``all_output_info.npz``, ``interactive_info_parquet.gzip``
and exports. Tables of earlier versions and of other programs have none. Numbers that a
file of coordinates has of its positions travel in the same way, as ``given_<column>``.
"""

import re

import numpy as np

# By the name of the column: what it is, as the page says.
MEASURES = {
    "mask_distance": "distance to mask [voxels], negative inside",
    "neighbors": "candidates within three particle diameters",
    "density": "mean density [standard deviations]",
    "response": "response of the search",
}

# What the page colors and filters by: the measures, and what came with a candidate.
SCORE = "given_score"
GIVEN = re.compile(r"given_(?!score$|label$)[A-Za-z0-9_]{1,60}", re.ASCII)


def shown_numbers(table):
    """Return the columns of a table that `is_shown`, by name."""
    given = getattr(table, SCORE, None)
    return table.measures if given is None else {**table.measures, SCORE: given}


def is_measure(name):
    """Return whether a column is a measure, or a number that came with a candidate."""
    return name in MEASURES or bool(GIVEN.fullmatch(name))


def is_shown(name):
    """Return whether the page may color and filter by a column."""
    return name == SCORE or is_measure(name)


def title_of(name):
    """Return what the page says of a column that it shows."""
    column = name.removeprefix("given_")
    return MEASURES.get(name, f"{column} of the coordinates that were given")


def given_name(column):
    """Return the name that a further column of a file of coordinates gets, or None.

    None is for those that are measured again, and for names that no column may have.
    """
    name = re.sub(r"\W", "_", column, flags=re.ASCII).removeprefix("given_")
    return (
        f"given_{name}"
        if name not in MEASURES and is_measure(f"given_{name}")
        else None
    )


def read_measures(columns):
    """Return the measures among columns that anybody may have made.

    Parameters
    ----------
    columns : mapping of str to array-like

    Returns
    -------
    dict of str to ndarray of float32, shape (N,)
        Without those that are no list of numbers.
    """
    found = {}
    for name in filter(is_measure, columns):
        values = np.asarray(columns[name])
        if values.ndim == 1 and values.dtype.kind in "iuf":
            found[name] = values.astype(np.float32)
    return found


def measures_of(table):
    """Return the measures (N,) in a pyarrow table, by name."""
    there = filter(is_measure, table.column_names)
    return read_measures({name: table[name].to_numpy() for name in there})


def pick_measures(measures, rows):
    """Return the measures of some rows."""
    return {name: values[rows] for name, values in measures.items()}


def join_measures(parts, lengths):
    """Return the measures of several tables as one; NaN where a part has none.

    Parameters
    ----------
    parts : sequence of dict of str to ndarray, shape (N,)
    lengths : sequence of int
        Rows N of each part.

    Returns
    -------
    dict of str to ndarray of float32
    """
    there = dict.fromkeys(name for part in parts for name in part)
    names = [name for name in MEASURES if name in there]
    names += [name for name in there if name not in MEASURES]
    return {
        name: np.concatenate(
            [
                part.get(name, np.full(length, np.nan, np.float32))
                for part, length in zip(parts, lengths, strict=True)
            ]
        )
        for name in names
    }
