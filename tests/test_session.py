import asyncio
import errno
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from lib.artifacts import (
    ArtifactError,
    ExperimentDir,
    InteractiveTable,
    packed_path,
)
from lib.errors import OptionError, ResourceError
from lib.maps.layout import ProjectionOptions, project_cloud, unit_rows
from lib.session.cloud import Cloud, Superseded, label_numbers
from lib.session.export import find_export, home_of, write_export
from lib.session.page import (
    cloud_settings,
    first_settings,
    page_frame,
    picture_links,
    set_environment,
)
from lib.session.patches import MID_GRAY, PicturePatches
from lib.session.phoenix import check_phoenix
from lib.session.phoenix_table import open_table
from lib.session.server import bind, serve, stop_at_signals
from tests.session_runs import SCRIPT, Running, make_table, write_run

NOON = datetime(2026, 11, 22, 12, 0, 0)
EXPORT = (
    "mutation ExportSelectionButtonMutation($eventIds: [ID!]!) "
    "{ exportEvents(eventIds: $eventIds) { fileName } }"
)


def events(*rows):
    return [f"{row}:InferencesRole.PRIMARY" for row in rows]


# --- exports -------------------------------------------------------------------


def test_export_holds_the_picked_rows_and_what_the_run_knew(tmp_path):
    table = make_table(12)
    name = write_export(table, [7, 2, 7], tmp_path, NOON)
    assert name == "2026-11-22_12-00-00"
    picked = InteractiveTable.load(tmp_path / f"{name}.parquet")
    assert picked.row.tolist() == [2, 7]
    for column in ("name", "coord", "label", "image", "embeddings"):
        expected = getattr(table, column)[[2, 7]]
        np.testing.assert_array_equal(getattr(picked, column), expected)
    assert picked.record.tomograms == table.record.tomograms


def test_exports_of_one_second_are_all_kept(tmp_path):
    names = [write_export(make_table(), [row], tmp_path, NOON) for row in range(3)]
    assert len(set(names)) == 3
    assert all(find_export(tmp_path, name) for name in names)


def test_export_of_another_session_that_no_look_shows_yet_is_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as a server may remember
    names = [write_export(make_table(), [row], tmp_path, NOON) for row in (3, 5)]
    monkeypatch.undo()
    kept = [InteractiveTable.load(tmp_path / f"{name}.parquet") for name in names]
    assert [table.row.tolist() for table in kept] == [[3], [5]]
    assert len(list(tmp_path.iterdir())) == 2


def test_export_is_kept_where_files_have_no_second_name(tmp_path, monkeypatch):
    def reject(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", reject)
    names = [write_export(make_table(), [row], tmp_path, NOON) for row in (3, 5)]
    kept = [InteractiveTable.load(tmp_path / f"{name}.parquet") for name in names]
    assert [table.row.tolist() for table in kept] == [[3], [5]]
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_picked_from_an_export_are_those_of_the_run(tmp_path):
    run = write_run(tmp_path / "run", make_table(12))
    first = write_export(open_table(run), [3, 5, 8], run.parent / "exports", NOON)
    again = open_table(run.parent / "exports" / f"{first}.parquet")
    second = write_export(again, [1, 2], tmp_path, NOON)
    assert open_table(tmp_path / f"{second}.parquet").row.tolist() == [5, 8]


def test_an_export_finds_the_patches_of_its_run(tmp_path):
    assert home_of(tmp_path / "exports" / "a.parquet") == tmp_path
    assert home_of(tmp_path / "interactive_info_parquet.gzip") == tmp_path


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "nothing is selected"), ([0, 12], "row 12"), ([-1, 3], "row -1")],
)
def test_rows_that_are_not_there_are_rejected_and_nothing_written(tmp_path, rows, said):
    with pytest.raises(ArtifactError, match=said):
        write_export(make_table(12), rows, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_time_stamped_names_are_found(tmp_path):
    exports = tmp_path / "exports"
    name = write_export(make_table(), [0], exports, NOON)
    secret = tmp_path / "secret.parquet"
    secret.write_bytes(b"not yours")
    (exports / "2026-11-22_13-00-00.parquet").symlink_to(secret)
    assert find_export(exports, name) == exports / f"{name}.parquet"
    for other in ("../secret", str(secret.with_suffix("")), "2026-11-22_13-00-00", ""):
        assert find_export(exports, other) is None


# --- the table -----------------------------------------------------------------


def test_embeddings_that_are_not_finite_are_rejected(tmp_path):
    table = make_table(12)
    table.embeddings[5, 3] = np.nan
    with pytest.raises(ArtifactError, match="1 of 12 .* not finite"):
        open_table(write_run(tmp_path / "run", table, pictures=False))


def test_a_table_without_rows_is_rejected(tmp_path):
    path = write_run(tmp_path / "run", make_table(), pictures=False)
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table[:0], path)
    with pytest.raises(ArtifactError, match="has no rows"):
        open_table(path)


