"""What can be used in an image list, but was probably not meant."""

from lib.errors import warn
from lib.inputs.noted_files import SAME_VOXEL
from lib.inputs.tomogram import inspect_mrc

WIDE = 2000  # voxels: exploration-module.md advises binning below this
FINEST, COARSEST = 0.5, 100.0  # voxels that a tomogram can have [Angstrom]
UNBINNED = 3.0  # below it, no binning was at work [Angstrom], ...
FIELD = 2000.0  # ... and an image is wider than this: detectors have 4,000 pixels


def warn_of_list(path, rows, *, voxel_size=None):
    """Warn of tomograms that repeat, have odd voxel sizes, or are too fine.

    Parameters
    ----------
    path : pathlib.Path
        Image list, for the message.
    rows : list of lib.inputs.image_list.ImageRow
        Of which every file can be read.
    voxel_size : float, optional
        As the user says, for all of them; headers are not compared then [Angstrom].
    """
    _warn_of_repeats(path, rows)
    infos = {row.name: inspect_mrc(row.rec_path) for row in rows}
    if voxel_size is None:
        sizes = {name: info.voxel_size for name, info in infos.items()}
        _warn_of_voxel_sizes(path, sizes)
        _warn_of_impossible(path, infos)
        _warn_of_tilt_images(path, rows, sizes)
    _warn_of_wide(path, {n: max(i.shape) for n, i in infos.items()})


def _warn_of_repeats(path, rows):
    seen = {}
    for row in rows:
        other = seen.setdefault(row.rec_path.resolve(), row.name)
        if other != row.name:
            warn(f"{path}: {other} and {row.name} are the same file, {row.rec_path}")


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
        if info.voxel_size is not None and (fault := _fault_of_size(info)):
            faults.setdefault(fault, []).append(name)
    for fault, names in faults.items():
        warn(
            f"{path}: {fault}, in {_some(names)}; maps and exports in Angstrom will be "
            "wrong by that: give the true one with --voxel_size, or correct the headers"
        )


def _fault_of_size(info):
    """Return what is odd about the voxel size of a tomogram, or None."""
    size = info.voxel_size
    told = f"voxels of {size:g} Angstrom by the header"
    if size == 1:
        return f"{told}, which programs write that do not know better"
    if not FINEST <= size <= COARSEST:
        return f"{told}, which no tomogram has (nm? pm?)"
    field = size * max(info.shape)
    if size < UNBINNED and FIELD / 20 < field < FIELD:
        return (
            f"{told}, which makes {max(info.shape)} voxels {field:.0f} Angstrom wide, "
            f"less than any image: is it {10 * size:g} Angstrom, written in nm?"
        )
    return None


def _warn_of_tilt_images(path, rows, sizes):
    """Warn of tomograms whose tilt images, as many pixels wide, say another size."""
    differing = []
    for row in rows:
        tilt_path = getattr(row, "tilt_path", None)
        if tilt_path is None or sizes[row.name] is None:
            continue
        pixel = inspect_mrc(tilt_path).voxel_size
        if pixel is not None and not (
            1 / SAME_VOXEL <= pixel / sizes[row.name] <= SAME_VOXEL
        ):
            differing.append((row.name, sizes[row.name], pixel))
    if differing:
        name, voxel, pixel = differing[0]
        more = f" (and so in {len(differing) - 1} more)" if len(differing) > 1 else ""
        warn(
            f"{path}: voxels of {name} are of {voxel:g} Angstrom by its header, pixels "
            f"of its tilt images of {pixel:g}{more}, though both are as many pixels "
            f"wide: one of them is wrong; give --voxel_size {pixel:g} if the images "
            f"are right, --voxel_size {voxel:g} if the tomogram is"
        )


def _some(names, at_most=5):
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return f"{', '.join(names[:at_most])}{more}"


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
