"""Files of coordinates read back: every format, order and direction, and refusals."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.axis_orders import ORDERS
from lib.coordinates.given import read_own
from lib.coordinates.placing import Reading, place, to_voxels
from lib.coordinates.plausible import name_from_path
from lib.coordinates.reading import read_coordinates
from lib.errors import UserError
from lib.export.formats import star_columns, write_coordinates
from lib.export.picks import Picks, double_z, read_picks
from lib.inputs.tomogram import Tomogram
from lib.run.candidate_options import CoordinateSettings
from tests.data_sets import small_options
from tests.mrc_files import write_mrc
from tests.records import make_record
from tests.session_runs import make_table

SIZE = (40, 32, 11)  # x, y, z of the tomograms here [voxels]; z is odd
TEXTS = {"txt": "txt", "csv": "csv", "star": "star", "star5": "star"}
TEXTS |= {"imod": "txt", "ndjson": "ndjson"}


@pytest.fixture(scope="module")
def tomograms(tmp_path_factory):
    """By order of the file: two tomograms of 10 Angstrom a voxel."""
    folder = tmp_path_factory.mktemp("tomograms")
    volume = np.zeros(SIZE[::-1], np.float32)
    volume[0, 0, 0] = 1
    found = {}
    for order in ORDERS:
        paths = [folder / f"{name}_{order}.mrc" for name in ("tomo1", "tomo2")]
        found[order] = [
            Tomogram.from_files(
                write_mrc(path, volume, order=order),
                order,
                order_is_given=True,
                name=path.name.split("_")[0],
            )
            for path in paths
        ]
    return found


def export(folder, tomograms, coord, compress=False):
    """Write picks as the session does; return the path of the parquet file."""
    facts = {
        t.name: {"shape": t.shape, "voxel_size": 10.0, "order": t.order}
        for t in tomograms
    }
    names = np.array([tomograms[i % 2].name for i in range(len(coord))])
    table = make_table(
        len(coord),
        coord=np.array(coord),
        name=names,
        record=make_record(facts, exp_id="first", compress=compress),
    )
    path = folder / "picks.parquet"
    table.save(path)
    return path


def read_back(paths, tomograms, patching=None, **said):
    """Return the given voxels by tomogram, as sets."""
    wanted = CoordinateSettings(coords=tuple(map(str, paths)), **said)
    own = read_own(tomograms, wanted, patching or small_options(), quiet=True)
    return {
        name: sorted(map(tuple, rows.tolist()))
        for name, rows in own.chosen.given.items()
    }


positions = st.lists(
    st.tuples(*(st.integers(0, n - 1) for n in SIZE)), min_size=2, max_size=12
)


@pytest.mark.parametrize("kind", ["parquet", *TEXTS])
@pytest.mark.parametrize("order", ORDERS)
@given(
    coord=positions,
    compress=st.booleans(),
    z_axis=st.sampled_from(["relion", "reversed"]),
    binning=st.sampled_from([1.0, 2.0, 3.5]),
)
@settings(max_examples=12)
def test_what_is_exported_is_read_back_to_the_same_voxels(
    tomograms, kind, order, coord, compress, z_axis, binning
):
    listed = tomograms[order]
    if compress:
        coord = [(x, y, z // 2) for x, y, z in coord]
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        path = export(Path(folder), listed, coord, compress)
        picks, paths = read_picks([path]), [path]
        expected = {}
        for name, row in zip(picks.name, picks.coord.tolist(), strict=True):
            expected.setdefault(name, set()).add(tuple(row))
        if kind in TEXTS:
            if kind in ("star", "star5"):
                said["coords_z_axis"] = z_axis
            paths = write_coordinates(
                Path(folder) / f"own.{TEXTS[kind]}",
                picks,
                kind=kind,
                halved=compress,
                z_axis=said.get("coords_z_axis"),
                binning=binning,
            )
            said["coords_halved"] = kind in ("txt", "csv") and compress
        patching = small_options(compress=compress, order=order)
        found = read_back(paths, listed, patching, **said)
    assert found == {name: sorted(rows) for name, rows in expected.items()}


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_direction_of_z_follows_from_the_order_as_in_exports(
    tomograms, tmp_path, order
):
    listed, coord = tomograms[order], [(3, 4, 1), (8, 9, 7)]
    picks = read_picks([export(tmp_path, listed, coord)])
    written = write_coordinates(tmp_path / "o.star", picks, kind="star5")
    assert read_back(written, listed) == {"tomo1": [coord[0]], "tomo2": [coord[1]]}


def test_doubled_z_of_a_compressed_run_is_read_without_a_word(tomograms, tmp_path):
    listed = tomograms["zxy"]
    picks = read_picks([export(tmp_path, listed, [(3, 4, 5), (8, 9, 2)], True)])
    write_coordinates(tmp_path / "o.txt", double_z(picks), kind="txt")
    patching = small_options(compress=True)
    found = read_back([tmp_path / "o.txt"], listed, patching)
    assert found == {"tomo1": [(3, 4, 5)], "tomo2": [(8, 9, 2)]}


def test_picks_of_a_raw_file_are_mirrored_into_its_rotated_copy(tomograms, tmp_path):
    # trimvol -rx keeps the hand, so that z of the two, as read, runs otherwise
    path = export(tmp_path, tomograms["xzy"], [(3, 4, 1), (8, 9, 10)])
    found = read_back([path], tomograms["zxy"])
    assert found == {"tomo1": [(3, 4, 9)], "tomo2": [(8, 9, 0)]}


# --- files as other programs write them ------------------------------------------

RELION5 = """
# version 50001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnTomoTiltSeriesPixelSize #3
           1 opticsGroup1     2.500000