def test_patches_of_another_run_are_rejected(tmp_path):
    path = write_run(tmp_path / "run", make_table(12, seed=1))
    make_table(12, seed=2).save(path)
    with pytest.raises(ArtifactError, match="imgs"):
        open_table(path)


@pytest.mark.parametrize("column", ["name", "coord", "embeddings", "label", "image"])
def test_a_missing_column_is_named(tmp_path, column):
    path = write_run(tmp_path / "run", make_table(), pictures=False)
    table = pyarrow.parquet.read_table(path).drop_columns([column])
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(ArtifactError, match=f"lacks the column.*{column}"):
        open_table(path)


def test_embeddings_of_unequal_length_are_rejected(tmp_path):
    path = write_run(tmp_path / "run", make_table(4), pictures=False)
    table = pyarrow.parquet.read_table(path)
    ragged = pyarrow.array([[1.0], [1.0, 2.0], [1.0], [1.0]])
    table = table.set_column(
        table.column_names.index("embeddings"), "embeddings", ragged
    )
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(ArtifactError, match="embeddings differ in length"):
        open_table(path)


def test_links_lead_to_patches_that_are_there(tmp_path, capsys):
    (tmp_path / "0.png").write_bytes(b"")
    image = make_table(2).image
    assert picture_links(image, tmp_path) == ["/phoenix/imgs/0.png", None]
    assert picture_links(image, tmp_path / "none") == [None, None]
    assert "2 of 2 patches" in capsys.readouterr().err


def test_links_lead_to_packed_patches_too(tmp_path):
    np.save(packed_path(tmp_path), np.zeros((2, 4, 4), np.uint8))
    image = make_table(3).image
    links = ["/phoenix/imgs/0.png", "/phoenix/imgs/1.png", None]
    assert picture_links(image, tmp_path) == links


def test_patches_of_a_table_without_columns_may_be_packed(tmp_path):
    run = ExperimentDir(tmp_path)
    gray = np.random.default_rng(0).integers(0, 256, (5, 6, 6), np.uint8)
    run.patch_pictures.mkdir()
    np.save(packed_path(run.patch_pictures), gray)
    picked = replace(make_table(3), row=np.array([4, 0, 7]))
    found = PicturePatches.of(run, picked)
    expected = np.stack([gray[4], gray[0], np.full((6, 6), MID_GRAY)])
    np.testing.assert_array_equal(found.read(np.array([0, 1, 2])), expected)


def test_links_of_the_table_are_kept_when_they_stay_on_this_machine(capsys):
    links = ["http://localhost:7000/imgs/0.png", "https://example.org/spy.png"]
    links += ["javascript:alert(1)", "http://localhost.example.org/x.png"]
    assert picture_links(np.array(links), None) == [links[0], None, None, None]
    assert "3 links" in capsys.readouterr().err


# --- the cloud -----------------------------------------------------------------


def lay_out(embeddings, n_neighbors):
    options = ProjectionOptions("umap", n_neighbors, 0.1, seed=0)
    return project_cloud(unit_rows(embeddings), options, 3)


def test_larger_samples_hold_the_smaller_and_repeat():
    cloud = Cloud(np.zeros((50, 4), "f4"), np.zeros(50, int), say=print)
    again = Cloud(np.zeros((50, 4), "f4"), np.zeros(50, int), say=print)
    assert set(cloud.sample(10)) < set(cloud.sample(20)) < set(cloud.sample(50))
    np.testing.assert_array_equal(cloud.sample(20), again.sample(20))
    np.testing.assert_array_equal(cloud.sample(99), np.arange(50))


