import mrcfile
import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.image_list import read_image_list
from lib.inputs.plain_text import find_image_list
from lib.inputs.tomogram import Tomogram

HEADER = "image_name rec_path tilt_path angle_path"


@pytest.fixture
def project(tmp_path):
    """A project folder with one tomogram and its tilt series in raw/."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    write_files(folder / "raw", "t")
    return folder


def write_files(folder, stem):
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("rec", "ali"):
        with mrcfile.new(folder / f"{stem}.{ending}") as mrc:
            mrc.set_data(np.arange(60, dtype=np.int8).reshape(3, 4, 5))
    (folder / f"{stem}.tlt").write_text("-3\n0\n3\n")


def write_list(project, text, name="list.txt"):
    path = project / "data" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(project, text, needs_tilts=True):
    path = write_list(project, text)
    return read_image_list(path, project=project, needs_tilts=needs_tilts, order="zxy")


def error_of(project, text, needs_tilts=True):
    with pytest.raises(InputError) as caught:
        read(project, text, needs_tilts)
    return str(caught.value)


def expected_tomogram(project, name="tomo1", stem="raw/t"):
    rec, ali, tlt = (project / f"{stem}.{end}" for end in ("rec", "ali", "tlt"))
    return Tomogram.from_files(rec, "zxy", name=name, tilt_path=ali, angle_path=tlt)


# --- where the list is ---------------------------------------------------------------


def test_bare_name_is_looked_up_in_data_from_any_folder(project, tmp_path, monkeypatch):
    path = write_list(project, HEADER)
    monkeypatch.chdir(tmp_path)
    assert find_image_list("list.txt", project) == path
    assert find_image_list("data/list.txt", project) == path


def test_bare_name_in_the_current_folder_does_not_hide_that_in_data(
    project, tmp_path, monkeypatch
):
    path = write_list(project, HEADER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").touch()
    (tmp_path / "other.txt").touch()
    assert find_image_list("list.txt", project) == path
    assert find_image_list("other.txt", project).samefile(tmp_path / "other.txt")


def test_path_that_exists_is_taken_as_it_is(project, tmp_path, monkeypatch):
    write_list(project, HEADER)
    mine = tmp_path / "mine" / "list.txt"
    mine.parent.mkdir()
    mine.touch()
    monkeypatch.chdir(tmp_path)
    assert find_image_list(mine, project) == mine
    assert find_image_list("mine/list.txt", project).samefile(mine)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_image_list("~/mine/list.txt", project) == mine


def test_list_that_is_nowhere_names_the_places(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist: neither") as caught:
        find_image_list("none.txt", project)
    assert str(project / "data" / "none.txt") in str(caught.value)
    assert str(tmp_path / "none.txt") in str(caught.value)


# --- what it may look like -----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\ntomo1 raw/t.rec raw/t.ali raw/t.tlt",
        "image_name   rec_path    tilt_path   angle_path\n\n"
        "tomo1   raw/t.rec   raw/t.ali   raw/t.tlt\n\n",
        "\ufeffimage_name\trec_path\ttilt_path\tangle_path\r\n"
        "tomo1\traw/t.rec\traw/t.ali\traw/t.tlt\r\n",
        f"# mine\n{HEADER}\n  # bad\n\ttomo1 \t raw/t.rec raw/t.ali\traw/t.tlt # ok",
        f'{HEADER}\n"tomo1" \'raw/t.rec\' "raw/t.ali" raw/t.tlt',
        "angle_path tilt_path REC_PATH note image_name\n"
        "raw/t.tlt raw/t.ali raw/t.rec fine tomo1",
    ],
    ids=["plain", "document", "tabs bom crlf", "comments", "quotes", "other order"],
)
def test_lists_from_the_wild(project, text):
    assert read(project, text) == [expected_tomogram(project)]


def test_3d_needs_two_columns_and_ignores_the_rest(project):
    tomograms = [Tomogram.from_files(project / "raw/t.rec", "zxy", name="tomo1")]
    for text in (
        "image_name rec_path\ntomo1 raw/t.rec",
        f"{HEADER}\ntomo1 raw/t.rec none.ali none.tlt",
        f"{HEADER}\ntomo1 raw/t.rec",
        f"{HEADER}\ntomo1\traw/t.rec",
    ):
        assert read(project, text, needs_tilts=False) == tomograms


def test_paths_with_blanks_work_between_tabs_and_in_quotes(project):
    write_files(project / "my data #1", "tomo (a)'s")
    stem = "my data #1/tomo (a)'s"
    row = expected_tomogram(project, stem=stem)
    tabs = f"{HEADER}\ntomo1\t{stem}.rec\t{stem}.ali\t{stem}.tlt"
    quotes = f'{HEADER}\ntomo1 "{stem}.rec" "{stem}.ali" "{stem}.tlt"'
    assert read(project, tabs) == [row]
    assert read(project, quotes) == [row]


def test_blanks_in_a_path_without_tabs_are_told(project):
    told = error_of(project, f"{HEADER}\ntomo1 my data/t.rec raw/t.ali raw/t.tlt")
    assert "5 column(s) where the header has 4" in told
    assert "put tabs between the columns" in told


def test_unicode_names_and_paths(project):
    write_files(project / "données", "томо")
    text = f"{HEADER}\n細胞1 données/томо.rec données/томо.ali données/томо.tlt"
    assert read(project, text) == [expected_tomogram(project, "細胞1", "données/томо")]


def test_home_and_variables_expand(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("RAW", "raw")
    text = f"{HEADER}\ntomo1 ~/raw/t.rec $RAW/t.ali ${{HOME}}/raw/t.tlt"
    assert read(project, text) == [expected_tomogram(project)]


def test_relative_path_is_looked_up_in_the_project_then_beside_the_list(project):
    text = "image_name rec_path\ntomo1 files/t.rec"
    write_files(project / "data" / "files", "t")
    beside = read(project, text, needs_tilts=False)
    assert beside[0].rec_path == project / "data/files/t.rec"
    write_files(project / "files", "t")
    assert read(project, text, needs_tilts=False)[0].rec_path == (
        project / "files/t.rec"
    )


def test_current_folder_plays_no_part(project, tmp_path, monkeypatch):
    write_files(tmp_path / "here", "t")
    monkeypatch.chdir(tmp_path / "here")
    assert "rec_path t.rec does not exist" in error_of(
        project, "image_name rec_path\na t.rec", needs_tilts=False
    )


def test_one_tomogram_twice_is_a_warning(project, capsys):
    listed = read(project, "image_name rec_path\na raw/t.rec\nb raw/t.rec", False)
    assert [tomogram.name for tomogram in listed] == ["a", "b"]
    assert "a and b are the same file" in capsys.readouterr().err


# --- what is rejected -----------------------------------------------------------------


def test_all_faults_are_told_at_once(project):
    (project / "raw/short.tlt").write_text("0\n3\n")
    (project / "raw/bad.rec").write_text("no tomogram")
    text = (
        f"{HEADER}\n"
        "tomo1 raw/t.rec raw/t.ali raw/t.tlt\n"
        "tomo1 raw/t.rec raw/t.ali raw/t.tlt\n"
        "tomo2 raw/none.rec raw/t.ali raw/none.tlt\n"
        "tomo3 raw/bad.rec raw/t.ali raw/short.tlt\n"
        "../tomo4 raw/t.rec raw/t.ali raw/t.tlt\n"
        "tomo5 raw/t.rec\n"
    )
    told = error_of(project, text)
    for fault in (
        "list.txt has 7 faults",
        "line 3: image_name tomo1 is in line 2 too",
        f"line 4: rec_path raw/none.rec does not exist; looked for {project}",
        "line 4: angle_path raw/none.tlt does not exist",
        "line 5: rec_path: ",
        "bad.rec is not an MRC file: it has 11 bytes",
        "line 5: angle_path: ",
        "2 angles, the tilt series 3 images",
        "line 6: image_name '../tomo4' cannot be a file name",
        "line 7: 2 column(s) where the header has 4",
    ):
        assert fault in told


@pytest.mark.parametrize("column", HEADER.split())
def test_missing_column_is_named_with_what_was_expected(project, column):
    header = HEADER.replace(column, "note")
    told = error_of(project, f"{header}\na raw/t.rec raw/t.ali raw/t.tlt")
    assert f"lacks the column(s) {column}:" in told
    assert f"expected {HEADER}" in told


def test_column_twice_is_rejected(project):
    assert "rec_path twice" in error_of(project, f"{HEADER} rec_path\n")


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n", "\ufeff"])
def test_empty_list_is_rejected(project, text):
    assert f"is empty; expected the header {HEADER}" in error_of(project, text)


def test_header_without_rows_is_rejected(project):
    assert "no rows below the header" in error_of(project, f"{HEADER}\n# tomo1\n")


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", "../a", "/etc/a", "a\\b", ".", '""', "a\x07b", "a\u202eb", "n" * 201],
)
def test_name_that_cannot_be_a_file_name_is_rejected(project, name):
    told = error_of(
        project, f"image_name rec_path\n{name} raw/t.rec", needs_tilts=False
    )
    assert "a fault:" in told
    assert "line 2" in told


def test_variable_that_is_not_set_is_told(project, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    told = error_of(project, "image_name rec_path\na $NOWHERE/t.rec", needs_tilts=False)
    assert "$VARIABLE is not set" in told


@pytest.mark.parametrize("path", ["raw", "~nobody-of-that-name/t.rec", "x" * 300])
def test_path_that_is_no_file_is_rejected(project, path):
    told = error_of(project, f"image_name rec_path\na {path}", needs_tilts=False)
    assert "does not exist; looked for" in told


def test_endless_path_is_rejected_in_few_words(project):
    told = error_of(project, f"image_name rec_path\na {'x/' * 5000}", needs_tilts=False)
    assert "is too long for a path" in told
    assert len(told) < 400


def test_many_faults_are_cut_short(project):
    rows = "\n".join(f"t{i} none.rec" for i in range(150))
    told = error_of(project, f"image_name rec_path\n{rows}", needs_tilts=False)
    assert "has 150 faults" in told
    assert told.endswith("and 50 more")
    assert len(told.splitlines()) == 102


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfei\0m\0", "not UTF-8 text"),
        (b"image_name rec_path\n\xe9 t.rec", "not UTF-8 text"),
        (b" " * (2**20 + 1), "larger than"),
    ],
    ids=["utf-16", "latin-1", "large"],
)
def test_what_is_no_text_is_no_list(project, content, reason):
    assert reason in error_of(project, content)
