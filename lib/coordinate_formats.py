"""Picked positions in the files that other programs read.

Positions are (x, y, z) in voxels of the tomogram, counted from the centre of its
first voxel. What each program expects instead is said where it is written.
"""

import re

import numpy as np

from lib.artifacts import whole_file
from lib.errors import OptionError

FORMAT_BY_ENDING = {".star": "star", ".csv": "csv", ".ndjson": "ndjson"}
HEADER = ("image_name", "x_coord", "y_coord", "z_coord")
ONE_TOMOGRAM_A_FILE = ("imod", "ndjson")


def choose_format(path, wanted=None):
    """Return the format asked for, else that of the ending, else txt."""
    return wanted or FORMAT_BY_ENDING.get(path.suffix.lower(), "txt")


def write_coordinates(path, picks, *, kind, voxel_size=None, size=None, binning=1.0):
    """Write picked positions.

    Parameters
    ----------
    path : Path
        imod and ndjson name no tomogram within: of several tomograms each gets a
        file of its own, with its name before the ending.
    picks : lib.coordinates.Picks
        z not halved.
    kind : {"txt", "csv", "star", "star5", "imod", "ndjson"}
    voxel_size : float, optional
        Of the tomogram [A]; what the run knows by default.
    size : sequence of int, length 3, optional
        (x, y, z) of the tomograms [voxels]; what the run knows by default.
    binning : float
        Voxel of the tomogram over pixel of the tilt series.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OptionError
        When the format needs what neither the run nor the user says.
    """
    if not (np.isfinite(binning) and binning > 0):
        raise OptionError(f"--bin {binning}: must be above 0")
    if kind in ONE_TOMOGRAM_A_FILE:
        return _write_each(path, picks, kind, voxel_size)
    if kind == "star":
        text = relion4_star(picks, binning)
    elif kind == "star5":
        scale = voxel_sizes(picks, voxel_size, kind)
        text = relion5_star(picks, scale, tomogram_sizes(picks, size), binning)
    else:
        text = table_text(picks, "," if kind == "csv" else "\t")
    _write(path, text)
    return [path]


def _write(path, text):
    with whole_file(path, "w") as stream:
        stream.write(text)


def _write_each(path, picks, kind, voxel_size):
    names = list(dict.fromkeys(picks.name.tolist()))
    paths = [path]
    if len(names) > 1:
        safe = [re.sub(r"[^\w.+-]", "_", name) for name in names]
        paths = [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in safe]
    if len(set(paths)) != len(names):
        raise OptionError(
            f"--format {kind}: two tomograms would share a file "
            f"({', '.join(names)}); convert them apart"
        )
    scale = voxel_sizes(picks, voxel_size, kind) if kind == "ndjson" else None
    texts = []
    for name in names:
        rows = picks.name == name
        if kind == "imod":
            texts.append(imod_text(picks.coord[rows]))
        else:
            texts.append(portal_ndjson(picks.coord[rows] * scale[rows, None]))
    for place, text in zip(paths, texts, strict=True):
        _write(place, text)
    return paths


def voxel_sizes(picks, given, kind):
    """Return the voxel size [A] of each pick, shape (N,)."""
    if given is not None:
        if not (np.isfinite(given) and given > 0):
            raise OptionError(f"--voxel_size {given}: must be above 0")
        return np.full(len(picks), float(given))
    known = {
        name: picks.tomograms.get(name, {}).get("voxel_size")
        for name in dict.fromkeys(picks.name.tolist())
    }
    if unknown := [name for name, size in known.items() if not size]:
        raise OptionError(
            f"--format {kind} needs the voxel size, and the run does not know it for "
            f"{_some(unknown)}; give --voxel_size in Angstrom"
        )
    return np.array([known[name] for name in picks.name.tolist()], dtype=float)


def tomogram_sizes(picks, given):
    """Return (x, y, z) [voxels] of the tomogram of each pick, shape (N, 3)."""
    if given is not None:
        return np.tile(np.asarray(given, dtype=float), (len(picks), 1))
    known = {
        name: picks.tomograms.get(name, {}).get("shape")
        for name in dict.fromkeys(picks.name.tolist())
    }
    if unknown := [name for name, shape in known.items() if not shape]:
        raise OptionError(
            "--format star5 needs the size of the tomogram, and the run does not know "
            f"it for {_some(unknown)}; give --tomo_size x,y,z in voxels"
        )
    return np.array([known[n][::-1] for n in picks.name.tolist()], dtype=float)


def _some(names):
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def parse_size(text):
    """Return (x, y, z) of ``--tomo_size``, or None when it is not given."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})", text.replace(" ", ""))
    if not found or "0" in found.groups():
        raise OptionError(f"--tomo_size {text}: expected x,y,z such as 960,928,300")
    return tuple(map(int, found.groups()))


def number(value):
    """Return a number as text: whole ones without a point, others to a millionth."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def table_text(picks, separator):
    """Return the table that the refinement module reads, or the same as CSV."""
    if separator == "\t" and any(set(name) & set("\t\r\n") for name in picks.name):
        raise OptionError(
            "a tomogram's name holds a tab or line break, which --format txt cannot "
            "hold; use --format csv"
        )
    lines = [separator.join(HEADER)]
    for name, position in zip(picks.name.tolist(), picks.coord.tolist(), strict=True):
        if separator == "," and set(name) & set(',"\n'):
            name = '"' + name.replace('"', '""') + '"'
        lines.append(separator.join([name, *map(number, position)]))
    return "\n".join(lines) + "\n"


def relion4_star(picks, binning):
    """Return a STAR file of RELION 4: pixels of the unbinned tilt series."""
    columns = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
    return _star(
        picks.name,
        columns,
        picks.coord * binning,
        f"Positions in pixels of the unbinned tilt series: voxel x {number(binning)}.",
    )


def relion5_star(picks, voxel_size, size, binning):
    """Return a STAR file of RELION 5: Angstrom from the centre of the tomogram.

    The centre is size / 2, as in RELION's C++ programs; its Python picker takes
    size / 2 - 1. The unbinned tomogram is `binning` times as large with voxels as
    many times smaller, so that the factor cancels.

    Parameters
    ----------
    picks : lib.coordinates.Picks
    voxel_size : ndarray, shape (N,)
        Of the tomogram of each pick [A].
    size : ndarray, shape (N, 3)
        (x, y, z) of that tomogram [voxels].
    binning : float

    Returns
    -------
    str
    """
    unbinned = picks.coord * binning - size * binning / 2
    columns = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
    return _star(
        picks.name,
        columns,
        unbinned * (voxel_size / binning)[:, None],
        "Positions in Angstrom from the centre of the tomogram, which is size / 2 as "
        "in RELION's C++ programs (its Python picker: size / 2 - 1).",
    )


def _star(names, columns, positions, comment):
    import pandas as pd
    import starfile

    frame = pd.DataFrame({"rlnTomoName": names})
    for axis, column in enumerate(columns):
        frame[column] = positions[:, axis].astype(float)
    return f"# {comment}\n{starfile.to_string({'particles': frame})}"


def imod_text(positions):
    """Return points for point2model: voxel centres lie at +0.5 in x and y there."""
    shifted = positions + np.array([0.5, 0.5, 0])
    return "".join(" ".join(map(number, row)) + "\n" for row in shifted.tolist())


def portal_ndjson(positions):
    """Return points [A] as the CryoET data portal stores them, one a line."""
    return "".join(
        '{"type": "point", "location": '
        f'{{"x": {number(x)}, "y": {number(y)}, "z": {number(z)}}}}}\n'
        for x, y, z in positions.tolist()
    )