def test_clusters_of_the_page_are_the_labels_of_the_table():
    label = np.array([11, 2, 2, 11, 0])
    groups = Cloud(np.zeros((5, 4), "f4"), label, say=print).clusters(np.arange(1, 5))
    assert {key: rows.tolist() for key, rows in groups.items()} == {
        "00": [4],
        "02": [1, 2],
        "11": [3],
    }
    assert label_numbers(np.array([5, 120])) == {5: "005", 120: "120"}


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_handful_of_points_is_laid_out_too(count):
    points = make_table(count, clusters=1).embeddings
    positions = lay_out(points, n_neighbors=30)
    assert positions.shape == (count, 3)
    np.testing.assert_allclose(positions.mean(axis=0), 0, atol=1e-5)


def test_more_points_are_laid_out_with_their_groups_apart():
    table = make_table(60, clusters=3)
    positions = lay_out(table.embeddings, n_neighbors=8)
    assert positions.shape == (60, 3)
    middles = np.array([positions[table.label == k].mean(axis=0) for k in range(3)])
    to_middles = np.linalg.norm(positions[:, None] - middles, axis=-1)
    np.testing.assert_array_equal(to_middles.argmin(axis=1), table.label)


def test_a_layout_that_fails_says_so_to_who_asked():
    said = []
    cloud = Cloud(np.zeros((5, 0), "f4"), np.zeros(5, int), say=said.append)
    with pytest.raises(Exception, match=r".+"):
        cloud.start(5, 3, 0.1, n_components=-1).result(300)
    assert any("failed" in line for line in said)


class Layouts:
    """Layouts that take as long as they are let."""

    def __init__(self, monkeypatch):
        self.done, self.begun = [], threading.Event()
        self.may_go_on = threading.Semaphore(0)
        monkeypatch.setattr("lib.session.cloud.project_cloud", self)

    def __call__(self, vectors, options, n_components):
        self.begun.set()
        assert self.may_go_on.acquire(timeout=20)
        self.done.append(options.n_neighbors)
        return np.zeros((len(vectors), n_components))


def test_of_many_requests_the_newest_is_computed_next(monkeypatch):
    layouts = Layouts(monkeypatch)
    cloud = Cloud(np.zeros((50, 4), "f4"), np.zeros(50, int), say=lambda _: None)
    first = cloud.start(50, 10, 0.1)
    assert layouts.begun.wait(20)
    *passed_over, newest = (cloud.start(50, n, 0.1) for n in (20, 30, 40))
    assert cloud.start(50, 10, 0.1) is first
    assert cloud.start(50, 40, 0.1) is newest
    for future in passed_over:
        with pytest.raises(Superseded):
            future.result(20)
    layouts.may_go_on.release(2)
    first.result(20), newest.result(20)
    assert layouts.done == [10, 40]
    again = cloud.start(50, 20, 0.1)
    layouts.may_go_on.release()
    again.result(20)
    assert layouts.done == [10, 40, 20]
    assert cloud.start(50, 40, 0.1) is newest


def test_layout_goes_on_after_one_that_failed(monkeypatch):
    def fail_once(vectors, options, n_components):
        if options.n_neighbors == 10:
            raise ArithmeticError("no")
        return np.zeros((len(vectors), n_components))

    monkeypatch.setattr("lib.session.cloud.project_cloud", fail_once)
    cloud = Cloud(np.zeros((50, 4), "f4"), np.zeros(50, int), say=lambda _: None)
    with pytest.raises(ArithmeticError):
        cloud.start(50, 10, 0.1).result(20)
    assert cloud.start(50, 20, 0.1).result(20).shape == (50, 3)


def test_cloud_looks_the_same_each_time():
    points = make_table(300, clusters=4).embeddings
    one, two = (lay_out(points, n_neighbors=15) for _ in range(2))
    np.testing.assert_array_equal(one, two)


# --- the port ------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org", ""])
def test_only_loopback_is_listened_on(host):
    with pytest.raises(OptionError, match="loopback only"):
        bind(host, None)


def test_a_port_asked_for_by_name_is_that_or_none():
    with bind("127.0.0.1", None) as first:
        port = first.getsockname()[1]
        with pytest.raises(ResourceError, match=f"port {port} .* cannot be used"):
            bind("127.0.0.1", port)
        with bind("localhost", None) as second:
            assert second.getsockname()[1] > port


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_what_is_no_port_is_rejected(port):
    with pytest.raises(OptionError, match="1 to 65535"):
        bind("127.0.0.1", port)


# --- a session that runs -------------------------------------------------------


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    table = make_table(10, clusters=4)  # so few are laid out without UMAP
    path = write_run(folder / "run", table)
    (folder / "tmp").mkdir()
    with Running("--input", path, cwd=folder / "tmp") as running:
        running.table, running.folder = table, folder
        running.wait_ready()
        running.open_phoenix()
        yield running


def request(session, method, path, body=None, **headers):
    """Return (status, headers, body) of a request to Phoenix's page, or of the link."""
    path = path if path.startswith("/?") else f"/phoenix{path}"
    connection = http.client.HTTPConnection("127.0.0.1", session.port, timeout=300)
    connection.putrequest(method, path, skip_host="host" in headers)
    content = b"" if body is None else json.dumps(body).encode()
    usual = {"content-type": "application/json", "cookie": session.cookie}
    for key, value in {**usual, **headers}.items():
        connection.putheader(key.replace("_", "-"), value)
    connection.putheader("content-length", str(len(content)))
    connection.endheaders(content)
    reply = connection.getresponse()
    found = reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
    connection.close()
    return found


def ask(session, query, **variables):
    return request(
        session, "POST", "/graphql", {"query": query, "variables": variables}
    )


def test_it_says_where_it_is_and_how_to_get_there(session):
    assert f"http://localhost:{session.port}/" in session.text
    tunnel = f"ssh -N -L {session.port}:127.0.0.1:{session.port} "
    assert tunnel in session.text
    assert socket.gethostname() in session.text
    assert str(session.folder / "run" / "exports") in session.text
    assert "10 candidates of 2 tomogram(s) in 4 clusters" in session.text
    for word in ("label", "coord", "embeddings", "/imgs/0.png", "from home"):
        assert word in session.text


def test_only_who_saw_the_terminal_comes_in(session):
    link = re.search(r"open +http://localhost:\d+(/\?token=\S+)", session.text)[1]
    before = sorted(session.folder.rglob("*"))
    for path in ("/", "/imgs/1.png", "/exports", "/model", "/assets/index.js"):
        status, _, body = request(session, "GET", path, cookie="")
        assert (status, b"open the link" in body) == (403, True)
    query = {"query": EXPORT, "variables": {"eventIds": events(1)}}
    assert request(session, "POST", "/graphql", query, cookie="")[0] == 403
    assert sorted(session.folder.rglob("*")) == before
    status, headers, _ = request(session, "GET", link, cookie="")
    assert (status, headers["location"]) == (303, "./")
    cookie = headers["set-cookie"].split(";")[0]
    assert request(session, "GET", "/imgs/1.png", cookie=cookie)[0] == 200
    assert session.text.count(link) == 2  # here, and through the tunnel


