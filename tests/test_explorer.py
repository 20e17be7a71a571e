"""The routes of the explorer, on small tables and tomograms made in place."""

import asyncio
import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from lib.artifacts import InteractiveTable
from lib.session.server import bind
from tests.mrc_files import write_mrc
from tests.records import make_record
from tests.session_client import Asked
from tests.session_runs import PROJECT, make_table, write_run

SHAPE = (20, 50, 60)  # Z, Y, X
BEAD = (12, 31, 44)


def write_tomogram(path, order="zxy", bead=BEAD):
    """Write noise with one bright voxel."""
    volume = np.random.default_rng(0).random(SHAPE, np.float32)
    volume[bead] = 50
    return write_mrc(path, volume, order=order)


@pytest.fixture
def run(tmp_path):
    """The table of a run on one tomogram whose first candidate is the bead."""
    path = write_tomogram(tmp_path / "tomo1.mrc")
    facts = {"rec_path": str(path), "order": "zxy", "shape": SHAPE, "voxel_size": 10.0}
    coord = np.random.default_rng(0).integers(0, SHAPE[::-1], (24, 3))
    coord[0] = BEAD[::-1]
    table = make_table(
        24,
        coord=coord,
        name=np.array(["tomo1"] * 24),
        record=make_record({"tomo1": facts}, compress=False, mode="simsiam3d"),
    )
    return write_run(tmp_path / "run", table)


@pytest.fixture
def asked(run):
    with Asked(run) as asked:
        yield asked


def columns_of(answer):
    """Return the columns of ``api/points`` by name."""
    found, start = {}, 0
    for column in json.loads(answer.headers["x-columns"]):
        dtype = np.dtype(column["dtype"])
        found[column["name"]] = np.frombuffer(
            answer.content, dtype, column["length"], start
        )
        start += dtype.itemsize * column["length"]
    assert start == len(answer.content)
    return found


def test_session_describes_the_table(asked, run):
    told = asked.get("/api/session").json()
    assert (told["rows"], told["dim"], told["mode"]) == (24, 16, "simsiam3d")
    assert [c["count"] for c in told["clusters"]] == [8, 8, 8]
    for number, cluster in enumerate(told["clusters"]):
        labels = InteractiveTable.load(run).label[cluster["examples"]]
        assert labels.tolist() == [number] * 3
    (tomogram,) = told["tomograms"]
    assert (tomogram["available"], tomogram["why"]) == (True, "")
    assert (tomogram["shape"], tomogram["voxel_nm"]) == ([20, 50, 60], 1.0)
    assert told["patches"] == {"edge": 36, "views": ["slab"], "available": True}
    assert told["state"]["read_only"] == ""


def test_points_hold_every_candidate(asked, run):
    table, found = InteractiveTable.load(run), columns_of(asked.get("/api/points"))
    position = found["position"].reshape(3, 24).T
    np.testing.assert_array_equal(position, table.coord)
    np.testing.assert_array_equal(found["cluster"], table.label)
    assert {key: len(part) for key, part in found.items()} == {
        **{"map": 48, "cloud": 72, "cluster": 24, "tomogram": 24},
        **{"position": 72, "place": 72},
    }


@pytest.mark.parametrize("order", ["zxy", "xzy", "xyz", "yxz"])
@pytest.mark.parametrize("axis", "zyx")
def test_a_candidate_lies_on_its_bead_in_every_slice(tmp_path, order, axis):
    path = write_tomogram(tmp_path / "tomo1.mrc", order=order)
    table = make_table(
        3,
        coord=np.array([BEAD[::-1]] * 3),
        name=np.array(["tomo1"] * 3),
        record=make_record({"tomo1": {"rec_path": str(path), "order": order}}),
    )
    with Asked(write_run(tmp_path / "run", table)) as asked:
        x, y, z = columns_of(asked.get("/api/points"))["position"].reshape(3, 3)[:, 0]
        at, row, column = {"z": (z, y, x), "y": (y, z, x), "x": (x, z, y)}[axis]
        answer = asked.get(f"/api/slice?tomogram=0&axis={axis}&index={int(at)}")
        shape = tuple(map(int, answer.headers["x-shape"].split(",")))
        gray = np.frombuffer(answer.content, np.uint8).reshape(shape)
        assert np.unravel_index(gray.argmax(), shape) == (row, column)


