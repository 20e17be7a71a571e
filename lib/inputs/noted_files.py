"""What a run records about its tomogram files, and how the present files differ."""

from datetime import datetime
from pathlib import Path

from lib.errors import user_files, warn
from lib.run.record import TomogramRecord

SAME_VOXEL = 1.01  # voxel sizes of headers are rounded


def note_file(path):
    """Return what identifies a file: ``rec_path``, its size in bytes and its time."""
    with user_files(path):
        stat = Path(path).stat()
    return {
        "rec_path": str(path),
        "file_bytes": stat.st_size,
        "file_time": stat.st_mtime_ns,
    }


def name_other_files(noted, paths):
    """Describe in one line which files differ from those that a run read.

    Parameters
    ----------
    noted : mapping of str to lib.run.record.TomogramRecord
        By tomogram.
    paths : mapping of str to path-like
        The files at hand.

    Returns
    -------
    str or None
        None when all are the same.
    """
    differences = {
        name: difference
        for name, path in paths.items()
        if (difference := _difference(noted.get(name, TomogramRecord()), path))
    }
    if not differences:
        return None
    some = "; ".join(f"{name}: {differences[name]}" for name in list(differences)[:3])
    more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
    return (
        f"note: {len(differences)} of {len(paths)} tomograms are not the files that "
        f"the run read ({some}{more})"
    )


def is_noted_file(noted, path):
    """Return whether a file certainly is the one that a run read.

    Parameters
    ----------
    noted : lib.run.record.TomogramRecord
    path : path-like
    """
    return noted.file_time is not None and not _difference(noted, path)


def _difference(noted, path):
    now, parts = note_file(path), []
    view = noted.view_path
    if view is not None and Path(view).resolve() == Path(path).resolve():
        return ""  # the copy that the run was told to look at
    then = noted.rec_path
    if then is not None and Path(then).resolve() != Path(path).resolve():
        parts.append(f"{path} instead of {then}")
    if noted.file_bytes not in (None, now["file_bytes"]):
        parts.append(f"{now['file_bytes']:,} bytes, then {noted.file_bytes:,}")
    if noted.file_time not in (None, now["file_time"]):
        times = map(_as_time, (now["file_time"], noted.file_time))
        parts.append("of {}, then of {}".format(*times))
    return ", ".join(parts)


def _as_time(nanoseconds):
    return f"{datetime.fromtimestamp(nanoseconds / 1e9):%Y-%m-%d %H:%M:%S}"


def warn_of_other_voxels(noted, sizes, *, then):
    """Warn of tomograms whose voxels are not as large as those that a run noted.

    Parameters
    ----------
    noted : iterable of float or None
        Voxel sizes of the run's tomograms [A]; None where unknown.
    sizes : mapping of str to float or None
        Of the tomograms at hand, by name [A].
    then : str
        What the run did, for the message, such as ``"in training"``.
    """
    known = [size for size in noted if size]
    if not known:
        return
    low, high = min(known), max(known)
    other = {
        name: size
        for name, size in sizes.items()
        if size and not low / SAME_VOXEL <= size <= high * SAME_VOXEL
    }
    if other:
        name = next(iter(other))
        rest = f" (and other ones in {len(other) - 1} more)" if len(other) > 1 else ""
        span = f"{low:g}" if high <= SAME_VOXEL * low else f"{low:g} to {high:g}"
        warn(
            f"voxels are of {other[name]:g} Angstrom in {name}{rest}, but were of "
            f"{span} {then}; boxes and sigmas count voxels, so that the same molecule "
            "looks different: bring the tomograms to that voxel size, or train on them"
        )
