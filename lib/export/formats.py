"""Picked positions in the file formats of other programs.

Positions are (x, y, z) in voxels of the tomogram, counted from the center of its first
voxel. Each writer says what its program expects instead; `lib.export.axes` has the
directions of the axes.
"""

import re

import numpy as np

from lib.artifacts import atomic_write
from lib.errors import OptionError
from lib.export import axes
from lib.export.star import number, relion4_star, relion5_star

FORMAT_BY_ENDING = {".star": "star", ".csv": "csv", ".ndjson": "ndjson"}
HEADER = ("image_name", "x_coord", "y_coord", "z_coord")
AS_READ = ("txt", "csv")  # positions as the run counted them, for MiLoPYP
FOR_RELION = ("star", "star5")
FROM_RELION = "given_rln"  # begins the names of columns that a STAR file gave


def choose_format(path, wanted=None):
    """Return the requested format, or that of the file ending, or txt."""
    return wanted or FORMAT_BY_ENDING.get(path.suffix.lower(), "txt")


def write_coordinates(
    path,
    picks,
    *,
    kind,
    halved=False,
    order=None,
    z_axis=None,
    voxel_size=None,
    size=None,
    binning=1.0,
):
    """Write picked positions.

    Parameters
    ----------
    path : Path
        imod and ndjson files do not contain the tomogram's name: with several
        tomograms, each gets its own file, with its name before the ending.
    picks : lib.export.picks.Picks
        Positions as the run counted them.
    kind : {"txt", "csv", "star", "star5", "imod", "ndjson"}
        txt and csv hold the positions as given; the others hold them in the axes of
        the program that reads them.
    halved : bool
        Whether z counts pairs of slices; not used for txt and csv.
    order : str, optional
        Axes of the tomogram files; by default what the run recorded.
    z_axis : {"relion", "reversed"}, optional
        Direction of z; see `lib.export.axes.reversed_z`.
    voxel_size : float, optional
        Of the tomogram [A]; by default what the run recorded.
    size : sequence of int, length 3, optional
        (x, y, z) of the tomograms [voxels]; by default what the run recorded.
    binning : float
        Voxel of the tomogram over pixel of the tilt series.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OptionError
        If the format needs a value that neither the run nor the user gives, or cannot
        hold the name of a tomogram.
    """
    if not (np.isfinite(binning) and binning > 0):
        raise OptionError(f"--bin {binning}: must be above 0")
    if z_axis is not None and kind not in FOR_RELION:
        raise OptionError(
            f"--z_axis {z_axis} is for --format {' and '.join(FOR_RELION)}; {kind} "
            "counts along the tomogram file itself: leave it out"
        )
    if kind in AS_READ:
        _write(path, table_text(picks, "," if kind == "csv" else "\t"))
        return [path]
    orders = axes.file_orders(picks, order, kind)
    if kind in FOR_RELION:
        against = axes.reversed_z(picks, orders, z_axis, kind)
        positions, sizes = _positions_and_sizes(picks, against, size, halved, kind)
        if kind == "star":
            text = relion4_star(picks.name, positions, binning, star_columns(picks))
        else:
            scale = axes.voxel_sizes(picks, voxel_size, kind)
            text = relion5_star(
                picks.name, positions, scale, sizes, star_columns(picks)
            )
        _write(path, text)
        return [path]
    if kind == "imod":
        positions, _ = _positions_and_sizes(
            picks, dict.fromkeys(orders, False), size, halved, kind
        )
        positions = axes.in_file_axes(picks, positions, orders)
    else:
        mirrored = axes.mirrored_by_reading(orders)
        positions, _ = _positions_and_sizes(picks, mirrored, size, halved, kind)
    return _write_each(path, picks.name, positions, kind)


def _positions_and_sizes(picks, mirrored, size, halved, kind):
    """Return positions in the full tomogram, z mirrored where needed, and the sizes."""
    needed = {
        name: f"--format {kind} counts z from its other end and needs the depth"
        for name, is_mirrored in mirrored.items()
        if is_mirrored
    }
    if kind == "star5":
        reason = "--format star5 needs the size of the tomogram"
        needed = dict.fromkeys(axes.names_of(picks), reason)
    sizes = axes.tomogram_sizes(picks, size, needed)
    positions = axes.full_positions(picks, sizes, halved=halved)
    axes.require_inside(picks, positions, sizes)
    return axes.mirror_z(picks, positions, sizes, mirrored), sizes


