"""What is written comes back, whole; what cannot be trusted is rejected."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lib.artifacts import (
    EmbeddingTable,
    ExperimentDir,
    InteractiveTable,
    atomic_folder,
    atomic_write,
    check_fingerprint,
    fingerprint_path,
    fingerprint_rows,
    parse_coordinates,
    read_parquet,
    remove_partial_files,
    require_columns,
    write_fingerprint,
)
from lib.artifacts.files import partial_prefix
from lib.errors import ArtifactError
from lib.run.record import SCHEMA_VERSION, RunRecord
from tests.records import make_record

RECORD = make_record({"tomo1": {"shape": [9, 8, 7]}}, exp_id="t")


def make_table(rows=4, **changes):
    rng = np.random.default_rng(0)
    columns = {
        "name": np.array([f"tomo{1 + row % 2}" for row in range(rows)]),
        "coords": rng.integers(0, 64, (rows, 3)),
        "pred": rng.normal(size=(rows, 8)).astype(np.float32),
        "proj": rng.normal(size=(rows, 8)).astype(np.float32),
        "subvol": rng.normal(size=(rows, 1, 6, 6)).astype(np.float32),
        "subvols_2d": rng.normal(size=(rows, 1, 6, 6)).astype(np.float32),
        "record": RECORD,
    }
    return EmbeddingTable(**{**columns, **changes})


def make_interactive(rows=4, **changes):
    rng = np.random.default_rng(0)
    columns = {
        "name": np.array(["tomo1"] * rows),
        "coord": rng.integers(0, 64, (rows, 3)),
        "embeddings": rng.normal(size=(rows, 8)).astype(np.float32),
        "label": rng.integers(0, 3, rows),
        "image": np.array([f"http://localhost:7000/imgs/{i}.png" for i in range(rows)]),
        "record": RECORD,
    }
    return InteractiveTable(**{**columns, **changes})


def peer_columns(rows=3):
    """Return the keys and dtypes of the public implementation's npz, 3-D mode."""
    table = make_table(rows)
    keys = ("name", "coords", "pred", "proj", "subvol")
    return {key: getattr(table, key) for key in keys}


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(one, other):
    for key, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, key), value, err_msg=key)


# -- names ---------------------------------------------------------------------------


def test_experiment_folder_has_the_documented_names(tmp_path):
    files = ExperimentDir.of(tmp_path, "simsiam2d3d", "test_sample")
    assert files.root == tmp_path / "simsiam2d3d" / "test_sample"
    documented = {
        files.options: "opts.txt",
        files.log: "log.txt",
        files.checkpoint(300): "model_300.pth",
        files.checkpoint("last"): "model_last.pth",
        files.checkpoint("best"): "model_best.pth",
        files.embeddings: "all_output_info.npz",
        files.map_picture: "2d_visualization_out.png",
        files.label_picture: "2d_visualization_labels.png",
        files.colors: "all_colors.npy",
        files.interactive_table: "interactive_info_parquet.gzip",
        files.patch_pictures: "imgs",
        files.exports: "exports",
        files.gray_volume("tomo1"): "tomo1_rec3d.npy",
        files.heatmap_volume("tomo1"): "tomo1_hm3d_simsiam.npy",
        files.candidate_picture("tomo1"): "candidates_tomo1.png",
        files.blended_picture("tomo1"): "tomo1_blend.png",
    }
    for path, name in documented.items():
        assert path == files.root / name
    beside = {files.lock, files.color_record, files.picture_record}
    assert len(beside | set(documented)) == 3 + len(documented)


# -- whole or not at all -------------------------------------------------------------


@pytest.mark.parametrize(("mode", "content"), [("wb", b"new"), ("w", "neu: µ")])
def test_file_appears_whole(tmp_path, mode, content):
    path = tmp_path / "not yet" / "there" / "a.bin"
    with atomic_write(path, mode) as stream:
        stream.write(content)
        assert not path.exists()
    raw = content if mode == "wb" else content.encode()
    assert path.read_bytes() == raw
    assert names_in(path.parent) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as stream:
        stream.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


