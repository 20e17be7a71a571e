"""The guard alone, in front of a server that says what it was asked."""

import asyncio
import io
import json

import numpy as np
import pytest
from PIL import Image

from lib.artifacts import packed_path
from lib.errors import ArtifactError
from lib.session.cloud import Superseded
from lib.session.door import Door, Entrance
from lib.session.export import write_export
from lib.session.guard import Guard, picked_rows
from tests.session_runs import make_table, write_ring

EXPORT = "mutation ($rows: [ID!]!) { exportEvents(eventIds: $rows) { fileName } }"
CLOUD = "query ($n: Int!) { node(id: 1) { UMAPPoints(nSamples: $n) { id } } }"


async def echo(scope, receive, send):
    """Answer with the body that was asked."""
    body = b""
    if scope["method"] == "POST":
        body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"passed on " + body})


class Asked:
    """A guard, what it exported and which clouds it prepared."""

    def __init__(self, folder):
        self.exported, self.clouds = [], []
        self.folder = folder
        (folder / "imgs").mkdir()
        write_ring(folder / "imgs" / "0.png", 5, 0)
        self.door = Door()
        self.guard = Guard(
            echo,
            pictures=folder / "imgs",
            exports=folder / "exports",
            export=self.export,
            prepare_cloud=self.prepare,
        )
        self.entrance = Entrance(self.guard, self.door)

    def export(self, rows):
        if 99 in rows:
            raise ArtifactError("row 99 is not there")
        self.exported.append(rows)
        return "saved"

    async def prepare(self, variables):
        if variables["n"] == 99:
            raise Superseded("another layout was asked for since")
        self.clouds.append(variables["n"])

    def __call__(self, method, path, body=b"", query="", chunks=1, **headers):
        cookie = f"{self.door.cookie}={self.door.token}"
        headers = {"host": "localhost:6006", "cookie": cookie, **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()
            ],
        }
        parts = [body[i::chunks] for i in range(chunks)] if chunks > 1 else [body]
        messages = [
            {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
            for i, part in enumerate(parts)
        ]
        sent = []

        async def receive():
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        asyncio.run(self.entrance(scope, receive, send))
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], dict(sent[0]["headers"]), content

    def ask(self, query, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        return self("POST", "/graphql", body, content_type="application/json")


@pytest.fixture
def asked(tmp_path):
    return Asked(tmp_path)


@pytest.mark.parametrize(
    "path", ["/", "/model/embeddings/RW1i", "/assets/index-Cqj1.js", "/favicon.ico"]
)
def test_pages_are_passed_on_and_may_ask_nobody_else(asked, path):
    status, headers, body = asked("GET", path)
    assert (status, body) == (200, b"passed on ")
    assert b"connect-src 'self'" in headers[b"content-security-policy"]
    assert b"http:" not in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("path", ["/model/../v1", "/v1/traces", "/docs", "/assets/a/b"])
def test_all_else_is_not_there(asked, path):
    assert asked("GET", path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/imgs/0.png", "/exports", "/v1/traces"])
def test_nothing_can_be_sent_there(asked, path):
    assert asked("POST", path)[0] == 405


def test_patches_are_given_and_links_not_followed(asked, tmp_path):
    status, headers, body = asked("GET", "/imgs/0.png")
    assert (status, headers[b"content-type"]) == (200, b"image/png")
    assert body.startswith(b"\x89PNG")
    (tmp_path / "secret").write_bytes(b"not yours")
    (tmp_path / "imgs" / "1.png").symlink_to(tmp_path / "secret")
    for name in ("1.png", "2.png", "../secret"):
        assert asked("GET", f"/imgs/{name}")[0] == 404


def test_exports_are_given_by_their_name_alone(asked, tmp_path):
    name = write_export(make_table(), [1], tmp_path / "exports")
    status, _, body = asked("GET", "/exports", query=f"filename={name}")
    assert (status, body[:4]) == (200, b"PAR1")
    for query in (f"filename={tmp_path}/exports/{name}", "filename=..", "", "a=b"):
        assert asked("GET", "/exports", query=query)[0] == 404


def test_questions_are_passed_on_unchanged_however_they_arrive(asked):
    body = json.dumps({"query": "{ model { name } }"}).encode()
    kind = {"content_type": "application/json; charset=utf-8"}
    assert asked("POST", "/graphql", body, **kind)[2] == b"passed on " + body


def test_the_cloud_is_ready_before_the_question_is_passed_on(asked):
    assert asked.ask(CLOUD, n=300)[2].startswith(b"passed on ")
    assert asked.clouds == [300]
    assert asked.ask(CLOUD)[0] == 400
    status, _, body = asked.ask(CLOUD, n=99)
    assert (status, body) == (409, b"another layout was asked for since")


def test_an_export_is_done_here_and_never_passed_on(asked):
    status, _, body = asked.ask(EXPORT, rows=["3:InferencesRole.PRIMARY"])
    assert json.loads(body) == {"data": {"exportEvents": {"fileName": "saved"}}}
    assert asked.exported == [[3]]
    _, _, body = asked.ask(EXPORT, rows=["99:InferencesRole.PRIMARY"])
    assert json.loads(body)["errors"] == [{"message": "row 99 is not there"}]


@pytest.mark.parametrize(
    ("status", "query"),
    [
        (403, "mutation { deleteProject(id: 1) { a } }"),
        (403, "mutation { ...a } fragment a on Mutation { b }"),
        (403, "mutation { a: exportEvents(eventIds: []) { b } c }"),
        (403, 'mutation { exportEvents(eventIds: [], fileName: "/etc/x") { b } }'),
        (403, "subscription { a }"),
        (400, "query a { b } mutation c { d }"),
        (400, "fragment a on Mutation { b }"),
        (400, "{ broken"),
        (400, 'mutation { exportEvents(eventIds: ["1:OTHER"]) { b } }'),
        (400, "mutation { exportClusters(clusters: [{id: 1}]) { b } }"),
    ],
)
def test_no_other_change_comes_through(asked, status, query):
    assert asked.ask(query)[0] == status
    assert not asked.exported


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded"]
)
def test_forms_that_any_web_site_can_send_are_rejected(asked, kind):
    assert asked("POST", "/graphql", b"{}", content_type=kind)[0] == 415
    assert asked("GET", "/graphql")[0] == 405


def test_what_is_too_large_is_rejected(asked, monkeypatch):
    monkeypatch.setattr("lib.session.guard.LARGEST_REQUEST", 10)
    kind = {"content_type": "application/json"}
    assert asked("POST", "/graphql", b"0" * 12, chunks=3, **kind)[0] == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "10.0.0.1"},
        {"origin": "http://localhost:7000"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
    ],
)
def test_other_sites_are_rejected_everything(asked, headers):
    for path in ("/imgs/0.png", "/exports", "/graphql", "/model"):
        assert asked("GET", path, **headers)[0] == 403


