"""Tables, tomograms and patches of every kind, opened in the explorer."""

import base64
import gzip
import os
import shutil
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lib.artifacts import ArtifactError, Columns, ExperimentDir, InteractiveTable
from lib.maps.averages import EXAMPLES, typical_rows
from lib.picking.likeness import unit_float16
from lib.run.record import RunRecord
from lib.session.patches import read_picture
from tests.mrc_files import write_mrc
from tests.records import make_record
from tests.session_client import Asked
from tests.session_runs import make_table, write_run
from tests.test_explorer import columns_of

SHAPE = (8, 20, 30)  # (Z, Y, X)
SLICE = "/api/slice?tomogram=0&index=3"


def write_tomogram(path, shape=SHAPE, seed=0):
    voxels = np.random.default_rng(seed).normal(size=shape).astype("f4")
    return write_mrc(path, voxels)


def table_of(path, rows=12, **changed):
    """Return a table of candidates in one tomogram, as the run noted it."""
    stat = path.stat()
    facts = {
        "rec_path": str(path),
        "order": "zxy",
        "shape": list(SHAPE),
        "file_bytes": stat.st_size,
        "file_time": stat.st_mtime_ns,
    }
    columns = {
        "name": np.array(["tomo1"] * rows),
        "coord": np.random.default_rng(1).integers(0, SHAPE[0], (rows, 3)),
        "record": make_record({"tomo1": facts}, compress=False),
    }
    return make_table(rows, **{**columns, **changed})


@pytest.fixture
def tomogram(tmp_path):
    return write_tomogram(tmp_path / "tomo1.mrc")


@pytest.fixture
def run(tmp_path, tomogram):
    return write_run(tmp_path / "run", table_of(tomogram))


def with_layout(table, seed=0):
    rng = np.random.default_rng(seed)
    return replace(
        table,
        map_xy=rng.random((len(table), 2)).astype("f4"),
        cloud=rng.random((len(table), 3)).astype("f4"),
    )


def save_columns(run, table):
    """Write the columns of a table as plot_2d.py does; return its patches."""
    names, tomogram = np.unique(table.name, return_inverse=True)
    numbers, cluster = np.unique(table.label, return_inverse=True)
    unit, _ = unit_float16(table.embeddings)
    folder = ExperimentDir(run.parent)
    pictures = [folder.patch_pictures / f"{row}.png" for row in range(len(table))]
    patches = np.stack([read_picture(path) for path in pictures])
    Columns(
        names=names.tolist(),
        numbers=numbers.tolist(),
        tomogram=tomogram,
        cluster=cluster,
        coord=table.coord,
        map_xy=table.map_xy,
        cloud=table.cloud,
        unit=unit,
        examples=typical_rows(unit, cluster, len(numbers), EXAMPLES),
        means=np.zeros((len(numbers), 36, 36)),
        patches={"slab": patches},
        layout={"map": "tsne", "cloud": "umap"},
    ).save(folder.columns, layout_id=table.layout_id)


def everything(asked, n_rows):
    """Check that all that the page needs is there; return the session."""
    told = asked.get("/api/session").json()
    assert told["rows"] == n_rows
    found = columns_of(asked.get("/api/points"))
    assert len(found["cluster"]) == n_rows and len(found["map"]) == 2 * n_rows
    assert found["cluster"].max() < len(told["clusters"])
    assert np.isfinite(found["position"]).all()
    edge = told["patches"]["edge"]
    answer = asked.post("/api/patches", {"rows": [0, n_rows - 1]})
    assert len(answer.content) == 2 * edge**2
    assert len(asked.get("/api/means").content) == len(told["clusters"]) * edge**2
    score = asked.post("/api/similar", {"rows": [n_rows - 1]}).content
    score = np.frombuffer(score, np.float16)
    assert len(score) == n_rows and np.isfinite(score).all()
    state = asked.act("assign", name="a", rows={"list": [n_rows - 1]})
    assert state["classes"][0]["count"] == 1
    body = {"what": "class", "class": 1, "similar": [0], "format": "txt"}
    assert asked.post("/api/export", body).json()["count"] == 1
    return told


# --- tables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rec_path", 3),
        ("order", ["zxy"]),
        ("shape", "abc"),
        ("shape", [1, 2]),
        ("voxel_size", float("nan")),
        ("voxel_size", "10"),
    ],
)
def test_a_damaged_record_is_named(run, key, value):
    table = InteractiveTable.load(run)
    facts = replace(table.record.tomogram("tomo1"), **{key: value})
    record = replace(table.record, tomograms={"tomo1": facts})
    replace(table, record=record).save(run)
    with pytest.raises(ArtifactError, match=f"{key} of tomogram tomo1") as error:
        Asked(run)
    assert str(run) in str(error.value)


