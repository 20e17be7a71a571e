"""What is named in the explorer is kept: whatever happens, and never for other rows."""

import base64
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from lib.artifacts import ArtifactError
from lib.errors import InputError, ResourceError
from lib.session.journal import Journal, read_classes
from tests.session_client import Asked
from tests.session_runs import make_table, write_run

ROWS = 40
TABLE = {
    "fingerprint": "0123456789abcdef",
    "rows": ROWS,
    "clusters": 6,
    "clustering": "first",
    "table": "interactive_info_parquet.gzip",
}
# One of each kind, as the page sends them.
CHANGES = [
    {"op": "class", "name": "membrane", "color": "#112233"},
    {"op": "assign", "class": 1, "rows": {"list": [3, 1, 2]}},
    {"op": "assign", "name": "ribosome", "rows": {"list": [2, 8]}},
    {"op": "rename", "class": 1, "name": "bilayer"},
    {"op": "recolor", "class": 2, "color": "#ABCDEF"},
    {"op": "merge", "clusters": [1, 2], "into": 0},
    {"op": "assign", "class": 0, "rows": {"list": [8]}},
    {"op": "teach", "class": 1, "examples": [3, 1]},
    {"op": "answer", "class": 1, "row": 20, "yes": False},
    {"op": "check", "class": 1, "threshold": 0.25, "drawn": [7, 5]},
    {"op": "answer", "class": 1, "row": 5, "yes": True},
    {"op": "answer", "class": 1, "row": 30, "yes": None},
    {"op": "remove", "class": 1},
    {"op": "undo"},
    {"op": "undo"},
    {"op": "redo"},
]


def seen(classes):
    """Return all that the page shows of classes."""
    named = [(c.id, c.name, c.color) for c in classes.classes.values()]
    texts = classes.undo_text, classes.redo_text
    kept = classes.of_row.tolist(), dict(classes.merged), dict(classes.lessons)
    return sorted(named), *kept, texts


@pytest.fixture
def picks(tmp_path):
    return tmp_path / "picks"


@pytest.fixture
def history(picks):
    """What was to be seen before the first change, and after each."""
    journal = Journal.open(picks, **TABLE)
    states = [seen(journal.classes)]
    for change in CHANGES:
        journal.write(change)
        states.append(seen(journal.classes))
    journal.close()
    return states


def reopened(picks, **changed):
    """Return the journal of another session, which ended."""
    journal = Journal.open(picks, **{**TABLE, **changed})
    journal.close()
    return journal


def journal_of(picks):
    (path,) = picks.glob("*.jsonl")
    return path


def test_opening_again_shows_the_same(picks, history):
    assert seen(reopened(picks).classes) == history[-1]
    assert len({str(state) for state in history}) > 7


def test_a_session_that_was_killed_while_it_wrote_shows_the_last_whole_change(
    picks, history
):
    path = journal_of(picks)
    content = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    cuts = {0, 1, *ends, *(end - 1 for end in ends), *range(5, len(content), 41)}
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        journal = reopened(picks)
        whole = sum(end <= cut for end in ends)
        assert seen(journal.classes) == history[max(0, whole - 1)]
        assert journal.notes == []
        assert path.read_bytes() == content[: ends[whole - 1] if whole else 0]


def test_work_goes_on_after_a_torn_line(picks, history):
    path = journal_of(picks)
    path.write_bytes(path.read_bytes()[:-9])  # the redo
    journal = Journal.open(picks, **TABLE)
    journal.write({"op": "redo"})
    journal.close()
    assert seen(reopened(picks).classes) == history[-1]


@pytest.mark.parametrize(
    "damage",
    [b"\0\0\0\n", b"[1]\n", b'{"op": "no such"}\n', b"[" * 9999 + b"\n", b"7\n"],
)
def test_lines_that_nobody_wrote_are_kept_and_said(picks, history, damage):
    path = journal_of(picks)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:4], damage, *lines[4:]])
    path.write_bytes(damaged)
    journal = reopened(picks)
    assert seen(journal.classes) == history[3]
    (note,) = journal.notes
    (kept,) = picks.glob("*.kept")
    assert kept.name in note and kept.read_bytes() == damaged


