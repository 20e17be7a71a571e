"""Picked positions in the slices, axes and directions that other programs use.

A run reads every file as (Z, Y, X), with ``--compress`` in pairs of slices. Here a
position is converted to voxels of the full tomogram, and then to the coordinates of

* the file itself, with its axes in the order they have there (IMOD);
* the file rotated, never mirrored, until its axes are (Z, Y, X): what ``trimvol -rx``
  makes of ``xzy``, and what a portal holds; a ``zxy`` file stays as it is;
* the tomogram as RELION would reconstruct it from the same tilt series.

The last two are equal for ``xzy`` of IMOD or AreTomo, and for ``zxy`` that was rotated.
They differ if a program mirrored the volume (``-FlipVol 1`` of AreTomo). In projection
that looks like the other sign of the tilt angles, so the user has to give it.
"""

import numpy as np

from lib.axis_orders import ORDERS, is_mirrored
from lib.errors import OptionError, format_names, warn
from lib.inputs.noted_files import SAME_VOXEL
from lib.run.record import TomogramRecord

# Orders whose z is known from the programs that write them: `lib.inputs.axis_order`.
KNOWN_Z = {"xzy": "reversed", "zxy": "relion"}
CENTER_OF_PAIR = 0.5  # of the slices 2 z and 2 z + 1 that --compress merged


def names_of(picks):
    """Return the tomograms of the picks, each once, in their order."""
    return list(dict.fromkeys(picks.name.tolist()))


def recorded(picks, key):
    """Return what the run recorded of each tomogram under `key`, or None, by name."""
    unknown = TomogramRecord()
    return {n: getattr(picks.tomograms.get(n, unknown), key) for n in names_of(picks)}


def ask(names, needed, option):
    """Raise an error that asks for a value that neither the run nor the user gives."""
    raise OptionError(
        f"{needed}, which is not recorded for {format_names(names, 3)}; give {option}"
    )


def _warn_of_contradiction(noted, option):
    """Warn that what the user gives, and gets, is not what the run recorded.

    Parameters
    ----------
    noted : dict of str to str
        What the run recorded instead, by name.
    option : str
        With its value.
    """
    if noted:
        name, value = next(iter(noted.items()))
        more = f" (and others of {len(noted) - 1} more)" if len(noted) > 1 else ""
        warn(f"{option} is used as given, but the run read {value} of {name}{more}")


def voxel_sizes(picks, given, kind):
    """Return the voxel size [A] of each pick, shape (N,)."""
    sizes = recorded(picks, "voxel_size")
    if given is not None:
        if not (np.isfinite(given) and given > 0):
            raise OptionError(f"--voxel_size {given}: must be above 0")
        _warn_of_contradiction(
            {
                name: f"{size:g}"
                for name, size in sizes.items()
                if size and max(size, given) > SAME_VOXEL * min(size, given)
            },
            f"--voxel_size {given:g}",
        )
        return np.full(len(picks), float(given))
    if unknown := [name for name, size in sizes.items() if not size]:
        ask(
            unknown, f"--format {kind} needs the voxel size", "--voxel_size in Angstrom"
        )
    return np.array([sizes[name] for name in picks.name.tolist()], dtype=float)


def tomogram_sizes(picks, given, needed=None):
    """Return (x, y, z) [voxels] of the tomogram of each pick, shape (N, 3).

    Parameters
    ----------
    picks : lib.export.picks.Picks
    given : sequence of int, length 3, or None
        Size of all of them; by default what the run recorded.
    needed : dict of str to str, optional
        By name, why the size is needed. It is infinite if it is neither known nor
        needed.
    """
    shapes = recorded(picks, "shape")
    if given is not None:
        _warn_of_contradiction(
            {
                name: ",".join(map(str, shape[::-1]))
                for name, shape in shapes.items()
                if shape and tuple(shape[::-1]) != tuple(given)
            },
            f"--tomo_size {','.join(map(str, given))}",
        )
        return np.tile(np.asarray(given, dtype=float), (len(picks), 1))
    needed = needed or {}
    for reason in dict.fromkeys(needed.values()):
        asked = [name for name in needed if needed[name] == reason]
        if unknown := [name for name in asked if not shapes[name]]:
            ask(unknown, reason, "--tomo_size x,y,z in voxels")
    endless = (np.inf,) * 3
    rows = [(shapes[name] or endless)[::-1] for name in picks.name.tolist()]
    return np.array(rows, dtype=float)


