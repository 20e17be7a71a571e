import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st

from lib.artifacts import ArtifactError
from lib.errors import OptionError
from lib.export.formats import choose_format, parse_size, write_coordinates
from lib.export.picks import Picks, double_z, drop_repeated, find_exports, read_picks
from lib.export.selection import as_ranges, parse_labels, select_labels
from lib.run.record import TomogramRecord
from lib.session.export import write_export
from tests.data_sets import small_options
from tests.records import make_record
from tests.session_runs import PROJECT, make_table

SCRIPT = PROJECT / "interactive_to_training_coords.py"
# one voxel of a tomogram of 100 x 80 x 61 voxels (x, y, z) of 10 A
KNOWN = {"shape": [61, 80, 100], "voxel_size": 10.0, "order": "zxy"}


def convert(*arguments, cwd):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def one_pick(coord=(10, 20, 30), flipped=(), **facts):
    return Picks(
        name=np.array(["tomo1"]),
        coord=np.array([coord]),
        tomograms={"tomo1": TomogramRecord(**{**KNOWN, **facts})},
        flipped=frozenset(flipped),
    )


def write_peer_export(path, coord, name="tomo1"):
    """Write an export as the peer's session does: no label, no metadata."""
    frame = pd.DataFrame({"name": [name] * len(coord), "coord": coord})
    frame.to_parquet(path)
    return path


@pytest.mark.parametrize("given", [None, 0.125])
def test_the_score_of_a_pick_is_in_the_files_that_can_hold_it(tmp_path, given):
    given = None if given is None else np.array([given], "f4")
    pick = replace(
        one_pick(),
        score=np.array([0.875], "f4"),
        given_score=given,
        measures={"density": np.array([-1.5], "f4")},
    )
    (written,) = write_coordinates(tmp_path / "o.csv", pick, kind="csv")
    row = pd.read_csv(written).iloc[0]
    assert row["score"] == 0.875
    assert row["density"] == -1.5
    for kind in ("star", "star5"):
        (written,) = write_coordinates(tmp_path / "o.star", pick, kind=kind)
        frame = starfile.read(written)
        assert frame["rlnAutopickFigureOfMerit"].tolist() == [0.875]
    (written,) = write_coordinates(tmp_path / "o.txt", pick, kind="txt")
    assert written.read_text().split() == [
        *("image_name", "x_coord", "y_coord", "z_coord"),
        *("tomo1", "10", "20", "30"),
    ]


# --- reading -------------------------------------------------------------------


@pytest.mark.parametrize(
    "coord",
    [
        [["1", "2", "3"], ["4", "5", "6"]],
        [[1, 2, 3], [4, 5, 6]],
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        ["1,2,3", "4, 5, 6"],
    ],
)
def test_positions_are_read_however_a_peer_stored_them(tmp_path, coord):
    picks = read_picks([write_peer_export(tmp_path / "a.parquet", coord)])
    np.testing.assert_array_equal(picks.coord, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("coord", [["1,2", "3"], [["a", "b", "c"]] * 2, ["1,2,nan"]])
def test_what_is_no_position_is_rejected_with_the_entry(tmp_path, coord):
    path = write_peer_export(tmp_path / "a.parquet", coord)
    with pytest.raises(ArtifactError, match=r"a\.parquet: coord .* is not x, y, z"):
        read_picks([path])


def test_export_without_a_tomogram_name_is_rejected(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"coord": ["1,2,3"]}).to_parquet(path)
    with pytest.raises(ArtifactError, match="lacks the column"):
        read_picks([path])


def test_folders_and_files_unite_and_each_file_counts_once(tmp_path):
    first = write_peer_export(tmp_path / "a.parquet", ["1,2,3"])
    second = write_peer_export(tmp_path / "b.parquet", ["4,5,6"])
    (tmp_path / "notes.txt").write_text("no picks here")
    # As macOS leaves beside each file on a disk of another kind.
    (tmp_path / "._a.parquet").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    assert find_exports([first, tmp_path]) == [first, second]


def test_folder_without_exports_says_where_they_are(tmp_path):
    (tmp_path / "exports").mkdir()
    with pytest.raises(ArtifactError, match="did you mean .*exports"):
        find_exports([tmp_path])