def test_a_halved_z_is_undone(tmp_path):
    path = write_tomogram(tmp_path / "tomo1.mrc")
    facts = {"rec_path": str(path), "order": "zxy", "shape": SHAPE}
    table = make_table(
        2,
        coord=np.array([(44, 31, 6)] * 2),
        name=np.array(["tomo1"] * 2),
        record=make_record({"tomo1": facts}, compress=True),
    )
    with Asked(write_run(tmp_path / "run", table)) as asked:
        found = columns_of(asked.get("/api/points"))["position"].reshape(3, 2)
        assert found[:, 0].tolist() == [44, 31, 12.5]  # slices 12 and 13 were merged


@pytest.mark.parametrize(
    "query",
    [
        "tomogram=1&index=0",
        "tomogram=../x&index=0",
        "tomogram=0&index=20",
        "tomogram=0&index=-1",
        "tomogram=0&axis=w&index=0",
        "tomogram=0&index=0&sigma=nan",
        "index=0",
    ],
)
def test_slices_that_are_not_there_are_refused(asked, query):
    answer = asked.get(f"/api/slice?{query}")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_gaussian_removes_noise(asked):
    rough, smooth = (
        np.frombuffer(
            asked.get(f"/api/slice?tomogram=0&index=5&sigma={s}").content, "u1"
        )
        for s in (0, 2)
    )
    assert smooth.std() < rough.std() / 2


def test_patches_are_those_of_the_rows(asked):
    found = asked.post("/api/patches", {"rows": [5, 2, 5]}).content
    found = np.frombuffer(found, np.uint8).reshape(3, 36, 36)
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()
    means = asked.get("/api/means").content
    assert len(means) == 3 * 36 * 36


def test_similar_candidates_are_those_of_the_cluster(asked, run):
    score = asked.post("/api/similar", {"rows": [1, 4]}).content
    score = np.frombuffer(score, np.float16)
    label = InteractiveTable.load(run).label
    assert set(label[np.argsort(-score)[:8]].tolist()) == {1}
    assert score.max() <= 1


@pytest.mark.parametrize("route", ["/api/patches", "/api/similar"])
@pytest.mark.parametrize(
    "body", [{}, {"rows": 3}, {"rows": [24]}, {"rows": [-1]}, {"rows": [True]}]
)
def test_rows_that_are_not_there_are_refused(asked, route, body):
    assert "rows must be" in asked.refused(route, body)


def test_bodies_that_are_no_objects_are_refused(asked):
    assert "expected an object" in asked.refused("/api/similar", [1])
    for kind, status in (("text/plain", 415), ("application/json", 400)):
        headers = {"content-type": kind}
        answer = asked.ask("POST", "/api/similar", headers, content=b"{")
        assert answer.status_code == status


def test_a_class_is_made_filled_undone_and_exported(asked, run):
    state = asked.act("class", name=" <b>ribosome</b> ")
    (made,) = state["classes"]
    assert made["name"] == "<b>ribosome</b>"
    asked.act("assign", **{"class": made["id"], "rows": {"list": [3, 7]}})
    state = asked.act("undo")
    assert state["classes"][0]["count"] == 0
    assert "2 candidates" in state["redo"]
    state = asked.act("redo")
    assert state["classes"][0]["count"] == 2
    content = asked.get("/api/classes").content
    assert np.flatnonzero(np.frombuffer(content, np.uint8)).tolist() == [3, 7]
    body = {"what": "class", "class": made["id"], "format": "parquet"}
    told = asked.post("/api/export", body).json()
    answer = asked.get(f"/{told['url']}")
    assert answer.content == (run.parent / "exports" / told["name"]).read_bytes()
    exported = InteractiveTable.load(run.parent / "exports" / told["name"])
    assert exported.row.tolist() == [3, 7]


def test_short_answers_do_not_wait_for_the_browser_to_confirm():
    found = []

    async def answer(reader, writer):
        connection = writer.get_extra_info("socket")
        found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def ask():
        with bind("127.0.0.1", None) as sock:
            async with await asyncio.start_server(answer, sock=sock):
                reader, writer = await asyncio.open_connection(*sock.getsockname())
                await reader.read()
                writer.close()

    asyncio.run(ask())
    assert found == [1]


def test_the_page_opens_without_what_takes_long_to_import(run):
    code = f"""
import sys
from tests.session_client import Asked
from lib.session.launch import _introduce
with Asked({str(run)!r}) as asked:
    _introduce(asked.candidates, print)
    for path in ("", "api/session", "api/points", "api/slice?tomogram=0&index=1"):
        assert asked.get("/" + path).status_code == 200
print({{"umap", "numba", "phoenix", "torch", "sklearn"}} & set(sys.modules))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr
