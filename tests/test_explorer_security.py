"""Who may use the explorer, and what it does with what nobody's page would send."""

import asyncio
import hashlib
import json
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import numpy as np
import pytest

from lib.session.requests import LARGEST_REQUEST
from tests.session_client import Asked
from tests.session_runs import make_table, write_run

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script>"
ROUTES = [
    *[("GET", f"/api/{name}") for name in ("session", "state", "points", "classes")],
    *[("GET", path) for path in ("/", "/api/slice", "/api/means", "/exports")],
    *[("GET", path) for path in ("/static/main.js", "/phoenix", "/phoenix/", "/none")],
    *[("POST", f"/api/{name}") for name in ("patches", "similar", "action", "export")],
]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "exp"
    folder.mkdir()
    (tmp_path / "secret.parquet").write_text("not yours")
    return write_run(folder / "run", make_table())


@pytest.fixture
def asked(run):
    with Asked(run) as asked:
        yield asked


def ask_raw(asked, path, query=b"", method="GET", prefix=""):
    """Return (status, headers, body) of a path as it is, which no client makes tidy."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    headers = {"host": "localhost:6006", "cookie": asked.cookie}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1", "replace"),
        "root_path": prefix,
        "query_string": query,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "server": ("127.0.0.1", 6006),
        "client": ("127.0.0.1", 40000),
    }
    asyncio.run(asked.app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def tree(folder):
    """Return the digests of all files of a folder by their path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- who may come in ----------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_cookie_nothing_is_answered(run, method, path):
    with Asked(run, enter=False) as asked:
        answer = asked.ask(method, path, json={})
        assert answer.status_code == 403
        assert answer.text.startswith("Only the user who started")
        assert asked.get(path + "?token=wrong").status_code == 403


def test_the_token_of_the_link_is_exchanged_for_a_cookie(run):
    with Asked(run, enter=False) as asked:
        answer = asked.get("/" + asked.door.query)
        assert answer.status_code == 303
        assert urljoin("http://localhost:6006/", answer.headers["location"]) == (
            "http://localhost:6006/"
        )
        cookie = answer.headers["set-cookie"]
        assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower()
        assert asked.get("/", cookie=cookie.split(";")[0]).status_code == 200
    with Asked(run, enter=False) as other:  # a session that was started later
        assert other.get("/", cookie=cookie.split(";")[0]).status_code == 403


