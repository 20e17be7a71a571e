"""Picked, excluded and trained again: the commands with coordinates of one's own."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import plot_2d
from lib.artifacts import EmbeddingTable, ExperimentDir
from lib.candidates.chosen import Chosen
from lib.coordinates.reading import read_coordinates
from lib.export.formats import write_coordinates
from lib.export.picks import read_picks
from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.patches.selection import not_empty
from lib.session.export import export_classes
from lib.session.requests import pack_rows
from lib.training.checkpoints import load_checkpoint
from lib.training.embed_list import check_not_replaced
from tests.data_sets import SHAPE, small_options, write_data_set
from tests.scripts import PROJECT, call
from tests.session_client import Asked
from tests.small_runs import embed_command, folder_of, train_command


def run(command, code=0):
    return call(*command, cwd=PROJECT, code=code)


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write_data_set(tmp_path_factory.mktemp("data"), ("tomo1", "tomo2", "tomo3"))


@pytest.fixture(scope="module")
def searched(listed, tmp_path_factory):
    """A run on the candidates of the search, with its page's table."""
    exp = tmp_path_factory.mktemp("searched")
    run(train_command(listed, exp, epochs=1))
    run(embed_command(listed, exp))
    write_table(folder_of(exp))
    return exp


def write_table(folder):
    """Write what plot_2d.py leaves for the session, with a map of no meaning."""
    experiment = ExperimentDir(folder)
    table = EmbeddingTable.load(experiment.embeddings)
    cloud = np.random.default_rng(0).random((len(table), 3)).astype("f4")
    plot_2d.save_for_session(
        experiment,
        table,
        np.arange(len(table)) % 3,
        cloud[:, :2],
        cloud,
        np.zeros((len(table), 8, 8), np.uint8),
        SimpleNamespace(host=7000),
        SimpleNamespace(mode="umap"),
    )
    return experiment.interactive_table


@pytest.fixture(scope="module")
def picked(searched):
    """An export of every third candidate."""
    with Asked(ExperimentDir(folder_of(searched)).interactive_table) as asked:
        answer = asked.post("/api/export", {"what": "rows", "rows": every_third(asked)})
        assert answer.status_code == 200, answer.text
        return ExperimentDir(folder_of(searched)).exports / answer.json()["name"]


def every_third(asked):
    count = len(asked.candidates)
    return pack_rows(np.arange(0, count, 3), count)


def keys(names, coords):
    rows = zip(list(names), np.asarray(coords).tolist(), strict=True)
    return [(name, *row) for name, row in rows]


def embedded(exp):
    table = EmbeddingTable.load(ExperimentDir(folder_of(exp)).embeddings)
    return table, keys(table.name, table.coords)


@pytest.fixture(scope="module")
def again(listed, picked, tmp_path_factory):
    """A run that was trained and embedded on the picks of the first."""
    exp = tmp_path_factory.mktemp("again")
    own = ("--coords", picked)
    said = run(train_command(listed, exp, "--exp_id", "default", *own, epochs=1))
    run(embed_command(listed, exp, *own))
    write_table(folder_of(exp))
    return exp, said.stdout


def test_picks_are_trained_and_embedded_in_place_of_the_search(picked, again):
    exp, said = again
    picks = read_picks([picked])
    table, found = embedded(exp)
    assert sorted(found) == sorted(keys(picks.name, picks.coord))
    assert f"{len(picks)} positions" in said
    # the cluster of each in the table it was picked from
    label = dict(zip(keys(picks.name, picks.coord), picks.label, strict=True))
    assert table.given_label.tolist() == [str(label[key]) for key in found]
    assert load_checkpoint(
        folder_of(exp) / "model_last.pth"
    ).record.n_candidates == len(picks)


def test_the_page_tells_where_a_run_comes_from(searched, picked, again):
    with Asked(ExperimentDir(folder_of(searched)).interactive_table) as asked:
        assert asked.get("/api/session").json()["history"] == []
        rows = len(asked.candidates)
    exp, _ = again
    path = ExperimentDir(folder_of(exp)).interactive_table
    with Asked(path) as asked:
        (line,) = asked.get("/api/session").json()["history"]
        count = len(asked.candidates)
    assert line == (
        f"trained on and embedded {count} positions picked in run default of {rows} "
        f"candidates (exports/{picked.name})"
    )


def test_history_goes_on_with_picks_of_picks(listed, again, tmp_path):
    exp, _ = again
    table = ExperimentDir(folder_of(exp)).interactive_table
    with Asked(table) as asked:
        body = {"what": "rows", "rows": every_third(asked), "format": "csv"}
        name = asked.post("/api/export", body).json()["name"]
    path = ExperimentDir(folder_of(exp)).exports / name
    header, first = path.read_text().splitlines()[:2]
    assert header.endswith(",given_label") and first[-1].isdigit()
    command = embed_command(listed, exp, "--coords", path, "--exp_id", "third")
    run(command)
    with Asked(write_table(exp / "simsiam3d" / "third")) as asked:
        lines = asked.get("/api/session").json()["history"]
    assert lines[0].startswith("embedded ") and f"(exports/{name})" in lines[0]
    assert any(line.startswith("before that, ") for line in lines)


