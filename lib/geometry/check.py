"""Whether tomograms and tilt series agree when they are read with the given options.

`lib.geometry.verdict` examines each tomogram of a list; this module prints one table
and rejects what is wrong. The measured rates of right and wrong verdicts
are in docs/geometry_check.md.
"""

from collections import defaultdict
from dataclasses import replace

from tqdm import tqdm

from lib.errors import GeometryError, format_names, warn
from lib.geometry.contrast_check import (
    check_contrast,
    contrast_is_wrong,
    describe_odd_contrast,
    describe_wrong_contrast,
    print_unknown_contrast,
)
from lib.geometry.stored_findings import StoredFindings
from lib.geometry.verdict import (
    AGREES,
    MISALIGNED,
    NOTHING,
    OTHER,
    UNCLEAR,
    Finding,
    examine,
)


def check_tomograms(
    tomograms, *, flip_tilt_angles=False, bright=False, force=False, cache=None
):
    """Check the geometry of tomograms with tilt series, the contrast of the others.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
        All with a tilt series, or all without.
    flip_tilt_angles, bright, force, cache
        See `check_geometry`.
    """
    if all(tomogram.tilt_info for tomogram in tomograms):
        check_geometry(
            tomograms,
            flip_tilt_angles=flip_tilt_angles,
            bright=bright,
            force=force,
            cache=cache,
        )
    else:
        check_contrast(tomograms, bright=bright, cache=cache)


def check_geometry(
    tomograms, *, flip_tilt_angles=False, bright=False, force=False, cache=None
):
    """Check all tomograms of a list, print one table, reject what is wrong.

    Parameters
    ----------
    tomograms : list of lib.inputs.tomogram.Tomogram
        With their tilt series.
    flip_tilt_angles : bool
    bright : bool
        Whether the user states that protein is bright in the tomograms.
    force : bool
        Only warn where nothing fits, or the contrast is inverted.
    cache : path-like, optional
        Folder where findings are stored and looked up; `bright` and `force` only
        decide what is made of them. The default measures, and stores nothing.

    Returns
    -------
    list of Finding

    Raises
    ------
    GeometryError
        When another convention clearly fits better; without `force` also when
        images are shifted, nothing fits, or tomogram and tilt images are of opposite
        contrast and `bright` is not what the voxels tell.
    InputError
        When a file cannot be used.
    """
    stored = StoredFindings(cache, "geometry")
    bar = tqdm(tomograms, desc="geometry check", unit="tomogram", disable=None)
    findings = [_find(tomogram, flip_tilt_angles, stored) for tomogram in bar]
    stored.report(len(findings))
    print(as_table(findings), flush=True)
    errors, warnings = [], []
    for verdict in (OTHER, MISALIGNED, NOTHING):
        forgiven = force and verdict != OTHER
        (warnings if forgiven else errors).extend(_complaints(findings, verdict))
    warnings += _complaints(findings, UNCLEAR)
    inverted = [one for one in findings if contrast_is_wrong(one, bright)]
    (warnings if force else errors).extend(describe_wrong_contrast(inverted, bright))
    warnings += describe_odd_contrast(findings, bright)
    for complaint in warnings:
        warn(f"geometry: {complaint}")
    print_unknown_contrast(findings, bright)
    if errors:
        agreeing = sum(
            one.verdict == AGREES and (force or one not in inverted) for one in findings
        )
        if agreeing:
            errors.append(
                f"{agreeing} of {len(findings)} agree as asked: options hold for a "
                "whole list, so put those that need others into a list of their own"
            )
        raise GeometryError("; ".join(errors))
    return findings


def _find(tomogram, flip_tilt_angles, stored):
    """Return the finding of a tomogram, stored or measured."""
    finding = stored.get(
        [tomogram.rec_path, tomogram.tilt_path, tomogram.angle_path],
        [tomogram.order, flip_tilt_angles],
        decode=Finding.from_fields,
        measure=lambda: examine(tomogram, flip_tilt_angles),
    )
    return replace(finding, name=tomogram.name)


def as_table(findings):
    """Return what was found as text, one line per tomogram."""
    width = max(len("tomogram"), *(len(finding.name) for finding in findings))
    lines = [f"{'tomogram':{width}}  as asked  best other  protein  verdict"]
    for one in findings:
        line = (
            f"{one.name:{width}}  {one.asked:8.2f}  {one.best:10.2f}  "
            f"{one.contrast.protein or '?':7}  {one.verdict}"
        )
        if one.opposite and one.verdict == AGREES:
            line += ", but for the contrast"
        if one.verdict == OTHER:
            line += f": {one.other.describe(one.order)}"
        lines.append(line)
    return "\n".join(lines)


def _complaints(findings, verdict):
    """Return a sentence for each remedy that tomograms with this verdict need."""
    concerned = defaultdict(list)
    for finding in findings:
        if finding.verdict == verdict:
            concerned[finding.remedy].append(finding.name)
    return [
        _SENTENCES[verdict].format(names=format_names(names), remedy=remedy)
        for remedy, names in concerned.items()
    ]


_SENTENCES = {
    OTHER: "{names}: another convention clearly fits better; {remedy}",
    MISALIGNED: "{names}: {remedy} (--force continues anyway)",
    NOTHING: (
        "{names}: the tilt images do not show the tomogram in any convention; is the "
        "series aligned, are the angles in the order of the images, and does it belong "
        "to this tomogram? (--force continues anyway)"
    ),
    UNCLEAR: (
        "{names}: too noisy to tell whether tomogram and tilt series agree; look at "
        "the tilt view of some candidates"
    ),
}