def test_a_tomogram_that_two_runs_read_differently_is_rejected(tmp_path):
    for number, voxel_size in enumerate((10.0, 12.0)):
        record = make_record({"tomo1": {**KNOWN, "voxel_size": voxel_size}})
        make_table(record=record).save(tmp_path / f"{number}.parquet")
    with pytest.raises(ArtifactError, match=r"read tomo1 differently \(voxel_size"):
        read_picks(find_exports([tmp_path]))


def test_tomograms_of_one_name_from_other_files_are_not_joined(tmp_path):
    (tmp_path / "link.rec").symlink_to(tmp_path / "a.rec")
    for number, rec in enumerate(("a.rec", "link.rec", "b.rec")):
        known = {**KNOWN, "rec_path": str(tmp_path / rec)}
        make_table(record=make_record({"tomo1": known})).save(
            tmp_path / f"{number}.parquet"
        )
    first, linked, other = find_exports([tmp_path])
    assert len(read_picks([first, linked])) == 24
    with pytest.raises(
        ArtifactError, match=r"rec_path .*b\.rec and .*a\.rec.*separately"
    ):
        read_picks([first, other])


def test_flipped_angles_of_one_run_stay_in_doubt_for_the_joined_picks(tmp_path):
    for number, mode in enumerate(("simsiam3d", "simsiam2d3d")):
        options = asdict(small_options(mode, flip_tilt_angles=True))
        record = make_record({"tomo1": KNOWN}, **options)
        make_table(record=record).save(tmp_path / f"{number}.parquet")
    plain, flipped = find_exports([tmp_path])
    told = [read_picks(files) for files in ([plain], [flipped], [plain, flipped])]
    # A run of tomograms alone has no angles to flip.
    assert ["tomo1" in picks.flipped for picks in told] == [0, 1, 1]


@pytest.mark.parametrize("other", [{"compress": False}, {}], ids=["whole", "unsaid"])
def test_halved_and_whole_z_do_not_mix(tmp_path, other):
    for number, options in enumerate(({"compress": True}, other)):
        make_table(record=make_record(**options)).save(tmp_path / f"{number}.parquet")
    with pytest.raises(ArtifactError, match="some of the files were read with --compr"):
        read_picks(find_exports([tmp_path]))


# --- choosing ------------------------------------------------------------------


def test_labels_are_numbers_and_ranges():
    assert parse_labels("3,7-9", "--labels") == {3, 7, 8, 9}


@pytest.mark.parametrize("text", ["", "a", "3;4", "9-7", "1,,2", "-1", "0-999999999"])
def test_what_is_no_label_is_rejected(text):
    with pytest.raises(OptionError, match="rising range"):
        parse_labels(text, "--labels")


@given(st.sets(st.integers(0, 200), min_size=1))
def test_ranges_read_back_as_the_labels_they_were_made_of(labels):
    assert parse_labels(as_ranges(labels), "--labels") == labels


def test_labels_choose_exactly_their_rows():
    table = make_table(12, clusters=4)
    picks = Picks(table.name, table.coord, table.label)
    chosen = select_labels(picks, labels="1-3", exclude="2")
    rows = np.isin(table.label, [1, 3])
    np.testing.assert_array_equal(chosen.coord, table.coord[rows])
    np.testing.assert_array_equal(chosen.name, table.name[rows])


def test_a_label_that_is_not_there_is_rejected_with_those_that_are():
    picks = Picks(np.array(["t", "t"]), np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(OptionError, match=r"label 1, 3; labels here are 0,2"):
        select_labels(picks, labels="0-3")


def test_excluding_everything_is_rejected():
    picks = Picks(np.array(["t", "t"]), np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(OptionError, match="leave no cluster"):
        select_labels(picks, exclude="0,2")


def test_a_position_counts_once_a_tomogram():
    picks = Picks(
        name=np.array(["t1", "t2", "t1", "t1"]),
        coord=np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 4]]),
    )
    single = drop_repeated(picks)
    assert single.name.tolist() == ["t1", "t2", "t1"]
    assert single.coord.tolist() == [[1, 2, 3], [1, 2, 3], [1, 2, 4]]


def test_doubling_changes_z_alone():
    assert double_z(one_pick((10, 20, 30))).coord.tolist() == [[10, 20, 60]]


# --- writing -------------------------------------------------------------------