def test_nothing_of_the_first_run_is_changed_and_its_model_is_not_replaced(
    listed, picked, searched
):
    folder = folder_of(searched)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    said = run(train_command(listed, searched, "--coords", picked, epochs=1), code=2)
    assert "holds a trained model" in said.stderr
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    assert before == after


def test_table_that_was_picked_from_is_not_replaced_by_its_picks(
    listed, searched, picked, again
):
    table = ExperimentDir(folder_of(searched)).embeddings
    before = table.read_bytes()
    said = run(embed_command(listed, searched, "--coords", picked), code=2).stderr
    assert f"{table} holds other candidates" in said
    assert "choose another --exp_id" in said
    assert table.read_bytes() == before
    given = EmbeddingTable.load(
        ExperimentDir(folder_of(again[0])).embeddings
    ).record.lineage.given
    own = tuple(file for file in given if file.step == "embedding")
    check_not_replaced(ExperimentDir(folder_of(again[0])).embeddings, own)
    check_not_replaced(table, ())


def test_given_candidates_are_kept_by_their_positions_alone(listed, tmp_path, capsys):
    rows = read_image_list(
        listed, project=listed.parent, needs_tilts=False, order="zxy"
    )[:1]
    coords = np.array([[30, 31, 12], [40, 41, 12]], np.int32)

    def prepare(coords, **changes):
        chosen = Chosen(given={"tomo1": coords})
        options = small_options(**changes)
        return prepare_store(
            rows, options, cache=tmp_path, workers=0, chosen=chosen
        ), "preparing" in capsys.readouterr().out

    first, made = prepare(coords)
    assert made and first.coords.tolist() == coords.tolist()
    again, made = prepare(coords, sigmas=(2.0, 4.0), dog_boundary=9, bright=True)
    assert not made and again.coords.tolist() == coords.tolist()
    assert prepare(coords, gauss=1.5)[1]  # what is seen of them
    other, made = prepare(coords[::-1])
    assert made and other.coords.tolist() == coords[::-1].tolist()


def test_columns_of_a_table_travel_to_npz_parquet_and_exports(
    listed, searched, tmp_path
):
    table, found = embedded(searched)
    rows = pd.DataFrame(found[:9], columns=["name", "x", "y", "z"])
    rows["score"] = np.arange(9) / 8
    rows["class"] = [f"kind, {n}" for n in range(9)]
    rows["CCC peak"] = np.arange(9) / 4
    rows["density"] = 7.0  # measured again
    rows["note"] = "no number"
    rows[::-1].to_csv(tmp_path / "mine.csv", index=False)
    command = embed_command(listed, searched, "--coords", tmp_path / "mine.csv")
    run([*command, "--exp_id", "columns"])
    folder = searched / "simsiam3d" / "columns"
    again = EmbeddingTable.load(folder / "all_output_info.npz")
    expected = {key: (n / 8, f"kind, {n}") for n, key in enumerate(found[:9])}
    for key, score, label in zip(
        keys(again.name, again.coords),
        again.given_score.tolist(),
        again.given_label.tolist(),
        strict=True,
    ):
        assert (score, label) == expected[key]
    peaks = {key: n / 4 for n, key in enumerate(found[:9])}
    measured = again.measures["given_CCC_peak"].tolist()
    assert dict(zip(keys(again.name, again.coords), measured, strict=True)) == peaks
    assert "given_note" not in again.measures
    assert "given_density" not in again.measures
    assert (again.measures["density"] != 7).any()
    with Asked(write_table(folder)) as asked:
        offered = asked.get("/api/session").json()["measures"]
        shown = {measure["name"]: measure["title"] for measure in offered}
        assert shown["given_CCC_peak"] == "CCC_peak of the coordinates that were given"
        asked.candidates.score = None
        body = {"what": "rows", "rows": every_third(asked)}
        path, _ = export_classes(asked.candidates, asked.journal.classes, body, 9)
    picks = read_picks([path])
    assert [expected[key] for key in keys(picks.name, picks.coord)] == list(
        zip(picks.given_score, picks.given_label, strict=True)
    )
    (written,) = write_coordinates(tmp_path / "o.csv", picks, kind="csv")
    frame = pd.read_csv(written)
    assert frame.given_label.tolist() == picks.given_label.tolist()
    assert frame.given_score.tolist() == picks.given_score.tolist()
    assert frame.given_CCC_peak.tolist() == [
        peaks[key] for key in keys(picks.name, picks.coord)
    ]
    assert "given_CCC_peak" in read_coordinates(path).more  # of the next run