def listening(pid):
    """Return the addresses a process listens on, from the table of the kernel."""
    mine = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                found.append(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc here")
def test_it_listens_on_one_port_of_loopback_and_nothing_else(session):
    # the kernel writes 127.0.0.1 as 0100007F
    assert listening(session.process.pid) == [f"0100007F:{session.port:04X}"]


def test_the_page_shows_every_candidate_of_a_small_table_and_asks_nobody_else(session):
    status, headers, body = request(session, "GET", "/")
    assert status == 200
    (asked,) = re.findall(rb'nSamples: parseInt\("(\d+)"\)', body)
    assert int(asked) >= len(session.table)
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert b'allowExternalResources: Boolean("False" == "True")' in body


def test_patches_are_served_on_the_same_port(session):
    status, headers, body = request(session, "GET", "/imgs/7.png")
    assert (status, headers["content-type"]) == (200, "image/png")
    assert body == (session.folder / "run" / "imgs" / "7.png").read_bytes()


def test_an_export_is_kept_and_downloaded_the_same(session):
    status, _, body = ask(session, EXPORT, eventIds=events(4, 9))
    name = json.loads(body)["data"]["exportEvents"]["fileName"]
    kept = session.folder / "run" / "exports" / f"{name}.parquet"
    status, headers, body = request(session, "GET", f"/exports?filename={name}")
    assert (status, body) == (200, kept.read_bytes())
    assert f'filename="{name}.parquet"' in headers["content-disposition"]
    assert InteractiveTable.load(kept).row.tolist() == [4, 9]
    _, _, body = ask(session, "{ model { exportedFiles { fileName } } }")
    assert {"fileName": name} in json.loads(body)["data"]["model"]["exportedFiles"]


def test_whole_clusters_can_be_exported(session):
    query = (
        'mutation { saved: exportClusters(clusters: [{eventIds: ["3:InferencesRole.'
        'PRIMARY"]}, {eventIds: ["1:InferencesRole.PRIMARY"], id: "7"}]) { fileName } }'
    )
    name = json.loads(ask(session, query)[2])["data"]["saved"]["fileName"]
    kept = session.folder / "run" / "exports" / f"{name}.parquet"
    assert InteractiveTable.load(kept).row.tolist() == [1, 3]


def test_an_export_of_nothing_is_an_error_the_page_can_show(session):
    status, _, body = ask(session, EXPORT, eventIds=[])
    assert status == 200
    assert "nothing is selected" in json.loads(body)["errors"][0]["message"]


def test_no_other_parquet_is_handed_out(session):
    table = session.folder / "run" / "interactive_info_parquet"
    (session.folder / "run" / "exports").mkdir(exist_ok=True)
    secret = session.folder / "secret.parquet"
    secret.write_bytes(b"not yours")
    for name in (table, secret.with_suffix(""), "../secret", "..%2Fsecret", ""):
        status, _, body = request(session, "GET", f"/exports?filename={name}")
        assert (status, body) == (404, b"no such export")


@pytest.mark.parametrize(
    "query",
    [
        'mutation { exportEvents(eventIds: ["1:InferencesRole.PRIMARY"], '
        'fileName: "../../evil") { fileName } }',
        'mutation { a: exportEvents(eventIds: ["1:InferencesRole.PRIMARY"]) '
        '{ fileName } b: deleteProject(id: "x") { __typename } }',
        'mutation { createProject(input: {name: "x"}) { __typename } }',
        "mutation { ...all } fragment all on Mutation { __typename }",
        "subscription { chatCompletion { __typename } }",
    ],
)
def test_the_page_can_write_nothing_else(session, query):
    before = sorted(session.folder.rglob("*"))
    assert ask(session, query)[0] == 403
    assert sorted(session.folder.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "/imgs/../interactive_info_parquet.gzip",
        "/imgs/%2e%2e/interactive_info_parquet.gzip",
        "/imgs/",
        "/imgs/99999.png",
        "/imgs/index.json",
        "/v1/projects",
        "/docs",
        "/openapi.json",
        "/graphql",
        "/assets/../../app.py",
    ],
)
def test_what_the_page_does_not_need_is_not_there(session, path):
    assert request(session, "GET", path)[0] in (404, 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example:6006"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec_fetch_site": "cross-site"},
    ],
)
def test_requests_of_other_sites_are_rejected(session, headers):
    query = {"query": EXPORT, "variables": {"eventIds": events(1)}}
    before = sorted(session.folder.rglob("*"))
    assert request(session, "POST", "/graphql", query, **headers)[0] == 403
    assert request(session, "GET", "/imgs/1.png", **headers)[0] == 403
    assert sorted(session.folder.rglob("*")) == before


def test_a_tunnel_to_another_port_reaches_the_page(session):
    for host in ("localhost:8888", "127.0.0.1", "127.0.0.5:6006", "[::1]:6006"):
        assert request(session, "GET", "/", host=host)[0] == 200
    headers = {"host": "localhost:8888", "origin": "http://localhost:8888"}
    query = {"query": "{ model { exportedFiles { fileName } } }"}
    assert request(session, "POST", "/graphql", query, **headers)[0] == 200


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (415, "text/plain", {"query": "{ __typename }"}),
        (415, "multipart/form-data; boundary=x", {"query": "{ __typename }"}),
        (400, "application/json", []),
        (400, "application/json", {"query": 5}),
        (400, "application/json", {"query": "{ broken"}),
        (400, "application/json", {"query": "query a {b} query c {d}"}),
        (400, "application/json", {"query": EXPORT, "variables": {"eventIds": [1]}}),
        (400, "application/json", {"query": EXPORT, "variables": {"eventIds": "1"}}),
        (400, "application/json", {"query": EXPORT, "variables": [1]}),
        (400, "application/json", {"query": "query UMAPPoints { __typename }"}),
    ],
)
def test_what_is_not_understood_is_rejected_without_a_traceback(
    session, status, kind, body
):
    found = request(session, "POST", "/graphql", body, content_type=kind)
    assert found[0] == status
    assert "Traceback" not in session.text