def test_clusters_are_exported_as_their_rows():
    first, second = ({"eventIds": [f"{n}:InferencesRole.PRIMARY"]} for n in (4, 2))
    assert picked_rows({"clusters": [first, second]}) == [4, 2]


def test_web_sockets_are_closed_and_the_start_is_passed_on(asked):
    sent, started = [], []

    async def send(message):
        sent.append(message)

    async def start(scope, receive, send):
        started.append(scope["type"])

    asyncio.run(asked.entrance({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    asked.entrance.app = start
    asyncio.run(asked.entrance({"type": "lifespan"}, None, send))
    assert started == ["lifespan"]


def test_packed_patches_are_served_behind_the_same_links(tmp_path):
    asked = Asked(tmp_path)
    as_file = asked("GET", "/imgs/0.png")
    with Image.open(tmp_path / "imgs" / "0.png") as picture:
        gray = np.asarray(picture.convert("L"))
    np.save(packed_path(tmp_path / "imgs"), np.stack([0 * gray, gray]))
    (tmp_path / "imgs" / "0.png").unlink()
    packed = Guard(
        echo,
        pictures=tmp_path / "imgs",
        exports=tmp_path,
        export=None,
        prepare_cloud=None,
    )
    asked.entrance.app = packed
    status, headers, body = asked("GET", "/imgs/1.png")
    assert (status, headers[b"content-type"]) == (200, as_file[1][b"content-type"])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), gray)
    assert asked("GET", "/imgs/2.png")[0] == 404


def test_somebody_elses_pictures_may_come_from_this_machine(tmp_path):
    guard = Guard(
        echo,
        pictures=None,
        exports=tmp_path,
        export=None,
        prepare_cloud=None,
    )
    assert b"http://localhost:*" in guard.policy


@pytest.mark.parametrize("alias", ["", "viewer: ", "\\u0061b: "])
def test_questions_that_make_the_server_call_out_are_not_passed_on(asked, alias):
    field = "testGenerativeModelCustomProviderCredentials(input: {})"
    body = ('{"query": "query { ' + alias + field + ' { error } }"}').encode()
    status, *rest = asked(
        "POST", "/graphql", body=body, content_type="application/json"
    )
    assert status == 400
    assert b"passed on" not in b"".join(
        part for part in rest if isinstance(part, bytes)
    )


# --- the door ------------------------------------------------------------------

EVERYWHERE = ["/", "/imgs/0.png", "/exports", "/model", "/graphql", "/favicon.ico"]


@pytest.mark.parametrize(
    "cookie", ["", "session=x", "{name}=", "{name}=x", "x={token}"]
)
def test_without_the_cookie_nothing_is_answered(asked, cookie):
    cookie = cookie.format(name=asked.door.cookie, token=asked.door.token)
    for path in EVERYWHERE:
        for method in ("GET", "HEAD", "POST"):
            status, _, body = asked(method, path, cookie=cookie)
            assert status == 403
            assert b"open the link" in body
            assert asked.door.token.encode() not in body
    body = json.dumps({"query": EXPORT, "variables": {"rows": []}}).encode()
    kind = {"content_type": "application/json", "cookie": cookie}
    assert asked("POST", "/graphql", body, **kind)[0] == 403
    assert not asked.exported


def test_link_of_the_terminal_gives_the_cookie_and_a_clean_address(asked):
    query = asked.door.query.removeprefix("?")
    status, headers, body = asked("GET", "/", query=query, cookie="")
    assert (status, headers[b"location"]) == (303, b"./")
    pair, *attributes = headers[b"set-cookie"].decode().split("; ")
    assert {a.lower() for a in attributes} == {"httponly", "samesite=strict"}
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert asked("GET", "/", cookie=pair)[0] == 200
    assert asked("GET", "/imgs/0.png", cookie=f"a=b; {pair}; c")[0] == 200
    # again, with the cookie: the address is to become clean as well
    assert asked("GET", "/", query=query)[0] == 303


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "token="),
        ("GET", "token=x"),
        ("GET", "token={}x"),
        ("GET", "Token={}"),
        ("POST", "token={}"),
        ("GET", "token=%FF%00"),
    ],
)
def test_another_token_opens_nothing(asked, method, query):
    query = query.format(asked.door.token)
    status, headers, _ = asked(method, "/", query=query, cookie="")
    assert status == 403
    assert b"set-cookie" not in headers


def test_every_session_has_its_own_token_and_cookie(asked):
    doors = [asked.door, *(Door() for _ in range(20))]
    assert len({door.token for door in doors}) == len(doors)
    assert len({door.cookie for door in doors}) == len(doors)
    assert min(len(door.token) for door in doors) >= 22  # 128 bits in base 64
    stranger = doors[1]
    for name in (asked.door.cookie, stranger.cookie):
        assert asked("GET", "/", cookie=f"{name}={stranger.token}")[0] == 403


def test_the_link_opens_nothing_to_another_site(asked):
    query = asked.door.query.removeprefix("?")
    status, headers, _ = asked("GET", "/", query=query, host="evil.example")
    assert (status, b"set-cookie" in headers) == (403, False)
