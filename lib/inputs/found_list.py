"""What was found below folders, as a table to look at and as an image list."""

import math

from lib.errors import InputError, format_names, format_shape

HEADER = "# Written from the files in {roots}"
MOST_ROWS = 40
MOST_EXAMPLES = 3
MOST_REASONS = 20


def tomograms_for(found, *, needs_tilts):
    """Return the found tomograms that a mode can use; the others are left out.

    Parameters
    ----------
    found : lib.inputs.found.FoundFiles
        Gets the reasons.
    needs_tilts : bool
        Whether the mode needs aligned tilt series.

    Returns
    -------
    list of lib.inputs.found.FoundTomogram

    Raises
    ------
    InputError
        When none is left.
    """
    if not needs_tilts:
        return found.tomograms
    usable = [one for one in found.tomograms if one.has_series]
    if usable:
        found.left_out += [
            (str(one.path), f"simsiam2d3d needs its tilt series: {one.missing}")
            for one in found.tomograms
            if not one.has_series
        ]
        return usable
    raise InputError(
        f"{_places(found)}: {_count(found.tomograms)} found, but none with an aligned "
        f"tilt series of its size:{_reasons(found.tomograms)}\n"
        "  use simsiam3d, which needs no tilt series, or write aligned series (IMOD: "
        "newstack -xform; AreTomo: -VolZ 0, binned as the tomogram) as NAME_ali.mrc "
        "with NAME.tlt"
    )


def list_text(found, tomograms):
    """Return the image list: paths absolute, columns separated by tabs.

    Tilt series come last, so that a tomogram without one has a shorter line: it can be
    used by ``simsiam3d`` alone, and ``simsiam2d3d`` refuses the list.

    Parameters
    ----------
    found : lib.inputs.found.FoundFiles
    tomograms : list of lib.inputs.found.FoundTomogram
    """
    with_halves = any(one.halves for one in tomograms)
    with_series = any(one.has_series for one in tomograms)
    columns = ["image_name", "rec_path"]
    columns += ["rec_even", "rec_odd"] * with_halves
    columns += ["tilt_path", "angle_path"] * with_series
    lines = [HEADER.format(roots=_places(found)), "\t".join(columns)]
    for one in tomograms:
        cells = [one.name, one.path]
        if with_halves:
            cells += one.halves or ("-", "-")
        if one.has_series:
            cells += [one.tilt_path, one.angle_path]
        lines.append("\t".join(_cell(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def _cell(value):
    """Return a cell, in quotes where a blank or what it begins with needs them."""
    text = str(value)
    if " " not in text and text[0] not in "#\"'":
        return text
    quote = "'" if '"' in text else '"'
    return f"{quote}{text}{quote}"


def table_of(found, tomograms):
    """Return, line by line, what was found, what is missing and what was left out.

    Parameters
    ----------
    found : lib.inputs.found.FoundFiles
    tomograms : list of lib.inputs.found.FoundTomogram
        Those of the list.

    Returns
    -------
    list of str
    """
    lines = [f"{_count(tomograms)} in {found.n_files:,} files below {_places(found)}"]
    rows = [("image_name", "by", "voxels, as stored", "A", "tomogram", "tilt series")]
    rows += [_row(one, found) for one in tomograms[:MOST_ROWS]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines += [
        "  "
        + "  ".join([c.ljust(w) for c, w in zip(row, widths, strict=False)] + [row[-1]])
        for row in rows
    ]
    if len(tomograms) > MOST_ROWS:
        lines.append(f"  and {len(tomograms) - MOST_ROWS:,} more")
    copies = [one.name for one in tomograms if one.is_copy]
    if copies:
        lines.append(f"processed copies, no others were found: {format_names(copies)}")
    renamed = [
        name
        for name in found.renamed
        if any(one.series_name == name for one in tomograms)
    ]
    if renamed:
        lines.append(
            "a folder is put before names that several tomograms have: "
            f"{format_names(renamed)}"
        )
    pairs = sum(bool(one.halves) for one in tomograms)
    if pairs:
        lines.append(f"with both halves (rec_even, rec_odd): {pairs:,}")
    alone = [one for one in tomograms if not one.has_series]
    if alone:
        lines.append(
            f"no aligned tilt series, so only for simsiam3d: {len(alone):,} of "
            f"{len(tomograms):,}" + _reasons(alone)
        )
    if found.left_out:
        lines.append(f"left out: {len(found.left_out):,} files")
        lines += [f"  {line}" for line in _grouped(found.left_out)]
    return lines


def _row(one, found):
    size = one.info.voxel_size
    return (
        one.name,
        one.program or "-",
        format_shape(one.info.shape[::-1]),
        "?" if size is None or math.isnan(size) else f"{size:.4g}",
        _short(one.path, found),
        f"{_short(one.tilt_path, found)}, {one.angle_path.name}"
        if one.has_series
        else "-",
    )


def _short(path, found):
    """Return a path from the folder that was given, where there is only one."""
    if len(found.roots) == 1 and path.is_relative_to(found.roots[0]):
        return str(path.relative_to(found.roots[0]))
    return str(path)


def _reasons(tomograms):
    return "".join(
        f"\n  {line}" for line in _grouped([(o.name, o.missing) for o in tomograms])
    )


def _grouped(noted):
    """Return one line for each reason, with a few of its files."""
    files = {}
    for path, reason in noted:
        files.setdefault(reason, []).append(path)
    lines = [
        f"{reason}: {format_names(paths, MOST_EXAMPLES)}"
        for reason, paths in files.items()
    ]
    more = len(lines) - MOST_REASONS
    return lines[:MOST_REASONS] + [f"and {more} other reasons"] * (more > 0)


def _count(tomograms):
    return f"{len(tomograms):,} tomogram{'s' * (len(tomograms) != 1)}"


def _places(found):
    return ", ".join(map(str, found.roots))