# version 50001

data_particles

loop_
_rlnTomoName #1
_rlnCenteredCoordinateXAngst #2
_rlnCenteredCoordinateYAngst #3
_rlnCenteredCoordinateZAngst #4
_rlnOpticsGroup #5
_rlnClassNumber #6
tomo1   -100.000000     0.000000     5.000000            1            2
tomo2    100.000000    50.000000   -45.000000            1            1
"""
RELION4 = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnTomoTiltSeriesPixelSize #2
1 2.5
2 5.0

data_particles

loop_
_rlnTomoName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
_rlnOpticsGroup #5
tomo1 40 64 20 1
tomo2 60 42 2 2
"""
WARP = """
data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnCoordinateZ #3
_rlnMicrographName #4
_rlnAutopickFigureOfMerit #5
40 64 20 tomo1.tomostar 0.25
120 84 4 tomo2.tomostar 0.75
"""
COPICK = {
    "pickable_object_name": "ribosome",
    "user_id": "me",
    "session_id": "1",
    "run_name": "tomo1",
    "voxel_spacing": 10.0,
    "unit": "angstrom",
    "points": [
        {"location": {"x": 100.0, "y": 160.0, "z": 50.0}, "instance_id": 1, "score": 2},
    ],
}
PORTAL = '{"type": "orientedPoint", "location": {"x": 10, "y": 16, "z": 5}, '
PORTAL += '"xyz_rotation_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}\n'
ONE, BOTH = {"tomo1": [(10, 16, 5)]}, {"tomo1": [(10, 16, 5)], "tomo2": [(30, 21, 1)]}
FILES = {
    "relion5.star": (RELION5, {"tomo1": [(10, 16, 6)], "tomo2": [(30, 21, 1)]}, {}),
    "relion4.star": (RELION4, BOTH, {}),
    "warp.star": (WARP, BOTH, {"coords_bin": 4}),
    "warp_pixel.star": (WARP, BOTH, {"coords_voxel_size": 2.5}),
    "copick.json": (json.dumps(COPICK, indent=4), ONE, {}),
    "tomo1.ndjson": (PORTAL, ONE, {}),
    "mol_tomo1.ndjson": (PORTAL, ONE, {}),
    "kaggle.csv": (
        "id,experiment,particle_type,x,y,z\n0,tomo1,ribosome,100.4,160,50\n"
        "1,tomo2,thyroglobulin,300,210,10.2\n",
        BOTH,
        {"coords_voxel_size": 1},
    ),
    "peer.txt": (
        "image_name\tx_coord\ty_coord\tz_coord\r\ntomo1\t10\t16\t5\r\ntomo2\t30\t21\t1",
        BOTH,
        {},
    ),
    "blanks.txt": ("\ufeff# mine\nname  x y z\ntomo1.mrc 10 16 5\n\n", ONE, {}),
    "tomo1.txt": ("   10.50    16.50     5.00\n", ONE, {}),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_programs_are_read(tomograms, tmp_path, name):
    text, expected, said = FILES[name]
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_back([tmp_path / name], tomograms["zxy"], **said) == expected


@pytest.mark.parametrize(
    ("name", "score", "label"),
    [
        ("warp.star", [0.25, 0.75], None),
        ("relion5.star", None, ["2", "1"]),
        ("copick.json", [2], ["ribosome"]),
        ("kaggle.csv", None, ["ribosome", "thyroglobulin"]),
    ],
)
def test_scores_and_classes_of_a_file_are_read(tmp_path, name, score, label):
    (tmp_path / name).write_text(FILES[name][0])
    raw = read_coordinates(tmp_path / name)
    assert (None if raw.score is None else raw.score.tolist()) == score
    assert raw.label == label


def test_numbers_of_a_star_file_come_back_in_star_files_and_in_those_alone(
    tomograms, tmp_path
):
    columns = ["TomoName", *(f"Coordinate{axis}" for axis in "XYZ")]
    columns += ["AngleRot", "RandomSubset", "ImageName", "OpticsGroup"]
    rows = ["tomo1 10 16 5 -12.5 1 a@b.mrc 1", "tomo2 9 8 7 90 2 c@d.mrc 1"]
    head = "".join(f"_rln{column}\n" for column in columns)
    path = tmp_path / "mine.star"
    path.write_text(f"data_particles\nloop_\n{head}" + "\n".join(rows) + "\n")
    wanted = CoordinateSettings(coords=(str(path),), coords_bin=1.0)
    own = read_own(tomograms["zxy"], wanted, small_options(), quiet=True)
    names = np.array(["tomo2", "tomo1"])
    coord = np.array([[9, 8, 7], [10, 16, 5]])
    found = own.columns_of(names, coord)["measures"]
    assert {name: values.tolist() for name, values in found.items()} == {
        "given_rlnAngleRot": [90, -12.5],
        "given_rlnRandomSubset": [2, 1],
    }
    other = {"given_peak": np.ones(2, np.float32)}
    again = star_columns(Picks(names, coord, measures={**found, **other}))
    assert {name: values.tolist() for name, values in again.items()} == {
        "rlnAngleRot": [90, -12.5],
        "rlnRandomSubset": [2, 1],
    }


def test_voxels_are_the_nearest_and_pairs_of_slices_hold_theirs():
    found = np.array([[1.4, 1.5, 2.0], [1.4999999, 0, 2.9999999], [0, 0, 5.5]])
    assert to_voxels(found, compress=False)[:, 0].tolist() == [1, 2, 0]
    assert to_voxels(found, compress=True)[:, 2].tolist() == [1, 1, 3]


def test_several_files_are_joined_and_each_position_counts_once(
    tomograms, tmp_path, capsys
):
    (tmp_path / "a.csv").write_text("name,x,y,z,score\ntomo1,10,16,5,0.5\n")
    (tmp_path / "b.csv").write_text(
        "name,x,y,z,score,class\n"
        "tomo1,10.2,16,5,0.9,A\nother,1,1,1,1,B\ntomo1,9,9,9,0.1,C\n"
    )
    files = (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    own = read_own(tomograms["zxy"], CoordinateSettings(coords=files), small_options())
    names = np.array(["tomo1", "tomo1"])
    rows = np.array([[9, 9, 9], [10, 16, 5]])
    assert own.chosen.given["tomo1"].tolist() == [[10, 16, 5], [9, 9, 9]]
    assert own.columns_of(names, rows)["given_score"].tolist() == pytest.approx(
        [0.1, 0.5]
    )
    assert own.columns_of(names, rows)["given_label"].tolist() == ["C", "A"]
    out, err = capsys.readouterr()
    assert "1 more than once, kept once" in out
    assert "no coordinates for 1 of 2 tomograms (tomo2): left out" in out
    assert "1 of 2 tomograms are not in the image list (other)" in err
    assert [t.name for t in own.tomograms(tomograms["zxy"])] == ["tomo1"]


def rows_of(points):
    lines = [",".join(["tomo1", *map(str, point)]) for point in points]
    return "name,x,y,z\n" + "\n".join(lines) + "\n"


INNER = np.random.default_rng(0).uniform(0.5, 0.9, (30, 3)) * SIZE
REFUSALS = {
    "empty.csv": ("", "holds no coordinates"),
    "header.csv": ("name,x,y,z\n", "holds no coordinates"),
    "nan.csv": (rows_of([(1, 2, 3), (1, "nan", 3)]), "not numbers.*row 2"),
    "word.csv": (rows_of([(1, "two", 3)]), "line 2: '1 two 3'"),
    "short.csv": ("name,x,y,z\ntomo1,1,2\n", "line 2: 3 columns"),
    "columns.csv": ("name,a,b\ntomo1,1,2\n", "lacks x_coord, y_coord, z_coord"),
    "four.txt": ("1 2 3 4\n", "no header, and 4 numbers"),
    "names.csv": ("name,x,y,z\nTS_1,1,2,3\n", "it has TS_1, the list tomo1, tomo2"),
    "nameless.ndjson": (PORTAL, "which of the 2 tomograms.*nameless_tomo1.ndjson"),
    "angstrom.csv": (rows_of(10 * INNER), "look like Angstrom: give --coords_voxel_si"),
    "large.csv": (rows_of(3 * INNER), "about 3 times as large: give --coords_bin 3"),
    "centered.csv": (rows_of(10 * (INNER - 25)), "negative.*Angstrom from the center"),
    "below.csv": (rows_of([(9, 9, 5), (9, 9, -99)]), "such as 9, 9, -99.*check that"),
    "exchanged.csv": (rows_of(INNER[:, [0, 2, 1]]), "y and z look exchanged"),
    "shares.csv": (rows_of(INNER / SIZE), "between 0 and 1"),
    "pixels.star": (WARP, "does not say their size: give --coords_bin"),
    "nothing.star": ("data_\n\nloop_\n_rlnTomoName #1\ntomo1\n", "particles.star"),
    "cut.ndjson": ('{"type": "point", "locat', "line 1: not json"),
    "place.ndjson": ('{"type": "point"}', "has no location"),
    "far.json": (json.dumps({**COPICK, "unit": "nm"}), "no list in Angstrom"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_files_that_cannot_be_meant_are_refused_with_what_to_do(
    tomograms, tmp_path, name
):
    text, said = REFUSALS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read_back([tmp_path / name], tomograms["zxy"])
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("stem", ["tomo2", "ribosomes_tomo2", "tomo2_ribosomes"])
def test_points_are_of_the_tomogram_that_their_file_name_begins_or_ends_with(stem):
    assert name_from_path(f"/picks/{stem}.txt", ["tomo1", "tomo2", "tomo"]) == "tomo2"


def test_unit_that_is_given_is_told(tomograms, tmp_path, capsys):
    path = tmp_path / "own.csv"
    path.write_text(rows_of([(100, 160, 50)]))
    wanted = CoordinateSettings(coords=(str(path),), coords_voxel_size=1.0)
    own = read_own(tomograms["zxy"], wanted, small_options())
    assert own.chosen.given["tomo1"].tolist() == [[10, 16, 5]]
    assert "1 positions (units of 1 A, by --coords_vox" in capsys.readouterr().out


def test_a_few_outside_are_left_out_and_a_corner_is_doubted(
    tomograms, tmp_path, capsys
):
    path = tmp_path / "few.csv"
    points = [*(INNER / 3).round(2).tolist(), (99, 1, 1)]
    path.write_text(rows_of(points))
    own = read_own(
        tomograms["zxy"], CoordinateSettings(coords=(str(path),)), small_options()
    )
    assert (own.chosen.given["tomo1"] < np.array(SIZE) / 2).all()
    said = capsys.readouterr().err
    assert "1 of 31 positions lie outside tomo1 of x, y, z = 40, 32, 11" in said
    assert "lie in one corner" in said and "--coords_bin 0.33" in said


def test_other_binnings_are_refused_by_the_shape_that_the_export_remembers(
    tomograms, tmp_path
):
    listed = tomograms["zxy"]
    path = export(tmp_path, listed, [(9, 9, 4), (30, 20, 5)])
    small = np.zeros((6, 16, 20), np.float32)
    small[0, 0, 0] = 1
    binned = [
        Tomogram.from_files(
            write_mrc(tmp_path / f"{t.name}.mrc", small, voxel_size=20.0),
            "zxy",
            name=t.name,
        )
        for t in listed
    ]
    with pytest.raises(UserError, match="--coords_bin 2"):
        read_back([path], binned)
    found = read_back([path], binned, coords_bin=2.0)
    assert found == {"tomo1": [(5, 5, 2)], "tomo2": [(15, 10, 3)]}


def test_direction_that_is_not_known_is_asked_for(tomograms, tmp_path):
    path = tmp_path / "r.star"
    path.write_text(RELION5)
    with pytest.raises(UserError, match="--coords_z_axis reversed"):
        read_back([path], tomograms["xyz"])
    flipped = small_options("simsiam2d3d", flip_tilt_angles=True)
    with pytest.raises(UserError, match="--flip_tilt_angles"):
        read_back([path], tomograms["zxy"], flipped)
    (one, _) = tomograms["xyz"]
    raw = read_coordinates(path)
    ways = [
        place(raw, np.array([0]), one, Reading(CoordinateSettings(coords_z_axis=way)))
        for way in ("relion", "reversed")
    ]
    assert ways[0][0, 2] + ways[1][0, 2] == SIZE[2] - 1


def test_units_of_length_need_a_voxel_size(tomograms, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(COPICK))
    unknown = [replace(t, voxel_size=None) for t in tomograms["zxy"]]
    with pytest.raises(UserError, match="give it with --voxel_size"):
        read_back([path], unknown)
