"""One bead, found in a tomogram with its axes in any order, exported to every format.

Each file is read back by what its program is known to expect, and must name the place
where the bead is. The bead lies off every plane of symmetry, so that no mirrored or
exchanged axis goes unseen; the volumes are rotated into the order of the file, as
``trimvol -rx`` does, never transposed, which would mirror them.
"""

import json
import sys
from dataclasses import asdict

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile

import interactive_to_training_coords
from lib.artifacts import InteractiveTable
from lib.errors import OptionError
from lib.inputs.tomogram import ORDERS, Tomogram
from lib.patches.options import PatchOptions
from lib.patches.preparation import prepare_store
from tests.records import make_record

BEAD = np.array([41, 23, 13])  # (x, y, z) in a tomogram as RELION has it [voxels]
VOXEL = 13.48  # [A]
BINNING = 4
# How a volume (Z, Y, X) of RELION's hand comes into a file by rotation alone.
ROTATED = {
    "xzy": lambda volume: np.rot90(volume, -1, (0, 1)),  # undone by trimvol -rx
    "zxy": lambda volume: volume,
    "xyz": lambda volume: volume.transpose(1, 2, 0),
    "yxz": lambda volume: np.rot90(volume, -1, (0, 2)),
}
# What nobody knows of these orders without being told.
Z_AXIS = {"xyz": "relion", "yxz": "reversed"}
# The slices of a pair are one in a run with --compress.
TOLERANCE = {False: 0, True: 0.5}  # [voxels]


def bead_volume(depth):
    """Return (Z, Y, X): a dark bead on a chequered ground, of which no blur is left."""
    z, y, x = np.indices((depth, 64, 72))
    distance = (x - BEAD[0]) ** 2 + (y - BEAD[1]) ** 2 + (z - BEAD[2]) ** 2
    ground = 0.4 * (-1) ** (x + y + z)
    return (ground - np.exp(-distance / 8)).astype(np.float32)


def pick(folder, order, *, depth=40, compress=False, **options):
    """Find the bead; keep it as plot_2d.py does. Return the array of the file."""
    in_file = np.ascontiguousarray(ROTATED[order](bead_volume(depth)))
    with mrcfile.new(folder / "bead.rec", in_file) as mrc:
        mrc.voxel_size = VOXEL
    patching = PatchOptions(
        mode="simsiam3d",
        box=8,
        sigmas=(2.0, 4.0),
        gauss=0.8,
        order=order,
        compress=compress,
        dog_boundary=6,
    )
    rows = [Tomogram.from_files(folder / "bead.rec", order)]
    (entry,) = prepare_store(rows, patching, cache=folder, workers=0).entries
    InteractiveTable(
        name=np.array(["bead"]),
        coord=entry.coords[:1],  # the strongest
        embeddings=np.zeros((1, 2), np.float32),
        label=np.zeros(1, int),
        image=np.array(["0.png"]),
        record=make_record(
            {"bead": asdict(entry.metadata)}, compress=compress, **options
        ),
    ).save(folder / "picks.parquet")
    return in_file


def export(folder, monkeypatch, kind, *more):
    """Convert the pick by the script; return the path of what it wrote."""
    path = folder / f"bead.{kind}"
    arguments = ["--input", folder / "picks.parquet", "--output", path]
    arguments += ["--format", kind, *more]
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    interactive_to_training_coords.main()
    return path


def read_star(path, columns):
    row = starfile.read(path).iloc[0]
    return np.array([row[columns.format(axis)] for axis in "XYZ"])


def read_back(path, kind, in_file, order):
    """Return (x, y, z) in RELION's tomogram of what a program finds in the file."""
    depth, height, width = place_shape(in_file, order)
    if kind == "star":  # pixels of the unbinned series
        return read_star(path, "rlnCoordinate{}") / BINNING
    if kind == "star5":  # particle_set.cpp: Angstrom / pixel size + size / 2
        found = read_star(path, "rlnCenteredCoordinate{}Angst")
        return found / VOXEL + np.array([width, height, depth]) / 2
    if kind == "ndjson":  # copick: times the spacing, over the spacing an index
        location = json.loads(path.read_text())["location"]
        return np.array([location[axis] for axis in "xyz"])
    if kind == "imod":  # 3dmod: the first voxel's center is at 0.5, 0.5, 0
        x, y, z = np.array(path.read_text().split(), float) - (0.5, 0.5, 0)
        return from_file(in_file, order, (z, y, x))
    table = pd.read_csv(path, sep="," if kind == "csv" else "\t")
    x, y, z = table.loc[0, ["x_coord", "y_coord", "z_coord"]].astype(float)
    as_read = np.empty(3)
    as_read[list(ORDERS[order])] = z, y, x
    return from_file(in_file, order, as_read)


