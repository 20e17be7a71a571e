"""Which candidates remain: by masks, by what the user excludes; and a list without."""

from dataclasses import replace

from lib.artifacts.measures import pick_measures
from lib.candidates.dog import margins
from lib.errors import InputError, format_shape, warn
from lib.patches.measures import chosen_by_mask, distance_to_mask

NARROW = 0.1  # of a section, in which a tomogram may hold nothing by chance


def choose_by_mask(entry, tomogram, options):
    """Return candidates with their distance to a mask, those that are asked for.

    Parameters
    ----------
    entry : lib.patches.entries.Entry
    tomogram : lib.inputs.tomogram.Tomogram
    options : lib.patches.options.PatchOptions

    Returns
    -------
    lib.patches.entries.Entry
        The same where the tomogram has no mask.
    """
    distance = distance_to_mask(tomogram, entry.coords, compress=options.compress)
    if distance is None:
        return entry
    kept = chosen_by_mask(distance, options)
    measures = pick_measures({**entry.measures, "mask_distance": distance}, kept)
    return replace(entry, coords=entry.coords[kept], measures=measures)


def without_excluded(entry, chosen):
    """Return candidates without those near positions that the user excludes."""
    name = entry.metadata.name
    if not len(chosen.excluded.get(name, ())):
        return entry
    kept = chosen.keeps(name, entry.coords)
    metadata = replace(entry.metadata, excluded=int((~kept).sum()))
    measures = pick_measures(entry.measures, kept)
    return replace(
        entry, coords=entry.coords[kept], measures=measures, metadata=metadata
    )


def chosen_entries(entries, tomograms, options, chosen, *, quiet=False):
    """Return the candidates that masks and the user leave, see `prepare_candidates`."""
    by_name = {tomogram.name: tomogram for tomogram in tomograms}
    if options.needs_mask:
        entries = [
            choose_by_mask(entry, by_name[entry.metadata.name], options)
            for entry in entries
        ]
    entries = [without_excluded(entry, chosen) for entry in entries]
    return not_empty(entries, options, chosen, quiet=quiet)


def not_empty(entries, options, chosen, *, quiet=False):
    """Return the entries with candidates; reject a list without, name those without.

    What the coordinates of the user left out is told of all, unless `quiet`.
    """
    empty = [entry.metadata.name for entry in entries if not len(entry.coords)]
    if len(empty) == len(entries):
        raise InputError(_why_empty(entries, options, chosen))
    if not quiet:
        _tell_left_out(entries, chosen)
        if empty:
            warn(f"no candidates in {', '.join(empty)}; left out")
    return [entry for entry in entries if len(entry.coords)]


def _tell_left_out(entries, chosen):
    if chosen.excluded:
        excluded = sum(entry.metadata.excluded or 0 for entry in entries)
        print(
            f"{excluded:,} candidates left out: within {chosen.distance:g} voxels of a "
            "position of --exclude_coords"
        )
    near_edge = sum(entry.metadata.left_out or 0 for entry in entries)
    if chosen.is_given and near_edge:
        print(f"{near_edge:,} positions of --coords left out: too near an edge")


def _why_empty(entries, options, chosen):
    if options.needs_mask:
        return (
            "no candidates where the masks want them: look at mask_path and rec_path "
            "together, give another --mask_side or a larger --mask_distance, or lower "
            "--dog_std_multiplier"
        )
    if any(entry.metadata.excluded for entry in entries):
        return (
            "no candidate remains: all lie near positions of --exclude_coords, or too "
            "near the border of their tomogram; lower --exclude_distance "
            f"({chosen.distance:g})"
        )
    if chosen.is_given:
        return (
            "none of the positions of --coords has a whole patch: all lie too near the "
            "border of their tomogram, or of its tilt images; give a smaller --bbox, "
            "and check the unit of the coordinates with --dry_run"
        )
    shape = max(entry.metadata.shape[1:] for entry in entries)
    sides = margins((1, *shape), boundary=options.dog_boundary, box=options.box)[1:]
    room = [size - 2 * side for size, side in zip(shape, sides, strict=True)]
    if room[0] * room[1] < NARROW * shape[0] * shape[1]:
        return (
            f"no candidates in any tomogram: --dog_boundary {options.dog_boundary:g} "
            f"and --bbox {options.box} leave {format_shape(room[::-1])} of "
            f"{format_shape(shape[::-1])} voxels in x and y to search; give smaller "
            "ones, or check --particle_diameter and the voxel size"
        )
    return (
        "no candidates in any tomogram: check --order, and the contrast (protein "
        "must be dark, else --bright); or lower --dog_std_multiplier"
    )
