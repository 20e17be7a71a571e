"""What a list is warned of: it can be used, but was probably not meant."""

from dataclasses import replace

import numpy as np
import pytest

from lib.inputs.list_warnings import warn_of_list
from lib.inputs.tomogram import Tomogram
from tests.mrc_files import int32, write_mrc


@pytest.fixture
def rows(tmp_path):
    """Return a function that writes tomograms of given voxel sizes and lists them."""

    def make(**sizes):
        listed = []
        for name, (voxel_size, shape) in sizes.items():
            path = tmp_path / f"{name}.rec"
            write_mrc(path, np.ones(shape, np.int8), voxel_size=voxel_size)
            listed.append(Tomogram.from_files(path, "auto"))
        return listed

    return make


def said(rows, capsys, **given):
    capsys.readouterr()
    warn_of_list("list.txt", rows, order="auto", order_is_given=True, **given)
    return capsys.readouterr().err


SMALL = (4, 5, 6)


def test_a_list_of_one_voxel_size_is_not_warned_of(rows, capsys):
    assert said(rows(a=(13.68, SMALL), b=(13.70, SMALL)), capsys) == ""


def test_voxel_sizes_that_differ_name_both_ends_and_the_way_out(rows, capsys):
    listed = rows(a=(10, SMALL), b=(13.7, SMALL), c=(12, SMALL))
    warning = said(listed, capsys)
    assert "10 Angstrom in a but of 13.7 in b" in warning
    assert "bring all tomograms to one voxel size" in warning


def test_an_unknown_voxel_size_is_not_held_against_the_others(rows, capsys):
    assert said(rows(a=(0, SMALL), b=(13.7, SMALL)), capsys) == ""


@pytest.mark.parametrize(
    ("size", "shape", "words"),
    [
        (1, SMALL, "of 1 Angstrom by the header, which many programs write"),
        (0.3, SMALL, "which is implausible"),
        (136.8, SMALL, "which is implausible"),
        (1.368, (3, 4, 960), "is it 13.68 Angstrom, written in nm"),
    ],
)
def test_impossible_voxel_size_names_the_option(rows, capsys, size, shape, words):
    listed = rows(a=(size, shape))
    warning = said(listed, capsys)
    assert words in warning
    assert "in a; maps and exports" in warning
    assert "--voxel_size" in warning
    assert said(listed, capsys, voxel_size=13.68) == ""


def test_possible_voxel_sizes_are_not_warned_of(rows, capsys):
    for number, size in enumerate((1.35, 2.62, 7.84, 13.68, 21.0)):
        wide = 1900 if size > 1.35 else 2000
        listed = rows(**{f"t{number}": (size, (3, 4, wide))})
        assert said(listed, capsys) == ""


def test_pixels_of_the_tilt_images_are_compared(rows, capsys):
    rec, good, tilts = rows(a=(1.5, SMALL), b=(10, SMALL), c=(10, SMALL))
    rec, good = (replace(row, tilt_info=tilts.info) for row in (rec, good))
    warning = said([rec], capsys)
    assert "voxels of a are of 1.5 Angstrom by its header" in warning
    assert "pixels of its tilt images of 10" in warning
    assert "--voxel_size 10 if the images" in warning
    assert "tilt images" not in said([good], capsys)
    assert said([rec], capsys, voxel_size=10) == ""


def test_wide_tomograms_are_told_how_much_to_bin(rows, capsys):
    listed = rows(
        a=(10, (2, 3, 2000)), b=(10, (2, 4100, 3)), c=(10, (2, 3, 2001)), d=(10, SMALL)
    )
    warning = said(listed, capsys)
    assert "b is 4100 voxels wide (2 tomograms are too wide)" in warning
    assert "by 3" in warning


def test_2000_voxels_are_not_too_wide(rows, capsys):
    assert said(rows(a=(10, (2, 3, 2000))), capsys) == ""


def test_one_file_twice(rows, capsys):
    (row,) = rows(a=(10, SMALL))
    again = replace(row, name="b")
    assert "a and b are the same file" in said([row, again], capsys)


def test_axes_that_a_header_states_are_held_against_those_that_are_read(
    tmp_path, capsys
):
    def written(name, *axes):
        patch = [(64, b"".join(map(int32, axes)))]
        path = write_mrc(tmp_path / name, np.ones(SMALL, np.int8), patch=patch)
        return Tomogram.from_files(path, "zxy")

    assert said([written("plain.rec", 1, 2, 3)], capsys) == ""
    assert said([written("nonsense.rec", 0, 7, 7)], capsys) == ""
    for axes, order in [((1, 3, 2), "xzy"), ((3, 1, 2), "xyz"), ((3, 2, 1), "yxz")]:
        warning = said([written("other.rec", *axes)], capsys)
        assert f"those of --order {order}; it is read as zxy" in warning


def test_axes_that_a_header_states_rightly_are_not_warned_of(tmp_path, capsys):
    patch = [(64, int32(1) + int32(3) + int32(2))]
    path = write_mrc(tmp_path / "t.rec", np.ones(SMALL, np.int8), patch=patch)
    assert said([Tomogram.from_files(path, "xzy")], capsys) == ""