def place_shape(in_file, order):
    """Return (Z, Y, X) of RELION's tomogram of a file."""
    return tuple(in_file.shape[axis] for axis in ORDERS[order])


def from_file(in_file, order, index):
    """Return (x, y, z) in RELION's tomogram of an index of the file's array.

    By looking where the rotation took the neighboring voxels, not by a formula.
    """
    shape = place_shape(in_file, order)
    coordinates = [ROTATED[order](axis) for axis in np.indices(shape)]
    low = tuple(np.floor(index).astype(int))
    high = tuple(np.ceil(index).astype(int))
    found = [(axis[low] + axis[high]) / 2 for axis in coordinates]
    return np.array(found[::-1])


KINDS = ("txt", "csv", "star", "star5", "imod", "ndjson")


@pytest.mark.parametrize("depth", [40, 41])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_every_export_names_the_place_of_the_bead(
    tmp_path, monkeypatch, order, compress, depth
):
    in_file = pick(tmp_path, order, depth=depth, compress=compress)
    for kind in KINDS:
        more = ["--bin", BINNING] if kind == "star" else []
        if kind.startswith("star") and order in Z_AXIS:
            more += ["--z_axis", Z_AXIS[order]]
        if compress and kind in ("txt", "csv"):
            more += ["--if_double"]
        path = export(tmp_path, monkeypatch, kind, *more)
        found = read_back(path, kind, in_file, order)
        # --if_double is documented as 2 z: the first slice of the pair.
        allowed = 1 if kind in ("txt", "csv") and compress else TOLERANCE[compress]
        error = np.abs(found - BEAD).max()
        assert error <= allowed + 1e-4, f"{kind}: {found} is not {BEAD}"


def test_the_point_for_imod_is_the_darkest_voxel_of_the_very_file(
    tmp_path, monkeypatch
):
    in_file = pick(tmp_path, "xzy")
    point = export(tmp_path, monkeypatch, "imod").read_text().split()
    x, y, z = (np.array(point, float) - (0.5, 0.5, 0)).astype(int)
    assert (z, y, x) == np.unravel_index(in_file.argmin(), in_file.shape)


@pytest.mark.parametrize("kind", ["star", "star5", "imod", "ndjson"])
def test_merged_slices_are_told_apart_once(tmp_path, monkeypatch, kind):
    pick(tmp_path, "xzy", compress=True)
    by_itself = export(tmp_path, monkeypatch, kind).read_text().splitlines()
    asked_for = export(tmp_path, monkeypatch, kind, "--if_double").read_text()
    # The second line of a STAR file is the time.
    assert by_itself[2:] == asked_for.splitlines()[2:]
    assert by_itself[0] == asked_for.splitlines()[0]


@pytest.mark.parametrize("order", ["xyz", "yxz"])
def test_direction_of_z_is_asked_for_where_no_program_is_known(
    tmp_path, monkeypatch, order
):
    pick(tmp_path, order)
    for kind in ("star", "star5"):
        with pytest.raises(OptionError, match="bead; give --z_axis relion"):
            export(tmp_path, monkeypatch, kind)
    assert not list(tmp_path.glob("bead.star*"))


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_flipped_angles_leave_open_which_way_z_runs(tmp_path, monkeypatch, order):
    """In a projection, the other sign of the angles is the mirrored tomogram."""
    in_file = pick(tmp_path, order, mode="simsiam2d3d", flip_tilt_angles=True)
    with pytest.raises(OptionError, match="--flip_tilt_angles can mean either"):
        export(tmp_path, monkeypatch, "star")
    depth = place_shape(in_file, order)[0]
    for z_axis, z in (("relion", BEAD[2]), ("reversed", depth - 1 - BEAD[2])):
        path = export(tmp_path, monkeypatch, "star", "--z_axis", z_axis)
        z = z if order == "zxy" else depth - 1 - z
        assert read_star(path, "rlnCoordinate{}")[2] == pytest.approx(z)


def test_a_mirrored_tomogram_of_aretomo_is_mirrored_back_when_it_is_said(
    tmp_path, monkeypatch, capsys
):
    """``-FlipVol 1`` exchanges y and z of what ``-FlipVol 2`` rotates."""
    pick(tmp_path, "zxy")
    export(tmp_path, monkeypatch, "star")
    assert "-FlipVol 1, convert again with --z_axis reversed" in capsys.readouterr().out
    path = export(tmp_path, monkeypatch, "star", "--z_axis", "reversed")
    mirrored = read_star(path, "rlnCoordinate{}")
    np.testing.assert_allclose(mirrored, [41, 23, 40 - 1 - 13])