def test_whole_file_has_the_permissions_of_any_other(tmp_path):
    mask = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a") as stream:
            stream.write(b"x")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


# -- all_output_info.npz -------------------------------------------------------------


@pytest.mark.parametrize("second_view", [True, False])
def test_embeddings_survive_a_round_trip(tmp_path, second_view):
    table = make_table() if second_view else make_table(subvols_2d=None)
    table.save(tmp_path / "e.npz")
    assert_same(table, EmbeddingTable.load(tmp_path / "e.npz"))


def test_npz_has_the_documented_keys_and_dtypes(tmp_path):
    make_table().save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        kinds = {key: (stored[key].dtype.kind, stored[key].ndim) for key in stored}
        assert stored["schema"] == SCHEMA_VERSION
        assert json.loads(str(stored["provenance"])) == RECORD.plain()
        assert stored["pred"].dtype == stored["subvol"].dtype == np.float32
    assert kinds == {
        "name": ("U", 1),
        "coords": ("i", 2),
        "pred": ("f", 2),
        "proj": ("f", 2),
        "subvol": ("f", 4),
        "subvols_2d": ("f", 4),
        "schema": ("i", 0),
        "provenance": ("U", 0),
    }


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_peers_npz_without_our_keys_is_read(tmp_path, write):
    columns = peer_columns()
    columns["coords"] = columns["coords"].astype(np.int32)
    write(tmp_path / "e.npz", **columns, something_else=np.arange(3))
    table = EmbeddingTable.load(tmp_path / "e.npz")
    assert (len(table), table.record, table.subvols_2d) == (3, RunRecord(), None)
    np.testing.assert_array_equal(table.coords, columns["coords"])
    assert table.fingerprint == make_table(3).fingerprint


def test_whole_numbers_stored_as_floats_are_coordinates(tmp_path):
    columns = peer_columns()
    np.savez(tmp_path / "e.npz", **{**columns, "coords": columns["coords"] * 1.0})
    table = EmbeddingTable.load(tmp_path / "e.npz")
    assert table.coords.dtype == np.int64
    np.testing.assert_array_equal(table.coords, columns["coords"])


def test_missing_npz_names_the_script_to_run(tmp_path):
    with pytest.raises(ArtifactError, match="simsiam_test_hm_3d.py"):
        EmbeddingTable.load(tmp_path / "all_output_info.npz")


@pytest.mark.parametrize("key", ["name", "coords", "pred", "proj", "subvol"])
def test_npz_without_a_key_is_rejected_by_its_name(tmp_path, key):
    columns = peer_columns()
    del columns[key]
    np.savez(tmp_path / "e.npz", **columns)
    with pytest.raises(ArtifactError, match=rf"e\.npz lacks {key} \(it has "):
        EmbeddingTable.load(tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coords": np.zeros((3, 2), int)}, r"coords must be \(N, 3\)"),
        ({"coords": np.full((3, 3), 0.5)}, "whole numbers"),
        ({"coords": np.full((3, 3), np.nan)}, "whole numbers"),
        ({"coords": np.full((3, 3), "a")}, "coords must hold numbers"),
        ({"pred": np.zeros((2, 8), np.float32)}, "differ in length"),
        ({"pred": np.zeros(3, np.float32)}, "pred must have 2 axes"),
        ({"pred": np.full((3, 8), "a")}, "pred must hold numbers"),
        ({"pred": np.full((3, 8), np.nan, np.float32)}, "not finite"),
        ({"subvol": np.zeros((3, 6, 6), np.float32)}, "subvol must have 4 axes"),
        ({"name": np.array("tomo1")}, "name must have 1 axes"),
        ({"name": np.arange(3)}, "name must hold text"),
        ({"schema": SCHEMA_VERSION + 1}, "later version"),
        ({"schema": "one"}, "cannot be read"),
        ({"provenance": "{"}, "cannot be read"),
        ({"provenance": "[]"}, "cannot be read"),
        ({"provenance": '{"tomograms": 3}'}, "cannot be read"),
        ({"provenance": '{"schema": 99}'}, "later version"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_npz_of_another_shape_is_rejected(tmp_path, change, said):
    np.savez(tmp_path / "e.npz", **{**peer_columns(), **change})
    with pytest.raises(ArtifactError, match=said):
        EmbeddingTable.load(tmp_path / "e.npz")


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_object_arrays_are_rejected_without_being_executed(tmp_path):
    trap = tmp_path / "executed"
    names = np.array([Bomb(trap)] * 3, dtype=object)
    np.savez(tmp_path / "e.npz", **{**peer_columns(), "name": names})
    with pytest.raises(ArtifactError, match="cannot be read as an .npz"):
        EmbeddingTable.load(tmp_path / "e.npz")
    assert not trap.exists()


def test_pickle_under_the_name_of_an_npz_is_rejected(tmp_path):
    trap = tmp_path / "executed"
    (tmp_path / "e.npz").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ArtifactError, match="cannot be read as an .npz"):
        EmbeddingTable.load(tmp_path / "e.npz")
    assert not trap.exists()


def test_zip_bomb_is_rejected_before_it_is_unpacked(tmp_path):
    path = tmp_path / "e.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pred.npy", bytes(64 * 2**20))
    assert path.stat().st_size < 2**17
    with pytest.raises(ArtifactError, match="unpack to 67,108,864 bytes"):
        EmbeddingTable.load(path)


