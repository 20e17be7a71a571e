"""Convert picked candidates to training coordinates or the files of other programs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import OptionError, run_script, warn
from opts import coordinate_options


def main():
    """Read the picks, select labels, drop duplicates, write the coordinates."""
    options = coordinate_options()

    from lib.export import formats
    from lib.export import picks as exported
    from lib.export.selection import select_labels, select_scores, select_top

    picks, files = read(options)
    picks = select_labels(picks, labels=options.labels, exclude=options.exclude_labels)
    picks = select_top(select_scores(picks, options.min_score), options.top)
    if len(picks) == 0:
        raise exported.ArtifactError(f"{files[0]} holds no picks; export again")
    single = exported.drop_repeated(picks)

    output = options.output
    if output.is_dir():
        ending = {"csv": "csv", "ndjson": "ndjson", "star": "star", "star5": "star"}
        output /= f"training_coordinates.{ending.get(options.format, 'txt')}"
    if output.resolve() in files:
        raise OptionError(f"--output {output} is an input too; name another file")
    kind = formats.choose_format(output, options.format)
    halved = is_halved(single.compressed, options.if_double, kind in formats.AS_READ)
    if kind in formats.AS_READ and options.if_double:
        single = exported.double_z(single)
    written = formats.write_coordinates(
        output,
        single,
        kind=kind,
        halved=halved,
        order=options.order,
        z_axis=options.z_axis,
        voxel_size=options.voxel_size,
        size=formats.parse_size(options.tomo_size),
        binning=options.bin,
    )
    tomograms = len(set(single.name.tolist()))
    print(
        f"{len(single):,} candidates of {tomograms} tomogram(s) from {len(files)} "
        f"file(s); {len(picks) - len(single):,} picked more than once, kept once"
    )
    if kind in formats.FOR_RELION and options.z_axis is None:
        print(
            "assumed direction of z: as written by IMOD's tilt (--order xzy, mirrored "
            "here) or by trimvol -rx (zxy, unchanged); if AreTomo wrote the tomograms "
            "with -FlipVol 1, convert again with --z_axis reversed"
        )
    for path in written:
        print(path)


def read(options):
    """Return the candidates that the options ask for, and the files they are in."""
    if options.named is not None:
        return read_class(options)
    if options.like or options.teach:
        return read_scored(options)
    return read_exports(options)


def read_scored(options):
    """Return all candidates of a table, scored by examples, and the table."""
    from dataclasses import replace

    from lib.export.picks import find_exports, read_picks
    from lib.picking.examples import score_by_examples
    from lib.session.replay import find_table

    files = find_exports([find_table(options.input)])
    yes, no = options.like or options.teach[:1], (options.teach or [])[1:]
    yes, no = find_exports(yes), find_exports(no)
    score = score_by_examples(files[0], yes, no, seed=options.seed)
    return replace(read_picks(files), score=score), files


def read_exports(options):
    """Return what was picked, and the files that it is in."""
    from lib.export.picks import find_exports, read_picks

    files = find_exports(options.input)
    return read_picks(files), files


def read_class(options):
    """Return what the page keeps of a class, as its export holds it, and the table.

    With a limit of scores, all candidates with what the class was taught, if it was.
    """
    from dataclasses import replace

    from lib.export.picks import find_exports, read_picks
    from lib.session.replay import find_table, rows_of_class, scores_of_class

    files = find_exports([find_table(options.input)])
    if options.min_score is not None or options.top is not None:
        score = scores_of_class(files[0], options.named)
        if score is not None:
            return replace(read_picks(files), score=score), files
    rows = rows_of_class(files[0], options.named)
    return read_picks(files).only(rows), files


def is_halved(compressed, doubled, as_read):
    """Return whether z counts pairs of slices, from the run and the options.

    The documented formats hold z as read, or twice that with ``--if_double``; for them,
    what the run recorded only leads to a warning.

    Parameters
    ----------
    compressed : bool or None
        Whether the run used ``--compress``; None if that is not known.
    doubled : bool
        Whether ``--if_double`` was given.
    as_read : bool
        Whether the format is one of the documented ones.
    """
    if compressed and not doubled and as_read:
        warn("the run read its tomograms with --compress: z is halved; add --if_double")
    if doubled and compressed is False:
        contradiction = (
            "--if_double doubles z, but the run did not read with --compress"
        )
        if not as_read:
            raise OptionError(f"{contradiction}; leave it out")
        warn(contradiction)
    return bool(compressed) or doubled


if __name__ == "__main__":
    run_script(main)