def test_undo_goes_back_to_the_start_and_redo_to_the_end(picks):
    journal = Journal.open(picks, **TABLE)
    states = [seen(journal.classes)[:4]]
    for change in CHANGES[: CHANGES.index({"op": "undo"})]:
        journal.write(change)
        states.append(seen(journal.classes)[:4])
    journal.close()
    journal = Journal.open(picks, **TABLE)  # without limit, and over sessions
    for state in states[-2::-1]:
        journal.write({"op": "undo"})
        assert seen(journal.classes)[:4] == state
    with pytest.raises(InputError, match="nothing to undo"):
        journal.write({"op": "undo"})
    for state in states[1:]:
        journal.write({"op": "redo"})
        assert seen(journal.classes)[:4] == state
    with pytest.raises(InputError, match="nothing to redo"):
        journal.write({"op": "redo"})
    journal.close()
    assert seen(reopened(picks).classes)[:4] == states[-1]


def test_naming_a_selection_is_one_step_also_after_opening_again(picks):
    journal = Journal.open(picks, **TABLE)
    named = {"op": "assign", "name": " new  one ", "rows": {"list": [4, 5]}}
    journal.write(named)
    (made,) = journal.classes.classes.values()
    assert made.name == "new one"
    journal.write({**named, "rows": {"list": [6]}})  # by now there is one
    assert journal.classes.counts() == {made.id: 3}
    journal.write({"op": "undo"})
    journal.close()
    journal = Journal.open(picks, **TABLE)
    assert "name 2 candidates “new one”" in journal.classes.undo_text
    journal.write({"op": "undo"})
    journal.close()
    assert not journal.classes.classes and not journal.classes.of_row.any()
    assert journal.classes.undo_text is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "not a change"),
        ({"op": ["undo"]}, "not a change"),
        ({"op": "learn"}, "not a change"),
        ({"op": "undo"}, "nothing to undo"),
        ({"op": "teach", "class": 1, "examples": [1]}, "no class 1"),
        ({"op": "class", "name": " "}, "needs a name"),
        ({"op": "class", "name": {"a": 1}}, "needs a name"),
        ({"op": "class", "name": "x" * 101}, "at most 100"),
        ({"op": "class", "name": "\x1b[31m"}, "control"),
        ({"op": "class", "name": "\ud800"}, "control"),
        ({"op": "class", "name": "a", "color": "red; x"}, "color"),
        ({"op": "rename", "class": 9, "name": "a"}, "no class 9"),
        ({"op": "remove", "class": [1]}, "no class"),
        ({"op": "recolor", "class": True, "color": "#000000"}, "no class"),
        ({"op": "assign", "class": 1, "rows": {"list": [1]}}, "no class 1"),
        ({"op": "assign", "class": 0, "rows": {"list": [ROWS]}}, "rows 0 to 39"),
        ({"op": "assign", "name": "a", "rows": {"list": [-1]}}, "rows 0 to 39"),
        ({"op": "assign", "name": "a", "rows": {"mask": "////////"}}, "6 bytes"),
        ({"op": "assign", "name": "a", "rows": {"packed": "AAAA"}}, "mask"),
        ({"op": "assign", "name": "a"}, "rows must be"),
        (
            {"op": "assign", "name": "a", "rows": {"list": [1]}, "how": "x" * 10**5},
            "too much room",
        ),
        ({"op": "merge", "clusters": [0, 6], "into": 0}, "no cluster 6"),
        ({"op": "merge", "clusters": [], "into": 0}, "list of clusters"),
    ],
)
def test_what_cannot_be_done_changes_and_keeps_nothing(picks, change, said):
    journal = Journal.open(picks, **TABLE)
    before = seen(journal.classes)
    with pytest.raises(InputError, match=said):
        journal.write(change)
    assert seen(journal.classes) == before
    journal.close()
    assert not list(picks.glob("*.jsonl"))