def test_array_that_claims_more_than_it_holds_is_rejected(tmp_path):
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 128)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        archive.writestr("pred.npy", header.getvalue() + bytes(64))
    with pytest.raises(ArtifactError, match="cannot be read as an .npz"):
        EmbeddingTable.load(tmp_path / "e.npz")


def test_member_that_is_no_array_is_rejected(tmp_path):
    np.savez(tmp_path / "e.npz", **peer_columns())
    with zipfile.ZipFile(tmp_path / "e.npz", "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ArtifactError, match="readme.txt is not an array"):
        EmbeddingTable.load(tmp_path / "e.npz")


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damaged_npz_is_read_right_or_rejected(tmp_path, data):
    buffer = io.BytesIO()
    write = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    write(buffer, **peer_columns())
    raw = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(
                st.integers(0, 255)
            )
    path = tmp_path / "e.npz"
    path.write_bytes(raw)
    try:
        table = EmbeddingTable.load(path)
    except ArtifactError as error:
        assert str(path) in str(error)
    else:
        # What passes the checksums of the archive is what was written.
        np.testing.assert_array_equal(table.pred, peer_columns()["pred"])


# -- interactive_info_parquet.gzip ---------------------------------------------------


@pytest.mark.parametrize("row", [None, np.array([9, 7, 5, 3])])
def test_interactive_table_survives_a_round_trip(tmp_path, row):
    table = make_interactive(row=row)
    table.save(tmp_path / "t.gzip")
    back = InteractiveTable.load(tmp_path / "t.gzip")
    assert_same(table, back)
    assert back.fingerprint == table.fingerprint


def test_parquet_has_the_documented_columns_and_types(tmp_path):
    make_interactive().save(tmp_path / "t.gzip")
    table = parquet.read_table(tmp_path / "t.gzip")
    types = {f.name: str(f.type).replace("element", "item") for f in table.schema}
    assert types == {
        "name": "string",
        "coord": "list<item: string>",
        "embeddings": "list<item: float>",
        "label": "int64",
        "image": "string",
    }
    group = parquet.ParquetFile(tmp_path / "t.gzip").metadata.row_group(0)
    assert {group.column(i).compression for i in range(5)} == {"GZIP"}


def parquet_columns(rows=3):
    table = make_interactive(rows)
    return {
        "name": table.name.tolist(),
        "coord": [[str(v) for v in row] for row in table.coord],
        "embeddings": table.embeddings.tolist(),
        "label": table.label.tolist(),
        "image": table.image.tolist(),
    }


def write_parquet(path, columns):
    parquet.write_table(pa.table(columns), path)
    return path


def test_peers_parquet_without_our_metadata_is_read(tmp_path):
    # The public implementation writes doubles, by pandas.
    path = write_parquet(tmp_path / "t.gzip", parquet_columns())
    table = InteractiveTable.load(path)
    assert table.record == RunRecord()
    assert table.embeddings.dtype == np.float32
    assert_same(replace(make_interactive(3), record=RunRecord()), table)


@pytest.mark.parametrize("key", ["name", "coord", "embeddings", "label", "image"])
def test_parquet_without_a_column_is_rejected(tmp_path, key):
    columns = parquet_columns()
    del columns[key]
    with pytest.raises(ArtifactError, match=rf"lacks the column\(s\) {key}; it has"):
        InteractiveTable.load(write_parquet(tmp_path / "t.gzip", columns))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embeddings": [[1.0, 2.0], [1.0], [2.0]]}, "differ in length"),
        ({"embeddings": [[1.0], None, [2.0]]}, "differ in length"),
        ({"embeddings": [1.0, 2.0, 3.0]}, "embeddings must be lists of numbers"),
        ({"embeddings": [["a"], ["b"], ["c"]]}, "embeddings must be lists of numbers"),
        ({"embeddings": [[1.0], [float("nan")], [2.0]]}, "not finite"),
        ({"label": [0.5, 1, 2]}, "label must be a whole number"),
        ({"label": ["a", "b", "c"]}, "label must be a whole number"),
        ({"label": [None, 1, 2]}, "label must be a whole number"),
        ({"coord": ["1,2", "1,2,3", "1,2,3"]}, "is not x, y, z"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_parquet_of_another_shape_is_rejected(tmp_path, change, said):
    path = write_parquet(tmp_path / "t.gzip", {**parquet_columns(), **change})
    with pytest.raises(ArtifactError, match=said):
        InteractiveTable.load(path)


def test_empty_table_is_rejected(tmp_path):
    empty = pa.table(parquet_columns()).slice(0, 0)
    parquet.write_table(empty, tmp_path / "t.gzip")
    with pytest.raises(ArtifactError, match="no rows"):
        InteractiveTable.load(tmp_path / "t.gzip")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 40, b"\x1f\x8b text"])
