"""What a search found: in a few lines, and drawn over slices of the tomograms.

The pictures are there to choose --dog and --bbox by.
"""

import hashlib
import json

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from lib.artifacts import atomic_write
from lib.inputs.noted_files import note_file
from lib.pictures.canvas import Circle, Figure, Rectangle, plain_style

SLICES = 3
INK = "#d1495b"
FINGERPRINT = "drawn from"  # of the text in the PNG


@plain_style()
def draw_candidates(path, tomogram, coords, *, box, diameter, sigmas, z_step=1):
    """Draw three slices with the candidates in and near them, unless that is there.

    Parameters
    ----------
    path : path-like
        PNG.
    tomogram : lib.inputs.tomogram.Tomogram
        Only a few slices are read.
    coords : ndarray of int, shape (N, 3)
        (x, y, z) [voxels].
    box : int
        Edge of a patch [voxels]; one is drawn for scale.
    diameter : float
        Least distance of two candidates [voxels].
    sigmas : sequence of float
        Of the search; empty where the user gave the candidates.
    z_step : int
        Slices of the tomogram in one step of z: 2 with ``--compress``.

    Returns
    -------
    bool
        Whether it was drawn; not if the same picture was there.
    """
    shown = [tomogram.name, box, diameter, list(sigmas), z_step, tomogram.order]
    file = note_file(tomogram.rec_path)
    content = json.dumps([*shown, file], sort_keys=True).encode()
    fingerprint = hashlib.sha256(content + coords.tobytes()).hexdigest()
    if _fingerprint_of(path) == fingerprint:
        return False
    options = {"box": box, "diameter": diameter, "sigmas": sigmas}
    coords = coords * (1, 1, z_step)
    figure = _figure(tomogram.map_voxels(), coords, tomogram.name, **options)
    with atomic_write(path) as stream:
        figure.savefig(stream, format="png", metadata={FINGERPRINT: fingerprint})
    return True


def _fingerprint_of(path):
    """Return what a picture was drawn from; None where there is none of ours."""
    try:
        with Image.open(path) as picture:
            return picture.info.get(FINGERPRINT)
    except (OSError, ValueError, SyntaxError):  # Pillow's word for a broken PNG
        return None


def _figure(volume, coords, name, *, box, diameter, sigmas):
    depth, height, width = volume.shape
    sections = _busiest_sections(coords[:, 2], depth)
    panel = 5.0
    figure = Figure(figsize=(SLICES * panel, panel * height / width + 0.9), dpi=150)
    figure.set_facecolor("white")
    axes = figure.subplots(1, SLICES)
    for axis, z in zip(axes, sections, strict=True):
        slab = np.asarray(volume[max(z - 2, 0) : z + 3], np.float32).mean(0)
        slab = gaussian_filter(slab, 1)  # single voxels are noise
        low, high = np.percentile(slab, (0.5, 99.5))
        axis.imshow(slab, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        near = coords[np.abs(coords[:, 2] - z) <= diameter / 4]
        for x, y, _ in near:
            axis.add_patch(
                Circle((x, y), diameter / 2, fill=False, ec=INK, lw=1.0, alpha=0.9)
            )
        axis.set_title(f"z = {z}: {len(near)} candidates", fontsize=10)
        axis.set_axis_off()
    corner = (0.02 * width, height - box - 0.02 * height)
    axes[0].add_patch(Rectangle(corner, box, box, fill=False, ec="#00798c", lw=2))
    axes[0].text(
        corner[0] + box / 2,
        corner[1] - 4,
        f"--bbox {box}",
        color="#00798c",
        ha="center",
        fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 1, "edgecolor": "none"},
    )
    listed = ",".join(f"{s:g}" for s in sigmas)
    found_by = f"--dog {listed}" if sigmas else "given by --coords"
    figure.suptitle(
        f"{name}: {len(coords):,} candidates, {found_by}, circles "
        f"--dog_diameter {diameter:g}",
        fontsize=11,
    )
    figure.tight_layout()
    return figure


def _busiest_sections(z, depth):
    """Return the slice of each third of the tomogram with most candidates near it."""
    counts = np.convolve(np.bincount(z, minlength=depth)[:depth], np.ones(5), "same")
    edges = np.linspace(0, depth, SLICES + 1).astype(int)
    return [
        low + int(np.argmax(counts[low:high]))
        if counts[low:high].any()
        else (low + high) // 2
        for low, high in zip(edges, edges[1:], strict=False)
    ]


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
