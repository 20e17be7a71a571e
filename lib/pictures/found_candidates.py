"""What a search found: in a few lines, and drawn over the tomograms."""

from lib.pictures.candidate_picture import draw_candidates


def show_candidates(entries, tomograms, patching, experiment, own):
    """Say how many candidates there are, and draw them over their tomograms.

    Parameters
    ----------
    entries : list of lib.patches.entries.Entry
        With patches, or without.
    tomograms : list of lib.inputs.tomogram.Tomogram
    patching : lib.patches.options.PatchOptions
    experiment : lib.artifacts.ExperimentDir
        Where the pictures go.
    own : lib.coordinates.given.OwnCoordinates
    """
    count = sum(len(entry.coords) for entry in entries)
    found = f"{count:,} candidates in {len(entries)} of {len(tomograms)} tomograms"
    if entries[0].patches is None:
        left_out = "; training leaves out those whose patches leave the tilt images"
        if own.chosen.is_given:
            left_out = "; training leaves out those whose patches leave the tomogram"
            left_out += " or the tilt images" * patching.needs_tilts
        told = patching.needs_tilts or own.chosen.is_given
        print(f"{found}{left_out if told else ''}")
    else:
        left_out = sum(entry.metadata.left_out for entry in entries)
        size = sum(entry.patches.nbytes for entry in entries)
        print(
            f"{found}{f', {left_out} more too near an edge' if left_out else ''}; "
            f"{size / 1e9:.2f} GB of patches"
        )
    own.tell_excluded(entry.metadata.excluded for entry in entries)
    tell_masked([entry.metadata for entry in entries])
    by_name = {tomogram.name: tomogram for tomogram in tomograms}
    for entry in entries:
        tomogram = by_name[entry.metadata.name]
        draw_candidates(
            experiment.candidate_picture(tomogram.name),
            tomogram.shown,
            entry.coords,
            box=patching.box,
            diameter=patching.dog_diameter,
            sigmas=() if own.chosen.is_given else patching.sigmas,
            z_step=2 if patching.compress else 1,
        )
    print(f"candidates drawn in {experiment.candidate_picture('*')}")


def tell_masked(metadata):
    """Say how much gold and fill was left out, if any.

    Parameters
    ----------
    metadata : list of lib.patches.entries.EntryMetadata
    """
    beads = sum(known.gold for known in metadata)
    if beads:
        print(f"{beads} gold beads left out; --keep_gold leaves them in")
    filled = [known for known in metadata if known.fill]
    if filled:
        some = ", ".join(f"{known.fill:.0%} of {known.name}" for known in filled[:3])
        more = f" and of {len(filled) - 3} more" if len(filled) > 3 else ""
        print(f"constant, so left out as fill: {some}{more}")