def test_what_is_no_parquet_is_rejected(tmp_path, content):
    (tmp_path / "t.gzip").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"t\.gzip is not a parquet file"):
        read_parquet(tmp_path / "t.gzip", made_by="plot_2d.py")


def test_missing_parquet_names_the_script_to_run(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist; it is made by plot_2d"):
        InteractiveTable.load(tmp_path / "t.gzip")
    with pytest.raises(ArtifactError, match="does not exist"):
        InteractiveTable.load(tmp_path)


def test_damaged_metadata_is_no_record(tmp_path):
    table = pa.table(parquet_columns()).replace_schema_metadata({"provenance": "{"})
    parquet.write_table(table, tmp_path / "t.gzip")
    assert InteractiveTable.load(tmp_path / "t.gzip").record == RunRecord()


def test_present_columns_pass():
    require_columns("t", ["name", "coord"], ("coord",))


# -- coordinates ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        [["12", "7", "30"], ["1", "2", "3"]],
        [[12, 7, 30], [1, 2, 3]],
        [[12.0, 7.0, 30.0], [1.0, 2.0, 3.0]],
        ["12,7,30", "1, 2, 3"],
        [np.array([12, 7, 30]), (1, 2, 3)],
    ],
)
def test_every_stored_form_of_coordinates_is_understood(column):
    coords = parse_coordinates("t", column)
    assert coords.dtype == np.int64
    np.testing.assert_array_equal(coords, [[12, 7, 30], [1, 2, 3]])


def test_parts_of_voxels_are_kept():
    np.testing.assert_array_equal(parse_coordinates("t", ["1.5,2,3"]), [[1.5, 2, 3]])


def test_no_picks_are_no_coordinates():
    assert parse_coordinates("t", []).shape == (0, 3)


@pytest.mark.parametrize(
    "bad",
    ["1,2", "1,2,3,4", "a,b,c", "", ["1", "2"], [1, None, 3], None, 7]
    + ["1,nan,3", "1,inf,3", "1e30,2,3"],
)
def test_malformed_coordinate_is_shown(bad):
    with pytest.raises(ArtifactError) as rejected:
        parse_coordinates("picks.parquet", ["1,2,3", bad])
    assert f"picks.parquet: coord {bad!r} is not x, y, z" in str(rejected.value)


