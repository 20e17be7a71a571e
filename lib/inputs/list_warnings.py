"""What can be used in an image list, but was probably not meant."""

from lib.errors import warn
from lib.inputs.noted_files import SAME_VOXEL
from lib.inputs.tomo_io import inspect_mrc

WIDE = 2000  # voxels: exploration-module.md advises binning below this


def warn_of_list(path, rows):
    """Warn of tomograms that repeat, differ in voxel size, or are too fine.

    Parameters
    ----------
    path : pathlib.Path
        Image list, for the message.
    rows : list of lib.inputs.image_list.ImageRow
        Of which every file can be read.
    """
    _warn_of_repeats(path, rows)
    infos = {row.name: inspect_mrc(row.rec_path) for row in rows}
    _warn_of_voxel_sizes(path, {n: i.voxel_size for n, i in infos.items()})
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