def test_relion5_measures_from_half_the_size(tmp_path):
    # by hand: x (10 - 50) * 10 A, y (20 - 40) * 10 A, z (30 - 30.5) * 10 A
    path = tmp_path / "picks.star"
    write_coordinates(path, one_pick(), kind="star5", binning=4)
    row = starfile.read(path).iloc[0]
    found = [row[f"rlnCenteredCoordinate{axis}Angst"] for axis in "XYZ"]
    np.testing.assert_allclose(found, [-400, -200, -5])
    assert row["rlnTomoName"] == "tomo1"
    assert "size / 2" in path.read_text().splitlines()[0]


def test_relion5_center_of_the_tomogram_is_its_origin(tmp_path):
    path = tmp_path / "picks.star"
    write_coordinates(path, one_pick((50, 40, 30.5)), kind="star5")
    row = starfile.read(path).iloc[0]
    assert [row[f"rlnCenteredCoordinate{axis}Angst"] for axis in "XYZ"] == [0, 0, 0]


def test_relion4_counts_pixels_of_the_unbinned_series(tmp_path):
    path = tmp_path / "picks.star"
    write_coordinates(path, one_pick(), kind="star", binning=6)
    row = starfile.read(path).iloc[0]
    assert [row[f"rlnCoordinate{axis}"] for axis in "XYZ"] == [60, 120, 180]


def test_star_survives_a_round_trip(tmp_path):
    table = make_table(40)
    path = tmp_path / "picks.star"
    write_coordinates(path, Picks(table.name, table.coord), kind="star", order="zxy")
    read = starfile.read(path)
    columns = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    np.testing.assert_array_equal(read[columns].to_numpy(), table.coord)
    assert read["rlnTomoName"].tolist() == table.name.tolist()
    starfile.write({"particles": read}, tmp_path / "again.star")
    pd.testing.assert_frame_equal(starfile.read(tmp_path / "again.star"), read)


def test_imod_point_is_half_a_voxel_on_in_x_and_y(tmp_path):
    path = tmp_path / "picks.txt"
    write_coordinates(path, one_pick(), kind="imod")
    assert path.read_text() == "10.5 20.5 30\n"


def test_portal_points_are_voxels_whatever_their_size(tmp_path):
    path = tmp_path / "picks.ndjson"
    for voxel_size in (13.48, None):
        write_coordinates(path, one_pick(voxel_size=voxel_size), kind="ndjson")
        (line,) = path.read_text().splitlines()
        location = {"x": 10, "y": 20, "z": 30}
        assert json.loads(line) == {"type": "point", "location": location}


@pytest.mark.parametrize(
    ("z", "depth", "whole"),
    [(0, 60, 0.5), (29, 60, 58.5), (30, 61, 60), (29, 61, 58.5)],
)
def test_a_slice_without_partner_stays_where_it_is(tmp_path, z, depth, whole):
    picks = one_pick((10, 20, z), shape=[depth, 80, 100])
    write_coordinates(tmp_path / "p", picks, kind="imod", halved=True)
    assert (tmp_path / "p").read_text().split()[2] == f"{whole:g}"


def test_tomograms_of_different_orders_go_into_one_file(tmp_path):
    known = TomogramRecord(**KNOWN)
    known = {"tomo1": known, "tomo2": replace(known, order="xzy")}
    coord = np.array([[10, 20, 30.0], [10, 20, 25]])
    picks = Picks(np.array(["tomo1", "tomo2"]), coord, tomograms=known)
    write_coordinates(tmp_path / "p.star", picks, kind="star")
    read = starfile.read(tmp_path / "p.star")
    assert read["rlnCoordinateZ"].tolist() == [30, 61 - 1 - 25]
    written = write_coordinates(tmp_path / "p.txt", picks, kind="imod")
    assert [path.read_text() for path in written] == [
        "10.5 20.5 30\n",
        "10.5 25.5 20\n",
    ]