# -- which rows belong together ------------------------------------------------------


def test_fingerprint_sees_order_and_every_column():
    table = make_table()
    same = fingerprint_rows(list(table.name), table.coords.tolist(), table.pred)
    assert table.fingerprint == same
    swapped = [1, 0, 2, 3]
    others = [
        fingerprint_rows(table.name[swapped], table.coords, table.pred),
        fingerprint_rows(table.name, table.coords[swapped], table.pred),
        fingerprint_rows(table.name, table.coords, table.pred[swapped]),
        fingerprint_rows(table.name[:3], table.coords[:3], table.pred[:3]),
    ]
    assert len({same, *others}) == 5


def test_colors_of_other_rows_are_rejected(tmp_path):
    record = fingerprint_path(tmp_path / "all_colors.npy")
    assert record == tmp_path / "all_colors.json"
    assert fingerprint_path(tmp_path / "imgs") == tmp_path / "imgs" / "index.json"
    check = {"record": record, "of": "e.npz"}
    check_fingerprint(**check, fingerprint="f", rows=4)  # a peer's: no record
    write_fingerprint(record, fingerprint="f", rows=4)
    check_fingerprint(**check, fingerprint="f", rows=4)
    for other in ({"fingerprint": "g", "rows": 4}, {"fingerprint": "f", "rows": 5}):
        with pytest.raises(ArtifactError, match="belongs to another run"):
            check_fingerprint(**check, **other)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"rows": 4}', "\udc80"])
def test_damaged_record_is_rejected(tmp_path, text):
    record = tmp_path / "all_colors.json"
    record.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match="cannot be read"):
        check_fingerprint(record, fingerprint="f", rows=4, of="e.npz")


def partial_of(folder, name, *, host=None, process):
    ours = partial_prefix(name).replace(f"-{os.getpid()}-", f"-{process}-")
    return folder / f"{f'.{name}.{host}-{process}-' if host else ours}x1y2z3.partial"


def test_only_what_nobody_writes_any_more_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    alive = os.getpid()
    stays = [
        partial_of(tmp_path, "all_output_info.npz", process=alive),
        partial_of(tmp_path, "model_1.pth", host="node7", process=ended.pid),
        tmp_path / "notes.partial",
    ]
    goes = [
        partial_of(tmp_path, "model_last.pth", process=ended.pid),
        partial_of(tmp_path, "model_2.pth", host="node7", process=alive),
        tmp_path / ".of_an_earlier_version.partial",
    ]
    for path in (*stays, *goes):
        path.write_bytes(b"half")
    for path in goes[1:]:
        os.utime(path, (0, 0))
    folder = partial_of(tmp_path, "imgs", process=ended.pid)
    folder.mkdir()
    (folder / "0.png").write_bytes(b"half")
    remove_partial_files(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(stays)


@pytest.mark.parametrize("write", [atomic_write, atomic_folder])
def test_what_is_being_written_is_seen_as_such(tmp_path, write):
    with write(tmp_path / "a"):
        remove_partial_files(tmp_path)
        assert any(path.name.endswith(".partial") for path in tmp_path.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folder_is_replaced_whole_or_not_at_all(tmp_path):
    for content in ("first", "second"):
        with atomic_folder(tmp_path / "imgs") as folder:
            (folder / content).touch()
    assert [path.name for path in (tmp_path / "imgs").iterdir()] == ["second"]
    with pytest.raises(ValueError), atomic_folder(tmp_path / "imgs") as folder:
        (folder / "third").touch()
        raise ValueError
    assert [path.name for path in (tmp_path / "imgs").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["imgs"]


def test_record_that_goes_while_it_is_looked_at_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda _: True)  # a moment ago
    check_fingerprint(tmp_path / "all_colors.json", fingerprint="f", rows=4, of="e.npz")


def test_name_of_any_length_can_be_written(tmp_path):
    longest = "\u00b5" * 100 + "_" * 55  # 255 bytes
    with atomic_write(tmp_path / longest, "w") as stream:
        stream.write("x")
    assert (tmp_path / longest).read_text() == "x"