def test_a_table_of_another_program_is_laid_out_here(tmp_path):
    rows = 30
    rng = np.random.default_rng(0)
    path = tmp_path / "run" / "interactive_info_parquet.gzip"
    path.parent.mkdir()
    coord = rng.integers(0, 50, (rows, 3))
    labels = rng.permutation(np.repeat([-1, 7, 70_000], 10))
    columns = {
        "name": ["a"] * rows,
        "coord": [[str(v) for v in row] for row in coord.tolist()],
        "embeddings": list(rng.normal(size=(rows, 8)).astype("f4")),
        "label": labels.tolist(),
        "image": [f"http://localhost:7000/imgs/{row}.png" for row in range(rows)],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="gzip")
    assert InteractiveTable.load(path).record == RunRecord()
    with Asked(path) as asked:
        told = everything(asked, rows)
        assert told["layout"]["map"] == told["layout"]["cloud"] == "pca"
        assert "plot_2d.py" in told["layout"]["note"]
        assert [c["number"] for c in told["clusters"]] == [-1, 7, 70_000]
        assert any("plot_2d.py" in note for note in told["notes"])
        assert "--rec_dir" in told["tomograms"][0]["why"]
        refused = asked.get(SLICE)
        assert refused.status_code == 404 and "--rec_dir" in refused.json()["error"]


@pytest.mark.parametrize(
    ("rows", "clusters", "dim"), [(1, 1, 16), (2, 2, 1), (5, 1, 2), (320, 300, 16)]
)
def test_few_candidates_and_few_or_many_clusters(tmp_path, rows, clusters, dim):
    table = make_table(rows, clusters=clusters, dim=dim)
    with Asked(write_run(tmp_path / "run", table)) as asked:
        told = everything(asked, rows)
        assert len(told["clusters"]) == clusters
        assert sum(c["count"] for c in told["clusters"]) == rows
        colors = [c["color"] for c in told["clusters"]]
        assert len(set(colors)) > 0.9 * clusters


def test_embeddings_that_are_not_finite_are_counted_and_like_nothing(tmp_path):
    table = make_table(12)
    table.embeddings[3], table.embeddings[5, 0] = np.nan, np.inf
    with Asked(write_run(tmp_path / "run", table)) as asked:
        told = everything(asked, 12)
        assert any("2 of 12" in note and "not finite" in note for note in told["notes"])
        score = asked.post("/api/similar", {"rows": [0, 3]}).content
        assert np.frombuffer(score, np.float16)[[3, 5]].tolist() == [0, 0]


@pytest.mark.parametrize("wrong", ["nan", "inf", "1e12", "", "here"])
def test_coordinates_that_are_no_numbers_are_named(tmp_path, wrong):
    path = write_run(tmp_path / "run", make_table(12), pictures=False)
    table = pyarrow.parquet.read_table(path)
    coord = table["coord"].to_pylist()
    coord[7][1] = wrong
    place = table.column_names.index("coord")
    table = table.set_column(place, "coord", pyarrow.array(coord))
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(ArtifactError, match="is not x, y, z") as error:
        Asked(path)
    assert repr(wrong) in str(error.value)


def test_candidates_outside_their_tomogram_are_said(tmp_path, tomogram):
    table = table_of(tomogram)
    table.coord[4] = (5, 5, SHAPE[0])
    with Asked(write_run(tmp_path / "run", table)) as asked:
        (told,) = everything(asked, 12)["tomograms"]
        assert not told["available"] and "1 candidates lie outside" in told["why"]


@pytest.mark.parametrize("missing", ["all", "one"])
def test_missing_patches_are_gray_and_said(run, missing):
    folder = ExperimentDir(run.parent).patch_pictures
    if missing == "all":
        shutil.rmtree(folder)
    else:
        (folder / "11.png").unlink()
    with Asked(run) as asked:
        told = everything(asked, 12)
        assert told["patches"]["available"] is (missing == "one")
        if missing == "all":
            assert any(str(folder) in note for note in told["notes"])
        else:
            patch = asked.post("/api/patches", {"rows": [11]}).content
            assert set(patch) == {128}


def test_a_replaced_table_is_not_exported_under_rows_of_the_earlier(run):
    table = InteractiveTable.load(run)
    with Asked(run) as asked:
        replace(table, embeddings=table.embeddings[::-1]).save(run)
        body = {"what": "rows", "rows": {"list": [1]}}
        assert "start the session again" in asked.refused("/api/export", body)
    assert not list((run.parent / "exports").glob("*"))


