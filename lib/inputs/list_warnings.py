"""Warnings about image lists that can be used but probably contain a mistake."""

from lib.axis_orders import ORDERS
from lib.errors import format_names, warn
from lib.inputs.axis_order import is_likely
from lib.inputs.mrc import COARSEST, DEFAULT_SIZE, FINEST, PLAIN_AXES
from lib.inputs.noted_files import SAME_VOXEL

WIDE = 2000  # voxels: exploration-module.md advises binning below this
UNBINNED = 3.0  # below it, no binning was at work [Angstrom], ...
FIELD = 2000.0  # ... and an image is wider than this: detectors have 4,000 pixels


def warn_of_list(path, tomograms, *, order, order_is_given, voxel_size=None):
    """Warn of tomograms that repeat, have odd voxel sizes or axes, or are too fine.

    Parameters
    ----------
    path : pathlib.Path
        Image list, for the message.
    tomograms : list of lib.inputs.tomogram.Tomogram
    order : str
        As it was asked for.
    order_is_given : bool
        Whether the user, or an earlier run, gave it.
    voxel_size : float, optional
        As the user gives it, for all of them; headers are not compared then
        [Angstrom].
    """
    _warn_of_repeats(path, tomograms)
    if order != "auto":
        _warn_of_axes(tomograms, order, order_is_given)
    _warn_of_stated_axes(path, tomograms)
    infos = {tomogram.name: tomogram.info for tomogram in tomograms}
    if voxel_size is None:
        sizes = {tomogram.name: tomogram.voxel_size for tomogram in tomograms}
        _warn_of_voxel_sizes(path, sizes)
        _warn_of_impossible(path, infos)
        _warn_of_tilt_images(path, tomograms)
    _warn_of_wide(path, {n: max(i.shape) for n, i in infos.items()})


def _warn_of_repeats(path, tomograms):
    seen = {}
    for tomogram in tomograms:
        name, file = tomogram.name, tomogram.rec_path
        other = seen.setdefault(file.resolve(), name)
        if other != name:
            warn(f"{path}: {other} and {name} are the same file, {file}")


def _warn_of_axes(tomograms, order, order_is_given):
    """Warn of tomograms whose z is not the shortest axis."""
    deep = [one.name for one in tomograms if not is_likely(one.info.shape, order)]
    if deep:
        warn(
            f"with --order {order}, z is not the shortest axis of "
            f"{format_names(deep)}; "
            + (
                "the user or the run gave this order: look at the candidates"
                if order_is_given
                else "the tilt images have this order"
            )
        )


def _warn_of_stated_axes(path, tomograms):
    """Warn of headers that state other axes than those that are read.

    1, 2, 3 states nothing: programs write it whatever the axes are.
    """
    stated = {}
    for one in tomograms:
        axes = one.info.axes
        if sorted(axes) == [1, 2, 3] and axes != PLAIN_AXES:
            slowest_first = [axis - 1 for axis in axes[::-1]]  # x 0, y 1, z 2
            order = next(
                key
                for key, to_zyx in ORDERS.items()
                if [slowest_first[i] for i in to_zyx] == [2, 1, 0]
            )
            if order != one.order:
                stated.setdefault((order, one.order), []).append(one.name)
    for (order, read), names in stated.items():
        warn(
            f"{path}: by its header (mapc, mapr, maps) the axes of "
            f"{format_names(names)} are those of --order {order}; it is read as "
            f"{read}: look at the candidates"
        )


def _warn_of_voxel_sizes(path, sizes):
    known = {name: size for name, size in sizes.items() if size is not None}
    if not known:
        return
    small, large = min(known, key=known.get), max(known, key=known.get)
    if known[large] > SAME_VOXEL * known[small]:
        warn(
            f"{path}: voxels are of {known[small]:g} Angstrom in {small} but of "
            f"{known[large]:g} in {large}; --dog, --bbox and --dog_diameter count "
            "voxels, so that the same molecule looks different there: bring all "
            "tomograms to one voxel size, or explore them in lists of their own"
        )


def _warn_of_impossible(path, infos):
    """Warn of voxel sizes that no microscope gives, but programs write."""
    faults = {}
    for name, info in infos.items():
        if info.voxel_size is not None and (fault := fault_of_size(info)):
            faults.setdefault(fault, []).append(name)
    for fault, names in faults.items():
        warn(
            f"{path}: {fault}, in {format_names(names)}; maps and exports in Angstrom "
            "will be wrong by that factor: give the true one with --voxel_size, or "
            "correct the headers"
        )


def fault_of_size(info):
    """Return what is odd about the voxel size of a tomogram, or None.

    Parameters
    ----------
    info : lib.inputs.mrc.MrcInfo
        With a voxel size.
    """
    size = info.voxel_size
    stated = f"voxels of {size:g} Angstrom by the header"
    if size == DEFAULT_SIZE:
        return f"{stated}, which many programs write by default"
    if not FINEST <= size <= COARSEST:
        return f"{stated}, which is implausible (is it in nm or pm?)"
    field = size * max(info.shape)
    if size < UNBINNED and FIELD / 20 < field < FIELD:
        return (
            f"{stated}, which makes {max(info.shape)} voxels {field:.0f} Angstrom "
            f"wide, less than any image: is it {10 * size:g} Angstrom, written in nm?"
        )
    return None


def _warn_of_tilt_images(path, tomograms):
    """Warn of tomograms whose tilt images, equally wide, have another pixel size."""
    differing = []
    for tomogram in tomograms:
        voxel, tilt_info = tomogram.info.voxel_size, tomogram.tilt_info
        pixel = tilt_info.voxel_size if tilt_info else None
        if voxel and pixel and not 1 / SAME_VOXEL <= pixel / voxel <= SAME_VOXEL:
            differing.append((tomogram.name, voxel, pixel))
    if differing:
        name, voxel, pixel = differing[0]
        more = f" (and so in {len(differing) - 1} more)" if len(differing) > 1 else ""
        warn(
            f"{path}: voxels of {name} are of {voxel:g} Angstrom by its header, pixels "
            f"of its tilt images of {pixel:g}{more}, although both are equally "
            f"wide: one of them is wrong; give --voxel_size {pixel:g} if the images "
            f"are right, --voxel_size {voxel:g} if the tomogram is"
        )


def _warn_of_wide(path, widths):
    wide = {name: width for name, width in widths.items() if width > WIDE}
    if wide:
        name = max(wide, key=wide.get)
        more = f" ({len(wide)} tomograms are too wide)" if len(wide) > 1 else ""
        warn(
            f"{path}: {name} is {wide[name]} voxels wide{more}; candidates are meant "
            f"to be searched below {WIDE}: bin tomogram and tilt series by "
            f"{-(-wide[name] // WIDE)}, or scale --dog, --bbox and --dog_diameter to "
            "the molecules' size in voxels"
        )
