"""The tomograms of a run: read, and held against those that it was trained on."""

from lib.artifacts.folder_list import find_list_or_folder
from lib.errors import OptionError, TrainingError, format_names, warn
from lib.inputs.companions import HALVES, MASK, VIEW, check_companions
from lib.inputs.image_list import read_image_list
from lib.inputs.mrc import DEFAULT_SIZE
from lib.inputs.noted_files import (
    is_noted_file,
    name_other_files,
    warn_of_other_voxels,
)
from lib.system.ranks import find_launch
from lib.training.run_notes import tomograms_of


def check_same_data(record, path, store, *, quiet=False):
    """Reject other tomograms than those of the run that is resumed.

    Parameters
    ----------
    record : lib.run.record.RunRecord
        Of the checkpoint.
    path : path-like
        Named in messages.
    store : lib.patches.store.PatchStore
        To train on.
    quiet : bool
        Say nothing of what is no error.

    Raises
    ------
    TrainingError
        When the tomograms differ in name or size. Another number of candidates is a
        warning: a GPU and a CPU may disagree on one in a thousand. So are other
        voxel sizes; other places and times of the files are noted.
    """
    if record.tomograms is None:  # an earlier version's
        return
    now = tomograms_of(store)
    _require_same(record, path, now)
    if quiet:
        return
    warn_of_voxels(record, now)
    tell_of_other_files(record, now)
    if len(store) != (record.n_candidates or len(store)):
        warn(
            f"{path} was trained on {record.n_candidates:,} candidates, now there are "
            f"{len(store):,}: a tomogram has changed, or another device searched"
        )


def check_same_list(record, path, tomograms):
    """Reject a list without the tomograms of the resumed run, before they are prepared.

    Parameters
    ----------
    record, path
        As of `check_same_data`, which also knows which tomograms have candidates.
    tomograms : list of Tomogram
        As the list gives them.
    """
    if record.tomograms is None:
        return
    now = {one.name: one for one in tomograms}
    if set(now) >= set(record.tomograms):
        now = {name: one for name, one in now.items() if name in record.tomograms}
    _require_same(record, path, now)


def _require_same(record, path, now):
    """Raise if tomograms differ from those of a run in name, sequence or size."""
    if list(now) != list(record.tomograms):
        if set(now) == set(record.tomograms):
            raise TrainingError(
                f"{path} was trained on the tomograms of this image list in another "
                f"sequence, {format_names(list(record.tomograms), 3)}: sort its lines "
                "like that"
            )
        raise TrainingError(
            f"{path} was trained on {_listed(record.tomograms)}, and the image list "
            f"now gives {_listed(now)}; resume with the list of that run, or start "
            "another one with --exp_id and --load_model"
        )
    for name, tomogram in now.items():
        then = record.tomogram(name).shape or tomogram.shape
        if then != tomogram.shape:
            raise TrainingError(
                f"{path} was trained on a tomogram {name} of {_as_size(then)} voxels; "
                f"{tomogram.rec_path} has {_as_size(tomogram.shape)}: resume with the "
                "files of that run, or start another one with --exp_id and --load_model"
            )


def tell_of_other_files(record, tomograms):
    """Say which tomograms have the name of one of a run's, but are other files.

    Parameters
    ----------
    record, tomograms
        As of `warn_of_voxels`.
    """
    noted = record.tomograms or {}
    paths = {name: one.rec_path for name, one in tomograms.items() if name in noted}
    if line := name_other_files(noted, paths):
        print(line)


def warn_of_header_voxels(record, tomograms):
    """Warn of new tomograms whose headers contradict the voxel size given in training.

    That is taken for them, too. Files of the run itself are not compared: it was given
    because of their headers.

    Parameters
    ----------
    record : lib.run.record.RunRecord
    tomograms : mapping of str to Tomogram
    """
    sizes = {
        name: found.info.voxel_size
        for name, found in tomograms.items()
        if found.info.voxel_size != DEFAULT_SIZE
        and not is_noted_file(record.tomogram(name), found.rec_path)
    }
    given = record.options.voxel_size
    warn_of_other_voxels([given], sizes, then=f"by --voxel_size {given:g} in training")


def warn_of_voxels(record, tomograms):
    """Warn of tomograms with other voxels than those a checkpoint was trained on.

    Parameters
    ----------
    record : lib.run.record.RunRecord
        Of the training.
    tomograms : mapping of str to TomogramRecord or Tomogram
        Those at hand, by name.
    """
    sizes = {name: found.voxel_size for name, found in tomograms.items()}
    trained = [known.voxel_size for known in (record.tomograms or {}).values()]
    warn_of_other_voxels(trained, sizes, then="in training")


def _as_size(shape):
    return " x ".join(str(length) for length in reversed(shape))


def _listed(names):
    return f"{len(names)} tomograms ({format_names(list(names), 3)})"


def read_run_list(
    img_txt,
    project,
    written,
    patching,
    *,
    order_is_given,
    voxel_size=None,
    keep=False,
    halves=False,
):
    """Read the image list of a run, or make that of a folder.

    Parameters
    ----------
    img_txt : path-like
        Image list, or folder of tomograms.
    project : Path
        Folder that relative paths start from.
    written : Path
        Where the list of a folder is written.
    patching : lib.patches.options.PatchOptions
    order_is_given : bool
        See `lib.inputs.axis_order.resolve_order`.
    voxel_size : float, optional
        Of all tomograms [Angstrom].
    keep : bool
        Use the list that was written before, if there is one.
    halves : bool
        Whether the halves of every tomogram are needed.

    Returns
    -------
    path : path-like
        Of the list.
    tomograms : list of lib.inputs.tomogram.Tomogram

    Raises
    ------
    OptionError
        If halves are asked for in a mode that takes tilt series.
    InputError
        If the list lacks what the options ask for.
    """
    if patching.halves and patching.needs_tilts:
        raise OptionError(
            f"--halves is for simsiam3d; {patching.mode} can pair even with odd tilt "
            "images: leave it out"
        )
    path = find_list_or_folder(
        img_txt,
        project,
        written,
        needs_tilts=patching.needs_tilts,
        keep=keep,
        quiet=find_launch().rank > 0,
    )
    tomograms = read_image_list(
        path,
        project=project,
        needs_tilts=patching.needs_tilts,
        order=patching.order,
        order_is_given=order_is_given,
        voxel_size=voxel_size,
        optional=(*MASK, *VIEW, *(HALVES if patching.halves else ())),
    )
    check_companions(
        tomograms, halves=halves, by_mask=patching.needs_mask, in_view=patching.in_view
    )
    return path, tomograms