def test_an_export_that_fails_leaves_nothing(tmp_path):
    run = write_run(tmp_path / "run", make_table(record=RunRecord()), pictures=False)
    with Asked(run) as asked:
        body = {"what": "rows", "rows": {"list": [1]}, "format": "star5"}
        said = asked.refused("/api/export", body)
    assert "not recorded" in said
    # the page has no --order; the program that has it is named
    assert "give --order" in said and "interactive_to_training_coords.py" in said
    assert not list((run.parent / "exports").glob("*"))


def test_paths_whose_bytes_are_no_text_are_shown(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = write_tomogram(folder / "tomo1.mrc")
    with Asked(write_run(tmp_path / "run", table_of(path))) as asked:
        (told,) = everything(asked, 12)["tomograms"]
        assert told["available"] and asked.get(SLICE).status_code == 200
        path.unlink()
        assert asked.get(SLICE).status_code == 404


# --- columns beside the table ---------------------------------------------------------


@pytest.fixture
def mapped(tmp_path, tomogram):
    """A run with columns."""
    table = with_layout(table_of(tomogram))
    run = write_run(tmp_path / "run", table)
    save_columns(run, table)
    return run


def answers(run):
    """Return what the page is told: (session, points, patches, likeness)."""
    with Asked(run) as asked:
        told = asked.get("/api/session").json()
        body = {"rows": [3, 0, 11]}
        return (
            told,
            asked.get("/api/points").content,
            asked.post("/api/patches", body).content,
            asked.post("/api/similar", body).content,
        )


def test_columns_give_the_answers_of_the_table(mapped, monkeypatch):
    table = InteractiveTable.load(mapped)

    def refuse(*_, **__):
        raise AssertionError("the table was read")

    with monkeypatch.context() as patched:
        patched.setattr(InteractiveTable, "load", refuse)
        fast = answers(mapped)
    shutil.rmtree(ExperimentDir(mapped.parent).columns)
    slow = answers(mapped)
    assert fast[0].pop("layout") == {"map": "tsne", "cloud": "umap", "note": ""}
    assert slow[0].pop("layout")["cloud"] == "umap"
    assert fast == slow
    assert fast[0]["fingerprint"] == table.fingerprint


def relabeled(table):
    return replace(table, label=(np.arange(len(table)) + 1) % 2)


def moved(table):
    return with_layout(table, seed=1)


def recomputed(table):
    return replace(table, embeddings=table.embeddings + 1)


def reordered(table):
    return table.only(np.arange(len(table))[::-1])


def of_another_program(table):
    return replace(table, map_xy=None, cloud=None)


@pytest.mark.parametrize(
    "change", [relabeled, moved, recomputed, reordered, of_another_program]
)
def test_columns_of_an_earlier_table_are_not_used(mapped, change):
    table = change(InteractiveTable.load(mapped))
    table.save(mapped)
    ExperimentDir(mapped.parent).picture_record.unlink()
    with_stale = answers(mapped)
    shutil.rmtree(ExperimentDir(mapped.parent).columns)
    assert with_stale == answers(mapped)
    with Asked(mapped) as asked:
        found = columns_of(asked.get("/api/points"))
        np.testing.assert_array_equal(found["cluster"], table.label)
        np.testing.assert_array_equal(found["position"].reshape(3, -1).T, table.coord)


def test_an_export_is_shown_by_its_own_rows(mapped):
    with Asked(mapped) as asked:
        body = {"what": "rows", "rows": {"list": [2, 9]}, "format": "parquet"}
        kept = asked.post("/api/export", body).json()["kept"]
    with Asked(kept) as asked:
        told = everything(asked, 2)
        assert told["patches"]["available"]
        position = columns_of(asked.get("/api/points"))["position"].reshape(3, 2)
        table = InteractiveTable.load(mapped)
        np.testing.assert_array_equal(position.T, table.coord[[2, 9]])


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"PK\3\4"])
def test_damaged_columns_are_named(mapped, damage):
    folder = ExperimentDir(mapped.parent).columns
    (folder / "unit.npy").write_bytes(damage)
    with pytest.raises(ArtifactError, match="run plot_2d.py again") as error:
        Asked(mapped)
    assert str(folder) in str(error.value)


def test_columns_that_were_not_all_copied_are_not_used(mapped):
    (ExperimentDir(mapped.parent).columns / "unit.npy").unlink()
    with Asked(mapped) as asked:
        everything(asked, 12)


# --- tomograms ------------------------------------------------------------------------


def test_a_moved_tomogram_is_said_and_found_where_the_user_says(
    run, tomogram, tmp_path
):
    moved = tmp_path / "elsewhere" / tomogram.name
    moved.parent.mkdir()
    tomogram.rename(moved)
    with Asked(run) as asked:
        (told,) = everything(asked, 12)["tomograms"]
        assert not told["available"]
        assert str(tomogram) in told["why"] and "--rec_dir" in told["why"]
        assert "--rec_dir" in asked.get(SLICE).json()["error"]
    for where in ({"rec_dir": moved.parent}, {"listed": {"tomo1": moved}}):
        with Asked(run, **where) as asked:
            (told,) = asked.get("/api/session").json()["tomograms"]
            assert told["available"] and str(moved) in told["why"]
            assert asked.get(SLICE).status_code == 200