@pytest.mark.parametrize("kind", ["imod", "ndjson"])
def test_formats_that_name_no_tomogram_get_a_file_each(tmp_path, kind):
    picks = Picks(np.array(["a", "b/c", "a"]), np.arange(9).reshape(3, 3))
    written = write_coordinates(tmp_path / "p.txt", picks, kind=kind, order="zxy")
    assert [path.name for path in written] == ["p_a.txt", "p_b_c.txt"]
    assert [len(path.read_text().splitlines()) for path in written] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "facts", "option"),
    [
        ("star5", {"voxel_size": None}, "--voxel_size"),
        ("star5", {"shape": None}, "--tomo_size"),
        ("star", {"shape": None, "order": "xzy"}, "--tomo_size"),
        ("ndjson", {"shape": None, "order": "xzy"}, "--tomo_size"),
        ("star", {"order": "xyz"}, "--z_axis"),
        ("star5", {"flipped": ["tomo1"]}, "--z_axis"),
        ("star", {"order": None}, "--order"),
        ("star5", {"order": None}, "--order"),
        ("imod", {"order": None}, "--order"),
        ("ndjson", {"order": None}, "--order"),
    ],
)
def test_what_the_run_does_not_know_is_asked_for(tmp_path, kind, facts, option):
    path = tmp_path / "picks"
    with pytest.raises(OptionError, match=f"not recorded for .*tomo1; give {option}"):
        write_coordinates(path, one_pick(**facts), kind=kind)
    assert not path.exists()


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_the_table_of_the_refinement_module_needs_no_facts(tmp_path, kind):
    picks = Picks(np.array(["tomo1"]), np.array([[10, 20, 30]]))
    write_coordinates(tmp_path / "picks", picks, kind=kind)
    assert "30" in (tmp_path / "picks").read_text()


def test_what_is_given_wins_over_what_the_run_knows(tmp_path):
    path = tmp_path / "picks.star"
    write_coordinates(
        path, one_pick(), kind="star5", voxel_size=2, size=parse_size("40,30,60")
    )
    assert starfile.read(path)["rlnCenteredCoordinateYAngst"].item() == 10


def test_an_order_other_than_the_run_read_is_rejected(tmp_path):
    with pytest.raises(OptionError, match="--order xzy given, but the run read tomo1"):
        write_coordinates(tmp_path / "p", one_pick(), kind="imod", order="xzy")


def test_a_size_that_does_not_hold_the_picks_is_rejected(tmp_path):
    size = parse_size("100,80,30")  # z is 30: in the slice after the last
    with pytest.raises(OptionError, match="1 of 1 picks lie outside .*--tomo_size"):
        write_coordinates(tmp_path / "p", one_pick(), kind="star5", size=size)


@pytest.mark.parametrize("kind", ["txt", "csv", "imod", "ndjson"])
def test_direction_of_z_is_rejected_where_it_changes_nothing(tmp_path, kind):
    with pytest.raises(OptionError, match="leave it out"):
        write_coordinates(tmp_path / "p", one_pick(), kind=kind, z_axis="relion")


@pytest.mark.parametrize("text", ["10,20", "10,20,0", "a,b,c", "1.5,2,3"])
def test_what_is_no_size_is_rejected(text):
    with pytest.raises(OptionError, match="expected x,y,z"):
        parse_size(text)


@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_scales_must_be_positive(tmp_path, value):
    with pytest.raises(OptionError, match="above 0"):
        write_coordinates(tmp_path / "p", one_pick(), kind="star", binning=value)
    with pytest.raises(OptionError, match="above 0"):
        write_coordinates(tmp_path / "p", one_pick(), kind="star5", voxel_size=value)


def test_ending_names_the_format_unless_it_is_given():
    kinds = {"a.txt": "txt", "a.STAR": "star", "a.csv": "csv", "a.ndjson": "ndjson"}
    assert {name: choose_format(Path(name)) for name in kinds} == kinds
    assert choose_format(Path("a.star"), "star5") == "star5"


# --- the script ----------------------------------------------------------------


