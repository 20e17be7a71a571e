"""Classes that were named on the page, converted without it."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lib.artifacts import ExperimentDir, InteractiveTable
from tests.records import make_record
from tests.session_client import Asked
from tests.session_runs import PROJECT, make_table, write_run

SCRIPT = PROJECT / "interactive_to_training_coords.py"
FACTS = {"shape": [200, 400, 500], "voxel_size": 10.0, "order": "xzy"}
ROWS = [2, 3, 7, 10, 11]
NAME = "large <b> subunit"


def convert(cwd, *arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    # the time zone stands for the hour: nothing of it may be in a file
    env = {**os.environ, "TZ": "Asia/Tokyo" if "--class" in arguments else "UTC"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


def refused(cwd, *arguments):
    """Return the one line of a refusal."""
    done = convert(cwd, *arguments, "--output", "refused.txt")
    assert done.returncode == 2, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (cwd / "refused.txt").exists()
    return done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run in which two classes were named, the second one empty."""
    record = make_record({"tomo1": FACTS, "tomo2": FACTS}, compress=False)
    coord = np.random.default_rng(0).integers(0, 200, (12, 3))
    folder = tmp_path_factory.mktemp("work") / "run"
    path = write_run(folder, make_table(12, record=record, coord=coord))
    with Asked(path) as asked:
        state = asked.act("class", name=NAME)
        number = state["classes"][0]["id"]
        asked.act("assign", **{"class": number, "rows": {"list": ROWS}})
        asked.act("assign", **{"class": number, "rows": {"list": [0]}})
        asked.act("undo")
        asked.act("class", name="empty")
        asked.exported = asked.post(
            "/api/export",
            {"what": "class", "class": number, "similar": [2], "format": "parquet"},
        ).json()
    return path, folder / "exports" / asked.exported["name"]


@pytest.mark.parametrize("output", ["o.txt", "o.star", "o.ndjson"])
def test_a_class_is_converted_to_the_bytes_of_its_export(run, tmp_path, output):
    path, export = run
    for folder, *source in (
        ("page", "--input", export),
        ("replay", "--input", path, "--class", NAME),
    ):
        (tmp_path / folder).mkdir()
        done = convert(tmp_path / folder, *source, "--output", output)
        assert done.returncode == 0, done.stderr
    page, replay = (
        {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}
        for folder in ("page", "replay")
    )
    assert page == replay
    assert len(page) == (2 if output == "o.ndjson" else 1)


def test_the_folder_of_the_run_stands_for_its_table(run, tmp_path):
    path, _ = run
    arguments = ["--class", NAME, "--output", "o.txt"]
    done = convert(tmp_path, "--input", path.parent, *arguments)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "o.txt").read_text().splitlines()) == 1 + len(ROWS)


def test_only_scores_from_a_number_on_are_taken(run, tmp_path):
    path, _ = run
    body = {"what": "rows", "rows": {"list": ROWS}, "similar": [2]}
    with Asked(path) as asked:
        export = (
            path.parent / "exports" / asked.post("/api/export", body).json()["name"]
        )
    score = InteractiveTable.load(export).score
    least = np.sort(score)[-2]
    arguments = ["--input", export, "--output", "o.txt", "--min_score"]
    done = convert(tmp_path, *arguments, least)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "o.txt").read_text().splitlines()) == 1 + 2
    said = refused(tmp_path, "--input", path, "--class", NAME, "--min_score", "0.5")
    assert "the picks have no scores" in said
    assert "from -1 to 1" in convert(tmp_path, *arguments, "nan").stderr


def test_a_class_that_is_not_there_is_refused_with_those_that_are(run, tmp_path):
    path, _ = run
    said = refused(tmp_path, "--input", path, "--class", "ribosome")
    assert "no such class" in said
    assert f"{NAME} (5 candidates), empty (0 candidates)" in said
    assert "it is empty" in refused(tmp_path, "--input", path, "--class", "empty")
    said = refused(tmp_path, "--input", path, path.parent, "--class", NAME)
    assert "give one --input" in said


def test_a_table_in_which_nothing_was_named_is_refused(run, tmp_path):
    path, _ = run
    other = write_run(tmp_path / "other", make_table(12, seed=1), pictures=False)
    said = refused(tmp_path, "--input", other, "--class", NAME)
    assert "no classes were made of this table" in said
    # the journal of another table is not applied, even under the name of this one's
    (journal,) = ExperimentDir(path.parent).picks.glob("*.jsonl")
    picks = ExperimentDir(other.parent).picks
    picks.mkdir()
    fingerprint = InteractiveTable.load(other).fingerprint
    (picks / f"{fingerprint}.jsonl").write_bytes(journal.read_bytes())
    said = refused(tmp_path, "--input", other, "--class", NAME)
    assert "not a journal of this table" in said
