"""Turn picked candidates into training coordinates, or another program's file."""

from lib.errors import run_script, warn
from opts import coordinate_options


def main():
    """Read the picks, choose, drop repetitions, write."""
    options = coordinate_options()

    from lib import coordinate_formats as formats
    from lib import coordinates

    files = coordinates.find_exports(options.input)
    picks = coordinates.read_picks(files)
    picks = coordinates.select_labels(
        picks, labels=options.labels, exclude=options.exclude_labels
    )
    if len(picks) == 0:
        raise coordinates.ArtifactError(f"{files[0]} holds no picks; export again")
    single = coordinates.drop_repeated(picks)
    check_compression(picks.compressed, options.if_double)
    if options.if_double:
        single = coordinates.double_z(single)

    output = options.output
    if output.is_dir():
        ending = {"csv": "csv", "ndjson": "ndjson", "star": "star", "star5": "star"}
        output /= f"training_coordinates.{ending.get(options.format, 'txt')}"
    kind = formats.choose_format(output, options.format)
    written = formats.write_coordinates(
        output,
        single,
        kind=kind,
        voxel_size=options.voxel_size,
        size=formats.parse_size(options.tomo_size),
        binning=options.bin,
    )
    check_order(single, kind)
    tomograms = len(set(single.name.tolist()))
    print(
        f"{len(single):,} candidates of {tomograms} tomogram(s) from {len(files)} "
        f"file(s); {len(picks) - len(single):,} picked more than once, kept once"
    )
    for path in written:
        print(path)


def check_compression(compressed, doubled):
    """Warn when what the run knows of its z axis is not what was asked for."""
    if compressed and not doubled:
        warn("the run read its tomograms with --compress: z is halved; add --if_double")
    if doubled and compressed is False:
        warn("--if_double doubles z, but the run did not read with --compress")


def check_order(picks, kind):
    """Warn where other programs are likely to count z from the other side."""
    orders = {facts.get("order") for facts in picks.tomograms.values()}
    if kind not in ("txt", "csv") and "xzy" in orders:
        warn(
            "z is counted as in the tomogram file (--order xzy); in a tomogram turned "
            "by trimvol -rx, and in RELION's, it runs the other way: depth - 1 - z"
        )


if __name__ == "__main__":
    run_script(main)
