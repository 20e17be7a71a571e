"""Names of tomograms in STAR files, as the readers of such files give them back."""

import numpy as np
import pytest
import starfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.errors import OptionError
from lib.export.formats import write_coordinates
from lib.export.picks import Picks

QUOTED = [
    "my tomo",
    "_tomo",
    "#1",
    "a#b",
    "data_1",
    "loop_",
    "stop_1",
    ";x",
    "$x",
    "[x]",
    "a, b",
    "TS 1 (bin 4)",
]
REJECTED = ["", " ", "a\tb", "a\nb", "it's", 'a"b', "a  b", " a", "a ", "nan", "<NA>"]


def write(path, names, kind="star"):
    coord = np.arange(3 * len(names)).reshape(-1, 3)
    write_coordinates(path, Picks(np.array(names), coord), kind=kind, order="zxy")
    return coord


def relion_rows(path):
    """Return the cells of each row as RELION's strings.cpp splits them."""
    lines = path.read_text(encoding="utf-8").split("\n")
    header = [number for number, line in enumerate(lines) if line.startswith("_")]
    rows = []
    for line in lines[header[-1] + 1 :]:
        kept = "".join(c for c in line.replace("\t", " ") if c not in "\v\b\r\f\a")
        kept = " ".join(part for part in kept.split(" ") if part)
        if not kept:
            break
        rows.append(list(relion_tokens(kept)))
    return rows


def relion_tokens(line):
    while line and line[0] != "#":
        if line[0] in "\"'":
            end = next(
                i
                for i in range(1, len(line))
                if line[i] == line[0] and line[i + 1 : i + 2] in ("", " ")
            )
            yield line[1:end]
            line = line[end + 1 :].lstrip(" ")
        else:
            token, _, line = line.partition(" ")
            yield token


def assert_read_back(path, names, coord):
    read = starfile.read(path, parse_as_string=["rlnTomoName"])
    assert read["rlnTomoName"].tolist() == names
    columns = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    np.testing.assert_array_equal(read[columns].to_numpy(), coord)
    cells = relion_rows(path)
    assert [row[0] for row in cells] == names
    np.testing.assert_array_equal([list(map(float, row[1:])) for row in cells], coord)


@pytest.mark.parametrize("name", QUOTED)
def test_what_a_reader_takes_for_something_else_is_quoted(tmp_path, name):
    names = [name, "plain", name]
    coord = write(tmp_path / "p.star", names)
    assert_read_back(tmp_path / "p.star", names, coord)


@pytest.mark.parametrize("name", REJECTED)
def test_what_no_quotes_can_hold_is_rejected_by_name(tmp_path, name):
    with pytest.raises(OptionError, match="name .*use --format csv, or another image_"):
        write(tmp_path / "p.star", ["plain", name])
    assert not list(tmp_path.iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.sampled_from("ab1 _#;$['\"\\.,-\t\u00e9\u00a0\u2028")),
        min_size=1,
        max_size=3,
    )
)
def test_every_name_is_given_back_or_rejected(tmp_path, names):
    path = tmp_path / "p.star"
    try:
        coord = write(path, names)
    except OptionError:
        return
    assert_read_back(path, names, coord)


def test_plain_names_are_not_quoted(tmp_path):
    write(tmp_path / "p.star", ["TS_01", "b"])
    assert '"' not in (tmp_path / "p.star").read_text()