def test_candidates_near_excluded_positions_are_left_out(listed, searched, tmp_path):
    table, found = embedded(searched)
    away = table.coords[:4] + (1, 0, 0)
    frame = pd.DataFrame(away, columns=["x", "y", "z"])
    frame.insert(0, "name", table.name[:4])
    frame.to_csv(tmp_path / "no.csv", index=False)
    more = ("--exclude_coords", tmp_path / "no.csv", "--exclude_distance", 9)
    said = run(embed_command(listed, searched, *more, "--exp_id", "without"))
    rows = EmbeddingTable.load(searched / "simsiam3d/without/all_output_info.npz")
    near = [
        any(
            name == table.name[n] and np.linalg.norm(coord - away[n]) <= 9
            for n in range(4)
        )
        for name, coord in zip(table.name, table.coords, strict=True)
    ]
    kept = [key for key, close in zip(found, near, strict=True) if not close]
    assert keys(rows.name, rows.coords) == kept
    assert f"{sum(near)} candidates left out: within 9 voxels" in said.stdout


def test_what_is_left_out_of_a_tomogram_without_a_rest_is_counted(capsys):
    def entry(name, rows, **left_out):
        return SimpleNamespace(
            coords=np.zeros((rows, 3), int),
            metadata=SimpleNamespace(
                name=name, **{"excluded": None, "left_out": 0, **left_out}
            ),
        )

    entries = [
        entry("tomo1", 0, excluded=10, left_out=3),
        entry("tomo2", 4, excluded=1),
    ]
    chosen = Chosen(given={}, excluded={"tomo1": np.zeros((1, 3))}, distance=2.0)
    kept = not_empty(entries, small_options(), chosen, quiet=False)
    assert [entry.metadata.name for entry in kept] == ["tomo2"]
    said = capsys.readouterr()
    assert "11 candidates left out: within 2 voxels" in said.out
    assert "3 positions of --coords left out: too near an edge" in said.out
    assert "no candidates in tomo1; left out" in said.err
    not_empty(entries, small_options(), chosen, quiet=True)
    assert capsys.readouterr().out == ""


def test_dry_run_draws_the_given_positions(listed, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("name,x,y,z\ntomo2,30,31,12\ntomo2,40,41,12\n")
    more = ("--coords", path, "--dry_run")
    said = run(train_command(listed, tmp_path, *more, epochs=1)).stdout
    assert "2 candidates in 1 of 1 tomograms" in said
    assert "no coordinates for 2 of 3 tomograms (tomo1, tomo3): left out" in said
    (picture,) = folder_of(tmp_path).glob("candidates_*.png")
    assert picture.name == "candidates_tomo2.png"
    with Image.open(picture) as drawn:
        assert drawn.width > 100
    assert not list((tmp_path / ".patches").glob("candidates-*"))


def test_positions_near_the_border_are_counted_or_refused(listed, searched, tmp_path):
    path, last = tmp_path / "own.csv", SHAPE[2] - 1
    path.write_text(f"name,x,y,z\ntomo1,30,31,12\ntomo1,{last},41,12\n")
    command = embed_command(listed, searched, "--coords", path, "--exp_id", "border")
    said = run(command).stdout
    assert "1 positions of --coords left out: too near an edge" in said
    assert "1 candidates embedded" in said
    path.write_text(f"name,x,y,z\ntomo1,{last},41,12\n")
    said = run([*command, "--exp_id", "nothing"], code=2).stderr
    assert "none of the positions of --coords has a whole patch" in said
    assert not (searched / "simsiam3d" / "nothing").exists()


def test_refusal_leaves_nothing_behind(listed, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("name,x,y,z\ntomo1,3000,31,12\n")
    exp = tmp_path / "exp"
    said = run(train_command(listed, exp, "--coords", path, epochs=1), code=2)
    assert re.search(r"own\.csv: 1 of 1 positions lie outside tomo1", said.stderr)
    assert not exp.exists()


def test_resumed_run_needs_the_same_files(listed, picked, tmp_path):
    command = train_command(listed, tmp_path, "--coords", picked, epochs=1)
    run(command)
    without = train_command(listed, tmp_path, "--resume", epochs=2)
    assert f"--coords {picked.resolve()}" in run(without, code=2).stderr
    run([*without, "--coords", picked])
    config = folder_of(tmp_path) / "opts.yaml"
    words = [PROJECT / "simsiam_main.py", "simsiam3d", "--config", config]
    said = run([*words, "--exp_id", "repeated", "--dry_run"]).stdout
    assert f"--coords {picked.resolve()}" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--coords_bin", 2], "--coords_bin is for --coords"),
        (["--exclude_distance", 2, "--coords", "a"], "--exclude_distance is for"),
        (
            ["--coords", "a", "--coords_bin", 2, "--coords_voxel_size", 2],
            "say the same: give one",
        ),
        (["--coords", "nowhere.csv"], "--coords: nowhere.csv does not exist"),
    ],
)
def test_contradicting_options_are_refused(listed, tmp_path, words, said):
    command = train_command(listed, tmp_path, *words, epochs=1)
    assert said in run(command, code=2).stderr
