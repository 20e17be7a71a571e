import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st

from lib.artifacts import ArtifactError
from lib.coordinate_formats import choose_format, parse_size, write_coordinates
from lib.coordinates import (
    Picks,
    as_ranges,
    double_z,
    drop_repeated,
    find_exports,
    parse_labels,
    read_picks,
    select_labels,
)
from lib.errors import OptionError
from lib.session.export import write_export
from tests.session_runs import PROJECT, make_table

SCRIPT = PROJECT / "interactive_to_training_coords.py"
# one voxel of a tomogram of 100 x 80 x 61 voxels (x, y, z) of 10 A
KNOWN = {"shape": [61, 80, 100], "voxel_size": 10.0}


def convert(*arguments, cwd):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def one_pick(coord=(10, 20, 30), **facts):
    return Picks(
        name=np.array(["tomo1"]),
        coord=np.array([coord]),
        tomograms={"tomo1": {**KNOWN, **facts}},
    )


def write_peer_export(path, coord, name="tomo1"):
    """Write an export as the peer's session does: no label, no metadata."""
    frame = pd.DataFrame({"name": [name] * len(coord), "coord": coord})
    frame.to_parquet(path)
    return path


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
def test_what_is_no_position_is_refused_with_the_entry(tmp_path, coord):
    path = write_peer_export(tmp_path / "a.parquet", coord)
    with pytest.raises(ArtifactError, match=r"a\.parquet: coord .* is not x, y, z"):
        read_picks([path])


def test_export_without_a_tomogram_name_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"coord": ["1,2,3"]}).to_parquet(path)
    with pytest.raises(ArtifactError, match="lacks the column"):
        read_picks([path])


def test_folders_and_files_unite_and_each_file_counts_once(tmp_path):
    first = write_peer_export(tmp_path / "a.parquet", ["1,2,3"])
    second = write_peer_export(tmp_path / "b.parquet", ["4,5,6"])
    (tmp_path / "notes.txt").write_text("no picks here")
    assert find_exports([first, tmp_path]) == [first, second]


def test_folder_without_exports_says_where_they_are(tmp_path):
    (tmp_path / "exports").mkdir()
    with pytest.raises(ArtifactError, match="did you mean .*exports"):
        find_exports([tmp_path])


def test_a_tomogram_that_two_runs_read_differently_is_refused(tmp_path):
    for number, voxel_size in enumerate((10.0, 12.0)):
        provenance = {"tomograms": {"tomo1": {**KNOWN, "voxel_size": voxel_size}}}
        make_table(provenance=provenance).save(tmp_path / f"{number}.parquet")
    with pytest.raises(ArtifactError, match=r"read tomo1 differently \(voxel_size"):
        read_picks(find_exports([tmp_path]))


def test_halved_and_whole_z_do_not_mix(tmp_path):
    for compress in (False, True):
        provenance = {"options": {"compress": compress}}
        make_table(provenance=provenance).save(tmp_path / f"{compress}.parquet")
    with pytest.raises(ArtifactError, match="some of the files were read with --compr"):
        read_picks(find_exports([tmp_path]))


# --- choosing ------------------------------------------------------------------


def test_labels_are_numbers_and_ranges():
    assert parse_labels("3,7-9", "--labels") == {3, 7, 8, 9}


@pytest.mark.parametrize("text", ["", "a", "3;4", "9-7", "1,,2", "-1", "0-999999999"])
def test_what_is_no_label_is_refused(text):
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


def test_a_label_that_is_not_there_is_refused_with_those_that_are():
    picks = Picks(np.array(["t", "t"]), np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(OptionError, match=r"label 1, 3; labels here are 0,2"):
        select_labels(picks, labels="0-3")


def test_excluding_everything_is_refused():
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


def test_relion5_centre_of_the_tomogram_is_its_origin(tmp_path):
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
    write_coordinates(path, Picks(table.name, table.coord), kind="star")
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


def test_portal_points_are_angstrom(tmp_path):
    path = tmp_path / "picks.ndjson"
    write_coordinates(path, one_pick(voxel_size=13.48), kind="ndjson")
    (line,) = path.read_text().splitlines()
    location = {"x": 134.8, "y": 269.6, "z": 404.4}
    assert json.loads(line) == {"type": "point", "location": location}


@pytest.mark.parametrize("kind", ["imod", "ndjson"])
def test_formats_that_name_no_tomogram_get_a_file_each(tmp_path, kind):
    picks = Picks(np.array(["a", "b/c", "a"]), np.arange(9).reshape(3, 3))
    written = write_coordinates(tmp_path / "p.txt", picks, kind=kind, voxel_size=1)
    assert [path.name for path in written] == ["p_a.txt", "p_b_c.txt"]
    assert [len(path.read_text().splitlines()) for path in written] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "unknown", "option"),
    [
        ("star5", "voxel_size", "--voxel_size"),
        ("star5", "shape", "--tomo_size"),
        ("ndjson", "voxel_size", "--voxel_size"),
    ],
)
def test_what_the_run_does_not_know_is_asked_for(tmp_path, kind, unknown, option):
    path = tmp_path / "picks"
    with pytest.raises(OptionError, match=f"know .*tomo1; give {option}"):
        write_coordinates(path, one_pick(**{unknown: None}), kind=kind)
    assert not path.exists()


def test_what_is_given_wins_over_what_the_run_knows(tmp_path):
    path = tmp_path / "picks.star"
    write_coordinates(
        path, one_pick(), kind="star5", voxel_size=2, size=parse_size("20,20,20")
    )
    assert starfile.read(path)["rlnCenteredCoordinateYAngst"].item() == 20


@pytest.mark.parametrize("text", ["10,20", "10,20,0", "a,b,c", "1.5,2,3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(OptionError, match="expected x,y,z"):
        parse_size(text)


@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_scales_must_be_positive(tmp_path, value):
    with pytest.raises(OptionError, match="above 0"):
        write_coordinates(tmp_path / "p", one_pick(), kind="star", binning=value)
    with pytest.raises(OptionError, match="above 0"):
        write_coordinates(tmp_path / "p", one_pick(), kind="ndjson", voxel_size=value)


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


def test_clusters_are_taken_without_a_browser_and_z_doubled_where_halved(tmp_path):
    table = make_table(provenance={"options": {"compress": True}})
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "empty", "--output", "o"], "holds no \\*.parquet"),
        (["--input", "none", "--output", "o"], "does not exist"),
        (["--input", "a.txt", "--output", "o"], "not a parquet file"),
        (["--input", "t.gzip", "--output", "o", "--labels", "7"], "no candidate has"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_written(
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
