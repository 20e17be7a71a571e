"""The explorer where Phoenix cannot be imported: all but Phoenix's page works."""

import json
import os
import subprocess
import sys

import pytest

from lib.artifacts import InteractiveTable
from tests.session_runs import SCRIPT, Running, make_table, write_run

# Python runs it before the script; what is installed stays as it is.
BLOCK = """
import sys

class NoPhoenix:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "phoenix":
            raise ImportError(f"{name} is blocked by a test")

sys.meta_path.insert(0, NoPhoenix())
"""
INSTALLS = "pip install -r requirements.txt"


@pytest.fixture(scope="module")
def blocked(tmp_path_factory):
    """The environment of a process that cannot import Phoenix."""
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "sitecustomize.py").write_text(BLOCK)
    return {"PYTHONPATH": str(folder)}


def test_all_but_its_page_works(tmp_path, blocked):
    run = write_run(tmp_path / "run", make_table())
    with Running("--input", run, cwd=tmp_path, **blocked) as session:
        session.wait_ready()
        status, content = session.ask("/api/session")
        told = json.loads(content)
        assert (status, told["rows"]) == (200, 12)
        assert not told["phoenix"]["available"] and INSTALLS in told["phoenix"]["why"]
        for path in ("/", "/static/main.js", "/api/points", "/api/means"):
            assert session.ask(path)[0] == 200
        for route in ("patches", "similar"):
            assert session.ask(f"/api/{route}", {"rows": [0]})[0] == 200
        named = {"op": "assign", "name": "a", "rows": {"list": [1, 5]}}
        assert session.ask("/api/action", named)[0] == 200
        wanted = {"what": "class", "class": 1, "format": "parquet"}
        status, content = session.ask("/api/export", wanted)
        kept = json.loads(content)["kept"]
        assert InteractiveTable.load(kept).row.tolist() == [1, 5]
        status, content = session.ask("/phoenix")
        assert status == 503 and INSTALLS in content.decode()
        assert session.ask("/api/state")[0] == 200
        assert session.stop() == 0
    assert "Traceback" not in session.text


def test_its_page_is_refused_with_what_installs_it(tmp_path, blocked):
    run = write_run(tmp_path / "run", make_table(), pictures=False)
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--input", str(run), "--page", "phoenix"],
        capture_output=True,
        text=True,
        env={**os.environ, **blocked},
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert INSTALLS in ended.stderr