def test_it_stops_when_told_leaving_nothing_behind(session):
    assert session.stop(signal.SIGTERM) == 0
    assert "session closed" in session.text
    assert "Traceback" not in session.text
    assert not list((session.folder / "tmp").iterdir())
    with bind("127.0.0.1", session.port):
        pass


def test_it_stops_while_it_is_still_starting(tmp_path):
    path = write_run(tmp_path / "run", make_table(40), pictures=False)
    (tmp_path / "tmp").mkdir()
    with Running("--input", path, cwd=tmp_path / "tmp") as running:
        running.wait_ready()
        running.ask("/phoenix")
        end = time.monotonic() + 600
        while "starting" not in running.text and time.monotonic() < end:
            time.sleep(0.05)
        assert running.stop(signal.SIGINT) == 0
    assert "Traceback" not in running.text
    assert "patches are not in" in running.text
    assert not list((tmp_path / "tmp").iterdir())


def test_a_taken_port_ends_the_script_before_anything_slow(tmp_path):
    path = write_run(tmp_path / "run", make_table(), pictures=False)
    with bind("127.0.0.1", None) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, SCRIPT, "--input", path, "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert done.stdout == ""


# --- its parts -----------------------------------------------------------------


def test_it_ends_when_asked_to_though_it_serves(tmp_path):
    async def page(scope, receive, send):
        """Start and end as an application does."""
        for phase in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{phase}"
            await send({"type": f"lifespan.{phase}.complete"})

    announced = []
    with bind("127.0.0.1", None) as sock, stop_at_signals() as stop:

        def announce():
            announced.append(True)
            signal.raise_signal(signal.SIGTERM)

        asyncio.run(serve(page, sock, stop, announce))
    assert announced == [True]
    assert stop.asked


def test_a_signal_before_it_serves_ends_it_as_well():
    before = signal.getsignal(signal.SIGTERM)
    with stop_at_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_page_gets_a_row_a_candidate_without_lists_but_the_embedding():
    table = make_table(6, clusters=3)
    frame = page_frame(table, [None] * 6)
    assert frame["row"].tolist() == list("012345")
    assert frame["label"].tolist() == [f"cluster {n:02d}" for n in (0, 1, 2) * 2]
    assert frame["coord"].iloc[2] == ",".join(map(str, table.coord[2]))
    np.testing.assert_array_equal(np.stack(frame["embeddings"]), table.embeddings)


@pytest.mark.parametrize(
    "wrong",
    [{"nSamples": 0}, {"nNeighbors": 1}, {"minDist": 1}, {"minDist": "nan"}],
)
def test_a_cloud_that_cannot_be_laid_out_is_rejected(wrong):
    asked = {"nSamples": 500, "nNeighbors": 30, "minDist": 0.1}
    assert cloud_settings(asked) == first_settings(500)
    with pytest.raises(ValueError, match="no cloud of"):
        cloud_settings({**asked, **wrong})


def test_another_phoenix_is_rejected_with_what_to_do(monkeypatch):
    check_phoenix()
    monkeypatch.setattr("lib.session.phoenix.version", lambda name: "13.3.0")
    with pytest.raises(ResourceError, match=r"found 13\.3\.0 .* pip install"):
        check_phoenix()


def test_what_the_user_set_for_another_phoenix_does_not_reach_this_one(monkeypatch):
    for key in [key for key in os.environ if key.startswith("PHOENIX_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PHOENIX_COLLECTOR_ENDPOINT", "http://example.org")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    set_environment("/tmp/x")
    assert "PHOENIX_COLLECTOR_ENDPOINT" not in os.environ
    assert os.environ["PHOENIX_TELEMETRY_ENABLED"] == "false"
    assert os.environ["PHOENIX_ALLOW_EXTERNAL_RESOURCES"] == "false"
