"""Files at hand, held against those that a run noted."""

import os

import pytest

from lib.inputs.noted_files import name_other_files, note_file, warn_of_other_voxels
from lib.run.record import TomogramRecord


@pytest.fixture
def files(tmp_path):
    """Five files by name."""
    paths = {name: tmp_path / f"{name}.rec" for name in "abcde"}
    for path in paths.values():
        path.write_bytes(b"12345")
    return paths


def noted(files):
    return {n: TomogramRecord(**note_file(path)) for n, path in files.items()}


def test_nothing_is_said_of_the_same_files(files, tmp_path):
    link = tmp_path / "link.rec"
    link.symlink_to(files["a"])
    before = noted(files)
    assert name_other_files(before, files) is None
    assert name_other_files(before, {**files, "a": link}) is None


def test_what_differs_is_named_with_both_values(files):
    before = noted(files)
    os.utime(files["b"], (1_000_000_000, 1_000_000_000))
    files["c"].write_bytes(b"123456")
    os.utime(files["c"], ns=(before["c"].file_time,) * 2)
    said = name_other_files(before, files)
    assert said.startswith("note: 2 of 5 tomograms are not the files")
    assert "b: of 2001-09-" in said
    assert "c: 6 bytes, then 5" in said
    assert "\n" not in said


def test_another_place_is_named(files):
    before = noted(files)
    said = name_other_files({"a": before["b"]}, {"a": files["a"]})
    assert f"{files['a']} instead of {files['b']}" in said


def test_many_are_counted_and_three_named(files):
    before = noted(files)
    for path in files.values():
        path.write_bytes(b"")
    said = name_other_files(before, files)
    assert "5 of 5" in said
    assert said.count("0 bytes, then 5") == 3
    assert "and 2 more" in said


def test_what_an_earlier_version_did_not_note_is_not_compared(files):
    before = noted(files)
    files["a"].write_bytes(b"")
    assert name_other_files({}, files) is None
    only_path = TomogramRecord(rec_path=before["a"].rec_path)
    assert name_other_files({"a": only_path}, files) is None


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ([10.0], {"a": 10.05}, None),
        ([10.0, None, 13.5], {"a": 12.0}, None),  # within what was trained on
        ([None], {"a": 12.0}, None),
        ([10.0], {"a": None}, None),
        ([10.0], {"a": 10.0, "b": 13.5}, "13.5 Angstrom in b, but were of 10 then"),
        ([10.0, 12.0], {"a": 6.0, "b": 5.0}, "6 Angstrom in a (and other ones in 1"),
        ([10.0, 12.0], {"a": 6.0}, "but were of 10 to 12 then"),
    ],
)
def test_other_voxel_sizes_are_warned_of_with_both(capsys, then, now, told):
    warn_of_other_voxels(then, now, then="then")
    said = capsys.readouterr().err
    assert said.count("\n") == (told is not None)
    assert told is None or told in said
