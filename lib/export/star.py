"""Picked positions as STAR files of RELION 4 and 5."""

import re

from lib.errors import OptionError

# Text that a STAR reader takes for a comment, a label, a block or a text of many lines.
NEEDS_QUOTES = r"[ #]|^[_;$\[\]]|^(data|loop|save|global|stop)_"
NOT_A_NUMBER = ("nan", "NaN", "<NA>")


def number(value):
    """Return a number as text: at most six decimals, none for integers."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def relion4_star(names, positions, binning, more=None):
    """Return a STAR file of RELION 4: pixels of the unbinned tilt series.

    Voxel i of a tomogram that RELION bins lies at pixel i x binning of the unbinned
    one; that is written. In programs that average `binning` pixels the center of the
    voxel lies (binning - 1) / 2 pixels further, less than half a voxel.

    Parameters
    ----------
    names : ndarray of str, shape (N,)
    positions : ndarray, shape (N, 3)
        (x, y, z) [voxels], z as in RELION's tomograms.
    binning : float
    more : dict of str to ndarray, optional
        Further columns, shape (N,) each.

    Returns
    -------
    str
    """
    columns = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
    return _star(
        names,
        columns,
        positions * binning,
        f"Positions in pixels of the unbinned tilt series: voxel x {number(binning)}, "
        "z as in RELION's tomograms and after trimvol -rx.",
        more,
    )


def relion5_star(names, positions, voxel_size, size, more=None):
    """Return a STAR file of RELION 5: Angstrom from the center of the tomogram.

    The center is size / 2, as in RELION's C++ programs; its Python picker takes
    size / 2 - 1. Binning scales size and positions alike, so it has
    no effect.

    Parameters
    ----------
    names : ndarray of str, shape (N,)
    positions : ndarray, shape (N, 3)
        (x, y, z) [voxels], z as in RELION's tomograms.
    voxel_size : ndarray, shape (N,)
        Of the tomogram of each pick [A].
    size : ndarray, shape (N, 3)
        (x, y, z) of that tomogram [voxels].
    more : dict of str to ndarray, optional
        Further columns, shape (N,) each.

    Returns
    -------
    str
    """
    return _star(
        names,
        tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"),
        (positions - size / 2) * voxel_size[:, None],
        "Positions in Angstrom from the center of the tomogram, which is size / 2 as "
        "in RELION's C++ programs (its Python picker: size / 2 - 1), z as in RELION's "
        "tomograms and after trimvol -rx.",
        more,
    )


def _star(names, columns, positions, comment, more):
    import pandas as pd
    import starfile

    texts = names.tolist()
    for name in dict.fromkeys(texts):
        _require_name_for_star(name)
    frame = pd.DataFrame({"rlnTomoName": texts})
    for axis, column in enumerate(columns):
        frame[column] = positions[:, axis].astype(float)
    for column, values in (more or {}).items():
        frame[column] = values
    quoted = any(re.search(NEEDS_QUOTES, name) for name in texts)
    text = starfile.to_string({"particles": frame}, quote_all_strings=quoted)
    # its first line says when: without it, the same picks give the same bytes
    return f"# {comment}\n{text[text.index('data_particles') :]}"


def _require_name_for_star(name):
    """Raise an error for a name that some readers of STAR files change.

    Within quotes RELION joins spaces and drops unprintable characters; starfile takes
    either quote for the end, and reads NaN as a missing number.
    """
    fault = None
    if not name:
        fault = "is empty"
    elif not name.isprintable():
        fault = "contains a tab, a line break or an unprintable character"
    elif set(name) & set("'\""):
        fault = "contains a quote"
    elif "  " in name or name != name.strip():
        fault = "contains repeated spaces, or one at an end"
    elif name in NOT_A_NUMBER:
        fault = "is read as a missing number"
    if fault:
        raise OptionError(
            f"the tomogram name {name!r} {fault}, which some readers of STAR files "
            "change; use --format csv, or another image_name in the image list"
        )