def test_a_tomogram_of_another_shape_is_not_shown(run, tomogram):
    write_tomogram(tomogram, shape=(8, 21, 30))
    with Asked(run) as asked:
        (told,) = everything(asked, 12)["tomograms"]
        assert not told["available"] and "another tomogram" in told["why"]
        assert asked.get(SLICE).status_code == 404


def test_a_newer_tomogram_is_shown_and_said(run, tomogram):
    os.utime(tomogram, ns=(0, tomogram.stat().st_mtime_ns + 3_600_000_000_000))
    with Asked(run) as asked:
        (told,) = asked.get("/api/session").json()["tomograms"]
        assert told["available"] and "not the files that the run read" in told["why"]
        assert asked.get(SLICE).status_code == 200


@pytest.mark.parametrize("after", ["the first slice", "its header was read"])
@pytest.mark.parametrize("shape", [(8, 30, 20), (4, 20, 30), SHAPE])
def test_a_tomogram_that_is_replaced_meanwhile_is_not_shown(
    run, tomogram, after, shape
):
    with Asked(run) as asked:
        asked.get("/api/session")
        if after == "the first slice":
            assert asked.get(SLICE).status_code == 200
        write_tomogram(tomogram, shape, seed=1)
        os.utime(tomogram, ns=(0, tomogram.stat().st_mtime_ns + 1_000_000_000))
        answer = asked.get(SLICE)
        assert answer.status_code == 404
        assert "was changed" in answer.json()["error"]
        everything(asked, 12)
        tomogram.unlink()
        assert asked.get(SLICE).status_code == 404


def test_a_compressed_tomogram_is_shown_like_the_plain_one(tmp_path, tomogram):
    packed = tmp_path / "tomo1.mrc.gz"
    packed.write_bytes(gzip.compress(tomogram.read_bytes()))
    slices = []
    for path in (tomogram, packed):
        run = write_run(tmp_path / path.suffix, table_of(path))
        with Asked(run) as asked:
            (told,) = asked.get("/api/session").json()["tomograms"]
            assert told["available"]
            assert ("compressed" in told["why"]) is (path == packed)
            slices.append(asked.get(SLICE).content)
    assert slices[0] == slices[1]


@pytest.mark.parametrize("content", [b"", b"no tomogram", b"\0" * 2000])
def test_a_file_that_is_no_tomogram_is_named(run, tomogram, content):
    tomogram.write_bytes(content)
    with Asked(run) as asked:
        (told,) = everything(asked, 12)["tomograms"]
        assert not told["available"] and str(tomogram) in told["why"]


def test_500_tomograms_of_which_some_are_gone(tmp_path):
    n, gone = 500, 7
    write_tomogram(tmp_path / "0.mrc")
    for number in range(1, n):
        os.link(tmp_path / "0.mrc", tmp_path / f"{number}.mrc")
    names = [f"tomo{number:03}" for number in range(n)]
    record = make_record(
        {
            name: {"rec_path": str(tmp_path / f"{number}.mrc"), "order": "zxy"}
            for number, name in enumerate(names)
        },
        compress=False,
    )
    (tmp_path / f"{gone}.mrc").unlink()
    table = make_table(
        2 * n, name=np.array(names * 2), coord=np.full((2 * n, 3), 2), record=record
    )
    run = write_run(tmp_path / "run", table, pictures=False)
    with Asked(run) as asked:
        told = everything(asked, 2 * n)["tomograms"]
        assert [t["name"] for t in told] == names
        assert [t["index"] for t in told if not t["available"]] == [gone]
        for number in range(0, n, 50):  # all are mapped at once
            answer = asked.get(f"/api/slice?tomogram={number}&index=3")
            assert answer.status_code == 200


@pytest.mark.long
def test_200_000_candidates(tmp_path):
    rows = 200_000
    table = with_layout(make_table(rows, clusters=300))
    run = write_run(tmp_path / "run", table, pictures=False)
    with Asked(run) as asked:
        everything(asked, rows)
        mask = np.packbits(np.arange(rows) % 2 == 0, bitorder="little").tobytes()
        rows = {"mask": base64.b64encode(mask).decode()}
        state = asked.act("assign", name="half", rows=rows)
        assert state["classes"][1]["count"] == 100_000
        body = {"what": "class", "class": 2, "format": "parquet"}
        assert asked.post("/api/export", body).json()["count"] == 100_000
