"""Columns of what is measured of each candidate, in tables and exports.

They are further columns of ``all_output_info.npz``, ``interactive_info_parquet.gzip``
and exports. Tables of earlier versions and of other programs have none.
"""

import numpy as np

# By the name of the column: what it is, as the page says.
MEASURES = {
    "mask_distance": "distance to mask [voxels], negative inside",
    "neighbors": "candidates within three particle diameters",
    "density": "mean density [standard deviations]",
    "response": "response of the search",
}

# What the page colors and filters by: the measures, and what came with a candidate.
SHOWN = {**MEASURES, "given_score": "score of the coordinates that were given"}


def shown_numbers(table):
    """Return the columns of `SHOWN` that a table has, by name."""
    given = getattr(table, "given_score", None)
    return table.measures if given is None else {**table.measures, "given_score": given}


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
    for name in MEASURES:
        if name in columns:
            values = np.asarray(columns[name])
            if values.ndim == 1 and values.dtype.kind in "iuf":
                found[name] = values.astype(np.float32)
    return found


def measures_of(table):
    """Return the measures (N,) in a pyarrow table, by name."""
    there = [name for name in MEASURES if name in table.column_names]
    return read_measures({name: table[name].to_numpy() for name in there})


def pick_measures(measures, rows):
    """Return the measures of some rows."""
    return {name: values[rows] for name, values in measures.items()}


def join_measures(parts):
    """Return the measures that all parts have, one part after the other."""
    names = [name for name in MEASURES if parts and all(name in p for p in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