def test_numbers_of_classes_are_given_here_and_not_by_the_page(picks):
    journal = Journal.open(picks, **TABLE)
    journal.write({"op": "class", "name": "a", "id": 400})
    journal.write({"op": "assign", "name": "b", "class": [], "rows": {"list": [0]}})
    assert journal.classes.counts() == {1: 0, 2: 1}
    for number in range(3, 256):
        journal.write({"op": "class", "name": str(number)})
    with pytest.raises(InputError, match="255"):
        journal.write({"op": "class", "name": "one too many"})
    journal.close()
    assert len(reopened(picks).classes.classes) == 255


def test_large_selections_are_kept_in_little_room(picks):
    size = {**TABLE, "rows": 100_000}
    journal = Journal.open(picks, **size)
    bits = np.zeros(100_000, bool)
    bits[::2] = True
    mask = np.packbits(bits, bitorder="little").tobytes()
    rows = {"mask": base64.b64encode(mask).decode()}
    journal.write({"op": "assign", "name": "half", "rows": rows})
    journal.close()
    np.testing.assert_array_equal(reopened(picks, rows=100_000).classes.of_row, bits)
    assert journal.path.stat().st_size < 2000


# --- another table -----------------------------------------------------------------


def test_a_journal_of_another_table_is_said_and_not_applied(picks, history):
    content = journal_of(picks).read_bytes()
    journal = reopened(picks, fingerprint="f" * 16)
    assert not journal.classes.classes
    assert "another table" in journal.notes[0]
    assert journal_of(picks).read_bytes() == content


@pytest.mark.parametrize("changed", [{"fingerprint": "f" * 16}, {"rows": ROWS + 1}])
def test_a_journal_under_the_name_of_another_is_put_aside(picks, history, changed):
    content = journal_of(picks).read_bytes()
    table = {**TABLE, **changed}
    journal_of(picks).rename(picks / f"{table['fingerprint']}.jsonl")
    journal = Journal.open(picks, **table)
    assert not journal.classes.classes
    (note,) = journal.notes
    (kept,) = picks.glob("*.kept")
    assert kept.name in note and kept.read_bytes() == content
    journal.write(CHANGES[0])
    journal.close()
    assert [c.name for c in reopened(picks, **changed).classes.classes.values()] == [
        "membrane"
    ]


def test_a_file_that_is_no_journal_is_put_aside(picks):
    picks.mkdir()
    path = picks / f"{TABLE['fingerprint']}.jsonl"
    path.write_bytes(b"x" * 20_000)
    journal = reopened(picks)
    (kept,) = picks.glob("*.kept")
    assert kept.name in journal.notes[0] and kept.stat().st_size == 20_000


def test_merges_are_of_the_clusters_that_they_were_made_of(picks, history):
    journal = reopened(picks, clustering="second", clusters=2)
    assert journal.classes.merged == {}
    assert seen(journal.classes)[:2] == history[-1][:2]
    assert "merges" in journal.notes[0]
    assert reopened(picks).classes.merged == history[-1][2]


def test_classes_are_read_without_a_session(picks, history):
    table = {key: TABLE[key] for key in ("fingerprint", "rows")}
    content = journal_of(picks).read_bytes()
    assert seen(read_classes(picks, **table))[:2] == history[-1][:2]
    for wrong, said in (
        ({"rows": ROWS - 1}, "not a journal of this table"),
        ({"fingerprint": "f" * 16}, "does not exist"),
    ):
        with pytest.raises(ArtifactError, match=said):
            read_classes(picks, **{**table, **wrong})
    assert journal_of(picks).read_bytes() == content


# --- who may write -----------------------------------------------------------------


