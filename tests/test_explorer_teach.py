"""Teaching a class on the page: what is asked, what is scored, and its replay."""

import json

import numpy as np
import pytest

from lib.artifacts import InteractiveTable
from lib.session.lessons import Lesson
from lib.session.teaching import Teacher
from tests.session_client import Asked
from tests.session_runs import make_table, write_run
from tests.test_replay import convert, refused

ROWS, KINDS = 240, 4
IS_KIND = np.arange(ROWS) % KINDS == 1
EXAMPLES = [1, 5, 9]


@pytest.fixture
def path(tmp_path):
    return write_run(tmp_path / "run", make_table(ROWS, KINDS), pictures=False)


@pytest.fixture
def asked(path):
    with Asked(path) as asked:
        state = asked.act("class", name="ribosome")
        asked.number = state["classes"][0]["id"]
        assert not state["classes"][0]["taught"]
        state = asked.act("teach", **{"class": asked.number, "examples": EXAMPLES})
        assert state["classes"][0]["taught"]
        yield asked


def taught(asked):
    """Return the scores, and what is asked next."""
    answer = asked.post("/api/teach", {"class": asked.number})
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.headers["x-lesson"])
    return np.frombuffer(answer.content, "<f4"), told


def reply(asked, row, yes):
    return asked.act("answer", **{"class": asked.number, "row": row, "yes": yes})


def answer_some(asked, count):
    for _ in range(count):
        row = taught(asked)[1]["row"]
        reply(asked, row, bool(IS_KIND[row]))


def check(asked, threshold):
    return asked.post(
        "/api/teach/check", {"class": asked.number, "threshold": threshold}
    )


def test_answers_separate_the_kind_from_all_others(asked):
    asked_rows = []
    for _ in range(12):
        score, told = taught(asked)
        row = told["row"]
        assert row not in [*EXAMPLES, *asked_rows]
        asked_rows.append(row)
        reply(asked, row, bool(IS_KIND[row]))
    score, told = taught(asked)
    assert told["yes"] + told["no"] == 12
    assert told["examples"] == len(EXAMPLES)
    assert score.min() >= 0
    assert score.max() <= 1
    assert score[IS_KIND].min() > score[~IS_KIND].max()
    known = [*EXAMPLES, *asked_rows]
    np.testing.assert_array_equal(score[known], IS_KIND[known])


def test_who_cannot_tell_is_asked_something_else(asked):
    before, told = taught(asked)
    reply(asked, told["row"], None)
    after, again = taught(asked)
    np.testing.assert_array_equal(after, before)
    assert again["row"] != told["row"]
    assert again["unsure"] == 1


def test_undo_takes_an_answer_back(asked):
    before, told = taught(asked)
    reply(asked, told["row"], False)
    assert taught(asked)[0][told["row"]] == 0
    asked.act("undo")
    after, again = taught(asked)
    np.testing.assert_array_equal(after, before)
    assert again == told


def test_a_check_asks_on_both_sides_and_changes_only_what_was_answered(asked):
    answer_some(asked, 8)
    before, _ = taught(asked)
    assert check(asked, 0.5).status_code == 200
    drawn = taught(asked)[1]["check"]
    assert drawn == {"threshold": 0.5, "total": 20, "open": 20, "estimate": None}
    rows = []
    while (told := taught(asked)[1])["check"]["open"]:
        rows.append(told["row"])
        reply(asked, told["row"], bool(IS_KIND[told["row"]]))
    score, told = taught(asked)
    above = before[rows] >= 0.5
    assert 0 < above.sum() < len(rows) == 20
    others = np.setdiff1d(np.arange(ROWS), rows)
    np.testing.assert_array_equal(score[others], before[others])
    found = told["check"]["estimate"]
    assert found["checked_above"] + found["checked_below"] == 20
    truth = IS_KIND[before >= 0.5].mean()
    assert found["precision_low"] - 0.05 <= truth <= found["precision_high"] + 0.05
    assert 0 <= found["missed_low"] <= found["missed"] <= found["missed_high"]
    # the next answer to another question teaches with all of them
    reply(asked, told["row"], bool(IS_KIND[told["row"]]))
    score, told = taught(asked)
    assert told["check"] is None
    assert (score[others] != before[others]).any()


def test_nothing_is_asked_when_all_is_answered():
    unit = np.eye(3, dtype=np.float16)
    lesson = Lesson((0,), ((1, False), (2, None)))
    taught = Teacher(unit).taught(lesson)
    assert taught.told["row"] is None
    np.testing.assert_array_equal(taught.score[:2], [1, 0])


def test_a_killed_session_and_the_script_give_the_same_scores(asked, path, tmp_path):
    answer_some(asked, 4)
    check(asked, 0.5)
    answer_some(asked, 1)
    score, _ = taught(asked)
    asked.journal.close()
    with Asked(path) as again:
        again.number = asked.number
        np.testing.assert_array_equal(taught(again)[0], score)
        exported = again.post(
            "/api/export",
            {
                "what": "rows",
                "rows": {"list": np.flatnonzero(score >= 0.5).tolist()},
                "taught": asked.number,
                "format": "parquet",
            },
        ).json()
    written = InteractiveTable.load(path.parent / "exports" / exported["name"])
    np.testing.assert_array_equal(written.score, score[score >= 0.5])
    source = ["--input", path, "--class", "ribosome", "--min_score", "0.5"]
    for arguments in (source, ["--input", path.parent / "exports" / exported["name"]]):
        done = convert(tmp_path, *arguments, "--output", f"{len(arguments)}.txt")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "6.txt").read_bytes() == (tmp_path / "2.txt").read_bytes()


def test_scores_of_a_class_that_was_not_taught_are_refused(asked, path, tmp_path):
    asked.act("assign", name="membrane", rows={"list": [0]})
    text = refused(
        tmp_path, "--input", path, "--class", "membrane", "--min_score", "0.5"
    )
    assert "no scores" in text


def test_what_cannot_be_taught_is_refused_in_words(asked):
    number = asked.number
    for body, text in (
        ({"class": number, "examples": []}, "1 to 1,000 rows"),
        ({"class": number, "examples": [ROWS]}, f"0 to {ROWS - 1}"),
        ({"class": number, "examples": [1, 1]}, "different"),
        ({"class": 99, "examples": [1]}, "no class 99"),
    ):
        assert text in asked.refused("/api/action", {"op": "teach", **body})
    for body, text in (
        ({"row": EXAMPLES[0], "yes": True}, "an example"),
        ({"row": -1, "yes": True}, "no candidate"),
        ({"row": 3, "yes": 1}, "no answer"),
        ({"row": 3, "yes": "yes"}, "no answer"),
    ):
        body = {"op": "answer", "class": number, **body}
        assert text in asked.refused("/api/action", body)
    reply(asked, 0, False)
    answer = {"op": "answer", "class": number, "row": 0, "yes": True}
    assert "answered already" in asked.refused("/api/action", answer)
    for threshold in (None, "0.5", 1.5, True):
        assert "0 to 1" in asked.refused(
            "/api/teach/check", {"class": number, "threshold": threshold}
        )
    asked.act("class", name="other")
    assert "not taught" in asked.refused("/api/teach", {"class": 2})
    answer["class"] = 2
    assert "begin with a few examples" in asked.refused("/api/action", answer)