def file_orders(picks, given, kind):
    """Return the order of the axes in the file of each tomogram, by name.

    Parameters
    ----------
    picks : lib.export.picks.Picks
    given : str or None
        Key of `ORDERS`, for tomograms of which the run recorded none.
    kind : str
        Format, named in the error message.
    """
    orders = recorded(picks, "order")
    for name, order in orders.items():
        if order and given and order != given:
            raise OptionError(
                f"--order {given} given, but the run read {name} as {order}; leave it "
                "out, or convert exports without a recorded order separately"
            )
    orders = {name: order or given for name, order in orders.items()}
    if unknown := [name for name, order in orders.items() if order not in ORDERS]:
        needed = f"--format {kind} needs the order of the axes in the tomogram file"
        ask(unknown, needed, f"--order, one of {', '.join(ORDERS)}")
    return orders


def reversed_z(picks, orders, given, kind):
    """Return, by name, whether z of a tomogram is reversed with respect to RELION.

    Parameters
    ----------
    picks : lib.export.picks.Picks
    orders : dict of str to str
        As of `file_orders`.
    given : {"relion", "reversed"} or None
        Direction that the user gives; the default follows from the order. It does not
        for ``xyz`` and ``yxz``, nor if the angles had to be flipped: then the angle
        file has the other sign, or the tomogram is a mirror image.
    kind : str
        Format, named in the error message.
    """
    if given is not None:
        return dict.fromkeys(orders, given == "reversed")
    flipped = picks.flipped & set(orders)
    if unknown := [n for n in orders if orders[n] not in KNOWN_Z or n in flipped]:
        either = "; --flip_tilt_angles can mean either" if flipped else ""
        ask(
            unknown,
            f"--format {kind} needs the direction of z",
            "--z_axis relion if z runs as after trimvol -rx, --z_axis reversed if the "
            f"other way, as in AreTomo's files with -FlipVol 1{either}",
        )
    return {name: KNOWN_Z[order] == "reversed" for name, order in orders.items()}


def mirrored_by_reading(orders):
    """Return, by name, whether reading a file made a mirror image of it."""
    return {name: is_mirrored(order) for name, order in orders.items()}


def full_positions(picks, sizes, *, halved):
    """Return positions (N, 3) in voxels of the full tomogram.

    Parameters
    ----------
    picks : lib.export.picks.Picks
    sizes : ndarray, shape (N, 3)
        As of `tomogram_sizes`.
    halved : bool
        Whether z counts pairs of slices. The center of pair z is 2 z + 0.5; a last
        slice without a partner is 2 z.
    """
    positions = picks.coord.astype(float)
    if halved:
        first = 2 * positions[:, 2]
        alone = first == sizes[:, 2] - 1
        positions[:, 2] = first + np.where(alone, 0, CENTER_OF_PAIR)
    return positions


def require_inside(picks, positions, sizes):
    """Raise an error if positions lie outside their tomogram.

    Parameters
    ----------
    picks : lib.export.picks.Picks
    positions, sizes : ndarray, shape (N, 3)
    """
    outside = ((positions < 0) | (positions > sizes - 1)).any(axis=1)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        size, position = (
            ", ".join(f"{value:g}" for value in values)
            for values in (sizes[row], positions[row])
        )
        raise OptionError(
            f"{outside.sum()} of {len(outside)} picks lie outside their tomogram, such "
            f"as {position} in {picks.name[row]} of x, y, z = {size}; check its size "
            "(--tomo_size), and whether it was read with --compress (--if_double)"
        )


def mirror_z(picks, positions, sizes, mirrored):
    """Return positions counted from the other end of z in the `mirrored` tomograms.

    The center of the first voxel becomes that of the last: depth - 1 - z.
    """
    rows = np.array([mirrored[name] for name in picks.name.tolist()], dtype=bool)
    turned = positions.copy()
    turned[rows, 2] = sizes[rows, 2] - 1 - positions[rows, 2]
    return turned


def in_file_axes(picks, positions, orders):
    """Return positions (N, 3) along x, y, z of the files, fastest axis first."""
    placed = np.empty_like(positions)
    for name, order in orders.items():
        rows = picks.name == name
        # ORDERS leads from the axes of the file, slowest first, to (Z, Y, X).
        placed[np.ix_(rows, 2 - np.array(ORDERS[order]))] = positions[rows][:, ::-1]
    return placed