def test_documented_command_writes_the_table_of_the_refinement_module(tmp_path):
    table = make_table(12, clusters=3)
    folder = tmp_path / "path_to_dir_of_parquets"
    write_export(table, [0, 3, 6], folder)
    write_export(table, [6, 1], folder)
    done = convert(
        *("--input", "path_to_dir_of_parquets"),
        *("--output", "training_coordinates.txt"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "1 picked more than once" in done.stdout
    read = pd.read_csv(tmp_path / "training_coordinates.txt", sep="\t")
    assert list(read) == ["image_name", "x_coord", "y_coord", "z_coord"]
    rows = [0, 3, 6, 1]
    np.testing.assert_array_equal(read.to_numpy()[:, 1:], table.coord[rows])
    assert read["image_name"].tolist() == table.name[rows].tolist()
    assert "warning" not in done.stderr


def test_output_never_replaces_an_input(tmp_path):
    export = write_peer_export(tmp_path / "a.parquet", ["1,2,3"])
    before = export.read_bytes()
    done = convert("--input", "a.parquet", "--output", export, cwd=tmp_path)
    assert done.returncode == 2
    assert "a.parquet is an input too; name another file" in done.stderr
    assert export.read_bytes() == before


def test_clusters_are_taken_without_a_browser_and_z_doubled_where_halved(tmp_path):
    table = make_table(record=make_record(compress=True))
    table.save(tmp_path / "interactive_info_parquet.gzip")
    arguments = ["--input", "interactive_info_parquet.gzip", "--labels", "1"]
    plain = convert(*arguments, "--output", "a.csv", cwd=tmp_path)
    assert "add --if_double" in plain.stderr
    doubled = convert(*arguments, "--output", "b.csv", "--if_double", cwd=tmp_path)
    assert (doubled.returncode, doubled.stderr) == (0, "")
    chosen = table.coord[table.label == 1]
    halved, whole = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    np.testing.assert_array_equal(halved["z_coord"], chosen[:, 2])
    np.testing.assert_array_equal(whole["z_coord"], 2 * chosen[:, 2])


def test_doubling_against_what_the_run_knows_is_rejected_where_it_would_be_wrong(
    tmp_path,
):
    make_table().save(tmp_path / "t.gzip")
    arguments = ["--input", "t.gzip", "--output", "o", "--if_double", "--format"]
    done = convert(*arguments, "imod", "--order", "zxy", cwd=tmp_path)
    assert done.returncode == 2
    assert "did not read with --compress; leave it out" in done.stderr
    assert not (tmp_path / "o").exists()
    done = convert(*arguments, "txt", cwd=tmp_path)
    assert "did not read with --compress" in done.stderr
    assert done.returncode == 0


def test_a_peers_picks_are_exported_with_what_is_said_of_them(tmp_path):
    write_peer_export(tmp_path / "a.parquet", ["10,20,30"])
    arguments = ["--input", "a.parquet", "--output", "o.star"]
    done = convert(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "give --order, one of xzy, zxy, xyz, yxz" in done.stderr
    assert not (tmp_path / "o.star").exists()
    arguments += ["--order", "xzy", "--tomo_size", "100,80,200", "--if_double"]
    assert convert(*arguments, cwd=tmp_path).returncode == 0
    row = starfile.read(tmp_path / "o.star").iloc[0]
    assert row["rlnCoordinateZ"] == 200 - 1 - 60.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "empty", "--output", "o"], "holds no \\*.parquet"),
        (["--input", "none", "--output", "o"], "does not exist"),
        (["--input", "a.txt", "--output", "o"], "not a parquet file"),
        (["--input", "t.gzip", "--output", "o", "--labels", "7"], "no candidate has"),
    ],
)
def test_bad_input_is_rejected_in_one_line_and_nothing_written(
    tmp_path, arguments, said
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("1 2 3\n")
    make_table().save(tmp_path / "t.gzip")
    done = convert(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(said, done.stderr)
    assert not (tmp_path / "o").exists()


def test_what_is_given_against_the_run_is_said_with_both(tmp_path, capsys):
    given = {"voxel_size": 2.0, "size": parse_size("40,30,60")}
    write_coordinates(tmp_path / "p.star", one_pick(), kind="star5", **given)
    said = capsys.readouterr().err
    assert "--voxel_size 2 is used as given, but the run read 10 of tomo1" in said
    assert "--tomo_size 40,30,60 is used as given" in said
    assert "read 100,80,61 of tomo1" in said


def test_what_is_given_as_the_run_has_it_is_not_warned_of(tmp_path, capsys):
    given = {"voxel_size": 10.02, "size": parse_size("100,80,61")}
    write_coordinates(tmp_path / "p.star", one_pick(), kind="star5", **given)
    assert capsys.readouterr().err == ""


def test_folder_whose_name_is_no_text_is_read(tmp_path):
    folder = tmp_path / os.fsdecode(b"k\xe4se")  # Latin-1, as old disks have it
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    path = folder / "picks.parquet"
    path.write_bytes(write_peer_export(tmp_path / "p", [[1, 2, 3]]).read_bytes())
    assert read_picks([path]).coord.tolist() == [[1, 2, 3]]