def test_looking_writes_nothing(tmp_path):
    path = write_run(tmp_path / "run", make_table())
    before = sorted(tmp_path.rglob("*"))
    with Asked(path) as asked:
        for route in ("session", "state", "classes", "points", "means"):
            assert asked.get(f"/api/{route}").status_code == 200
        assert asked.post("/api/similar", {"rows": [1]}).status_code == 200
    assert sorted(tmp_path.rglob("*")) == before


def test_of_two_sessions_the_second_is_told_and_follows_the_first(tmp_path):
    path = write_run(tmp_path / "run", make_table())
    with Asked(path) as second:
        with Asked(path) as first:
            first.act("class", name="a")
            # also one that was opened before there was anything to write
            told = second.get("/api/session").json()
            assert "in use by process" in told["state"]["read_only"]
            for name in "bc":
                state = first.act("assign", name=name, rows={"list": [1]})
                seen = second.get("/api/state").json()
                assert seen["classes"] == state["classes"]
            refused = second.refused("/api/action", {"op": "undo"})
            assert f"process {os.getpid()}" in refused
        state = second.act("undo")  # the first has ended
        assert [c["name"] for c in state["classes"]] == ["a", "b"]
        assert state["read_only"] == ""
    with Asked(path) as third:
        assert third.get("/api/state").json()["classes"] == state["classes"]


def test_a_change_that_was_not_written_is_not_shown(picks, monkeypatch):
    journal = Journal.open(picks, **TABLE)
    journal.write(CHANGES[0])
    before, size = seen(journal.classes), journal.path.stat().st_size

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match="No space left"):
            journal.write(CHANGES[1])
    assert seen(journal.classes) == before
    assert journal.path.stat().st_size == size
    journal.write(CHANGES[1])
    journal.close()
    assert seen(reopened(picks).classes) == seen(journal.classes)


def test_a_journal_that_was_removed_is_said(picks):
    journal = Journal.open(picks, **TABLE)
    journal.write(CHANGES[0])
    journal.path.unlink()
    with pytest.raises(ResourceError, match="another program"):
        journal.write(CHANGES[1])
    journal.write(CHANGES[0])
    journal.close()
    assert seen(reopened(picks).classes) == seen(journal.classes)


def test_a_journal_that_cannot_be_read_does_not_keep_the_page_from_opening(tmp_path):
    path = write_run(tmp_path / "run", make_table())
    with Asked(path) as asked:
        asked.act("class", name="a")
    asked.journal.path.unlink()
    asked.journal.path.mkdir()
    (asked.journal.path.parent / "other.jsonl").mkdir()
    with Asked(path) as asked:
        told = asked.get("/api/session").json()
        assert str(asked.journal.path) in told["state"]["read_only"]
        refused = asked.refused("/api/action", {"op": "class", "name": "a"})
        assert str(asked.journal.path) in refused
        assert asked.get("/api/points").status_code == 200


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path, monkeypatch):
    path = write_run(tmp_path / "run", make_table())
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Asked(path) as asked:
        read_only = asked.get("/api/session").json()["state"]["read_only"]
        assert f"{path.parent} cannot be written" in read_only


def test_the_same_rows_in_other_clusters_keep_their_classes(tmp_path):
    table = make_table(12)
    path = write_run(tmp_path / "run", table)
    with Asked(path) as asked:
        asked.act("assign", name="a", rows={"list": [1, 2]})
        asked.act("merge", clusters=[1, 2], into=0)
    replace(table, label=np.arange(12) % 2).save(path)
    with Asked(path) as asked:
        told = asked.get("/api/session").json()
        assert [c["count"] for c in told["state"]["classes"]] == [2]
        assert told["state"]["merged"] == {}
        assert any("merges" in note for note in told["notes"])


def test_lines_hold_what_was_done_and_when(picks, history):
    lines = [json.loads(line) for line in journal_of(picks).read_text().splitlines()]
    assert [line.get("op") for line in lines] == [None, *(c["op"] for c in CHANGES)]
    assert all("time" in line for line in lines[1:])