@pytest.mark.parametrize("path", ["//evil.example", "/a//evil.example", "/x:y"])
def test_the_link_leads_nowhere_else(asked, path):
    query = asked.door.query.removeprefix("?").encode()
    _, headers, _ = ask_raw(asked, path, query)
    found = urlsplit(
        urljoin("http://localhost:6006/a/b", headers[b"location"].decode())
    )
    assert (found.scheme, found.netloc) == ("http", "localhost:6006")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example:6006"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "hub.example.org.evil.example"},
        {"host": "xhub.example.org"},
        {"host": "hub.example.org."},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:7000"},
        {"origin": "null"},
        {"origin": "https://hub.example.org@evil.example"},
        {"origin": "https://hub.example.org.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), ROUTES[1:4] + ROUTES[-2:])
def test_other_sites_and_other_ports_are_refused(run, headers, method, path):
    with Asked(run, allowed=["hub.example.org"]) as asked:
        answer = asked.ask(method, path, headers, json={"op": "class", "name": "a"})
        assert answer.status_code == 403
        assert not asked.journal.classes.classes


def test_a_proxy_is_let_in_by_its_exact_name_alone(run):
    with Asked(run, allowed=["Hub.example.org"]) as asked:
        for host in ("hub.example.org", "HUB.example.org:8000", "localhost:6006"):
            assert asked.get("/api/state", host=host).status_code == 200
        for host, origin in (
            ("hub.example.org", "https://hub.example.org"),
            ("localhost:6006", "https://hub.example.org:8000"),  # rewritten by it
        ):
            headers = {"host": host, "origin": origin}
            answer = asked.ask("POST", "/api/similar", headers, json={"rows": [0]})
            assert answer.status_code == 200
    with Asked(run) as asked:
        refused = asked.get("/api/state", host="hub.example.org")
        assert refused.status_code == 403 and "--allow_host" in refused.text


# --- what the browser is told --------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_forbids_what_the_page_does_not_need(asked, method, path):
    headers = asked.ask(method, path, json={}).headers
    policy = dict(
        part.strip().split(" ", 1)
        for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    for name, value in policy.items():
        if name in ("script-src", "style-src", "connect-src"):
            assert value == "'self'"
        assert "unsafe" not in value and "http" not in value
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    # A later session on this port shows another table.
    assert headers["cache-control"] in ("no-cache", "no-store")
    assert "access-control-allow-origin" not in headers


def test_names_come_back_as_text(tmp_path):
    table = make_table(name=np.array([HOSTILE] * 12))
    with Asked(write_run(tmp_path / "run", table)) as asked:
        asked.act("assign", name=HOSTILE, rows={"list": [1]})
        asked.act("class", name="‮ribosome 核糖体")
        answer = asked.get("/api/session")
        assert answer.headers["content-type"] == "application/json"
        told = answer.json()
        assert told["tomograms"][0]["name"] == HOSTILE
        names = [each["name"] for each in told["state"]["classes"]]
        assert names == [HOSTILE, "‮ribosome 核糖体"]
        body = {"what": "class", "class": 1, "format": "csv"}
        answer = asked.get("/" + asked.post("/api/export", body).json()["url"])
        assert "attachment" in answer.headers["content-disposition"]
        assert "html" not in answer.headers["content-type"]


class Links(HTMLParser):
    """The addresses of an HTML page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [
            value for key, value in attrs if key in ("href", "src", "action")
        ]


def test_it_works_behind_a_path_prefix(asked):
    """A proxy takes the prefix away, or names it as `root_path`."""
    prefix = "/user/someone/proxy/6006"
    start = f"http://localhost:6006{prefix}/"

    def follow(link, page=start):
        address = urlsplit(urljoin(page, link))
        assert address.path.startswith(prefix + "/"), link
        return ask_raw(asked, address.path.removeprefix(prefix), address.query.encode())

    status, headers, _ = follow(asked.door.query)
    assert (status, headers[b"location"]) == (303, b"./")
    cookie = headers[b"set-cookie"].decode().lower()
    assert "path=" not in cookie  # that of the address
    status, _, page = follow(headers[b"location"].decode())
    links = [link for link in Links(page.decode()).found if link != "#"]
    assert len(links) > 3
    for link in links:
        assert follow(link)[0] in (200, 503)  # 503: without Phoenix
    body = {"what": "rows", "rows": {"list": [1]}}
    assert follow(asked.post("/api/export", body).json()["url"])[0] == 200
    # the refusal of Phoenix, and the way back
    page = f"{start}phoenix"
    status, headers, content = follow("phoenix")
    assert status == 503 and b"<b>" not in content
    for link in Links(content.decode()).found:
        assert follow(link, page)[0] == 200


# --- paths -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../secret.parquet",
        "../../secret.parquet",
        "..%2f..%2fsecret.parquet",
        "/etc/passwd",
        "....//secret.parquet",
        "..\\..\\secret.parquet",
        "main.js\0.png",
        "\0",
        "C:\\windows\\win.ini",
        "x" * 5000,
        "~root/.profile",
        "2026-11-22_12-00-00.parquet/../../../secret.parquet",
    ],
)
def test_no_name_leads_out_of_its_folder(asked, tmp_path, name):
    before = tree(tmp_path)
    for folder in ("static", "exports", "imgs", "phoenix/imgs", "api", "picks", ""):
        status, _, body = ask_raw(asked, f"/{folder}/{name}")
        assert status in (303, 404), folder  # 303: Phoenix has not been started
        assert b"not yours" not in body and b"root:" not in body
    assert asked.get(f"/exports?filename={quote(name)}").status_code == 404
    assert asked.get(f"/api/slice?tomogram={quote(name)}&index=0").status_code == 404
    assert tree(tmp_path) == before


def test_only_an_export_is_downloaded(asked, run, tmp_path):
    exports = run.parent / "exports"
    exports.mkdir()
    (exports / "notes.txt").write_text("mine")
    (exports / "2026-11-22_12-00-00.parquet").symlink_to(tmp_path / "secret.parquet")
    (exports / "2026-11-22_12-00-01.parquet").mkdir()
    for name in ("notes.txt", "2026-11-22_12-00-00", "2026-11-22_12-00-01.parquet", ""):
        assert asked.get(f"/exports?filename={name}").status_code == 404
    assert asked.get("/exports").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE"])
def test_nothing_can_be_sent_to_where_things_are_read(asked, method):
    for path in ("/", "/api/session", "/exports", "/static/main.js"):
        assert asked.ask(method, path, json={}).status_code == 405


# --- bodies ------------------------------------------------------------------------

BODIES = [
    {"op": ["class"]},
    {"op": "class", "name": "../../../x"},
    {"op": "assign", "name": "\ud800", "rows": {"list": [0]}},
    {"op": "assign", "name": "a", "rows": {"list": [10**40]}},
    {"op": "assign", "name": "b", "class": {}, "rows": {"list": [0]}},
    {"op": "merge", "clusters": [[0]], "into": None},
    {"rows": [10**40]},
    {"rows": [0.5]},
    {"rows": [[0]]},
    {"rows": "0" * 600},
    {"rows": [0], "view": 10**40},
    {"rows": [0], "view": [0]},
    {"rows": [0] * 2000},
    {"what": "rows", "rows": {"list": [0]}, "format": "../x"},
    {"what": "rows", "rows": {"list": [0]}, "format": ["txt"]},
    {"what": "rows", "rows": {"list": [0]}, "similar": [10**40]},
    {"what": "class", "class": [1]},
    {"what": ["rows"]},
    {"what": "scores", "similar": [0], "threshold": 10**400},
    {"what": "scores", "similar": [0], "threshold": float("nan")},
    {"what": "scores", "similar": [0], "threshold": "0"},
]


@pytest.mark.parametrize("route", ["patches", "similar", "action", "export"])
def test_bodies_of_every_kind_are_answered_and_nothing_outside_is_written(
    asked, run, tmp_path, route
):
    table = run.read_bytes()
    before = tree(tmp_path)
    for body in BODIES:
        answer = asked.ask(
            "POST",
            f"/api/{route}",
            {"content-type": "application/json"},
            content=json.dumps(body),
        )
        assert answer.status_code in (200, 400), (body, answer.text)
        assert asked.get("/api/session").status_code == 200
    left = {path: d for path, d in tree(tmp_path).items() if before.get(path) != d}
    assert all(path.startswith(("exp/run/picks/", "exp/run/exports/")) for path in left)
    assert run.read_bytes() == table


@pytest.mark.parametrize("route", ["patches", "similar", "action", "export"])
@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"a=1", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/json", b"", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"rows": [' + b"9" * 5000 + b"]}", 400),
        ("application/json", b" " * (LARGEST_REQUEST + 1), 413),
    ],
)
def test_bodies_that_no_page_sends_are_refused(asked, route, kind, content, status):
    headers = {"content-type": kind}
    answer = asked.ask("POST", f"/api/{route}", headers, content=content)
    assert answer.status_code == status
    assert answer.json()["error"]