def _write(path, text):
    with atomic_write(path, "w") as stream:
        stream.write(text)


def _write_each(path, name, positions, kind):
    names = list(dict.fromkeys(name.tolist()))
    paths = [path]
    if len(names) > 1:
        safe = [re.sub(r"[^\w.+-]", "_", one) for one in names]
        paths = [path.with_name(f"{path.stem}_{one}{path.suffix}") for one in safe]
    if len(set(paths)) != len(names):
        raise OptionError(
            f"--format {kind}: two tomograms would share a file "
            f"({', '.join(names)}); convert them separately"
        )
    as_text = imod_text if kind == "imod" else portal_ndjson
    for file, one in zip(paths, names, strict=True):
        _write(file, as_text(positions[name == one]))
    return paths


def parse_size(text):
    """Return (x, y, z) of ``--tomo_size``, or None when it is not given."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})", text.replace(" ", ""))
    if not found or "0" in found.groups():
        raise OptionError(f"--tomo_size {text}: expected x,y,z such as 960,928,300")
    return tuple(map(int, found.groups()))


def table_text(picks, separator):
    """Return the table that the refinement module reads, or the same as CSV.

    CSV has the measures of the picks as further columns.
    """
    if separator == "\t" and any(set(name) & set("\t\r\n") for name in picks.name):
        raise OptionError(
            "a tomogram's name holds a tab or line break, which --format txt cannot "
            "hold; use --format csv"
        )
    more = further_columns(picks) if separator == "," else {}
    lines = [separator.join([*HEADER, *more])]
    rest = zip(*more.values(), strict=True) if more else [()] * len(picks)
    for name, position, further in zip(
        picks.name.tolist(), picks.coord.tolist(), rest, strict=True
    ):
        cells = [name, *map(number, position), *further]
        if separator == ",":
            cells = [_quoted(cell) for cell in cells]
        lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


def _quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n') else cell


def further_columns(picks):
    """Return scores, measures and labels as text, by column."""
    scores = {"score": picks.score, "given_score": picks.given_score}
    values = {**picks.measures, **{k: v for k, v in scores.items() if v is not None}}
    columns = {
        key: [f"{value:.6g}" if value == value else "" for value in column.tolist()]
        for key, column in values.items()
    }
    if picks.given_label is not None:
        columns["given_label"] = picks.given_label.tolist()
    return columns


def star_columns(picks):
    """Return what RELION has columns for: a score, a class that is a number, its own.

    Its own columns are those that came with coordinates from a STAR file.
    """
    columns = {}
    score = picks.given_score if picks.score is None else picks.score
    if score is not None and np.isfinite(score).all():
        columns["rlnAutopickFigureOfMerit"] = score.astype(float)
    labels = [] if picks.given_label is None else picks.given_label.tolist()
    if labels and all(re.fullmatch(r"\d{1,9}", label) for label in labels):
        columns["rlnClassNumber"] = np.array(labels, int)
    for name, values in picks.measures.items():
        if name.startswith(FROM_RELION) and np.isfinite(values).all():
            whole = (values == np.round(values)).all()
            columns[name.removeprefix("given_")] = values.astype(
                int if whole else float
            )
    return columns


def imod_text(positions):
    """Return points for point2model: voxel centers lie at +0.5 in x and y there.

    Parameters
    ----------
    positions : ndarray, shape (N, 3)
        Along x, y, z of the file [voxels].
    """
    shifted = positions + np.array([0.5, 0.5, 0])
    return "".join(" ".join(map(number, row)) + "\n" for row in shifted.tolist())


def portal_ndjson(positions):
    """Return points as the CryoET data portal stores them, one a line.

    Parameters
    ----------
    positions : ndarray, shape (N, 3)
        (x, y, z) [voxels of the portal's tomogram]; its readers multiply by the
        voxel spacing, which is not in the file.
    """
    return "".join(
        '{"type": "point", "location": '
        f'{{"x": {number(x)}, "y": {number(y)}, "z": {number(z)}}}}}\n'
        for x, y, z in positions.tolist()
    )
