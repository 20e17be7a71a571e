import numpy as np
import pytest

from lib.axis_orders import ORDERS, is_mirrored, z_sign
from lib.errors import InputError
from lib.inputs.axis_order import resolve_order
from lib.inputs.image_list import read_image_list
from lib.inputs.mrc import MrcInfo
from tests.mrc_files import make_volume, write_mrc


@pytest.mark.parametrize(
    ("order", "file_axes"),
    [("xzy", "YZX"), ("zxy", "ZYX"), ("xyz", "YXZ"), ("yxz", "XYZ")],
)
def test_orders_are_the_axes_of_the_file(order, file_axes):
    assert "".join(file_axes[axis] for axis in ORDERS[order]) == "ZYX"


def test_z_runs_the_other_way_only_in_raw_imod_files():
    assert {order: z_sign(order) for order in ORDERS} == {
        "xzy": -1,
        "zxy": 1,
        "xyz": 1,
        "yxz": 1,
    }


@pytest.mark.parametrize("order", ORDERS)
def test_reading_a_file_mirrors_it_when_the_transposition_is_odd(order):
    assert is_mirrored(order) == (np.linalg.det(np.eye(3)[list(ORDERS[order])]) < 0)


def info_of(*shape):
    return MrcInfo("t.rec", shape, np.dtype(np.int8), 10.0)


@pytest.mark.parametrize(
    ("shape", "order"), [((315, 100, 326), "xzy"), ((100, 315, 326), "zxy")]
)
def test_auto_picks_the_order_from_the_shape_and_says_so(capsys, shape, order):
    assert resolve_order(info_of(*shape), "auto") == order
    assert f"as {order}" in capsys.readouterr().err


def test_auto_picks_the_order_from_the_tilt_images():
    # Thicker than it is high: only the tilt images can tell.
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 90, 326)) == "xzy"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 100, 326)) == "zxy"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 90, 100)) == "xyz"
    assert resolve_order(info_of(90, 100, 326), "auto", (41, 100, 90)) == "yxz"


def test_auto_asks_when_two_orders_fit():
    with pytest.raises(InputError, match="fits --order xzy and zxy alike"):
        resolve_order(info_of(64, 64, 100), "auto")


def test_only_a_default_is_held_against_the_shortest_axis():
    with pytest.raises(InputError, match="z is the shortest.*use --order xzy, or give"):
        resolve_order(info_of(315, 100, 326), "zxy", is_given=False)
    with pytest.raises(InputError, match="use --order xyz or yxz, or give --order xzy"):
        resolve_order(info_of(315, 326, 100), "xzy", is_given=False)
    assert resolve_order(info_of(315, 100, 326), "zxy") == "zxy"


def test_an_order_that_the_tilt_images_prove_wrong_is_rejected_whoever_gave_it():
    with pytest.raises(InputError, match="tilt images are x 326, y 315.*order xzy$"):
        resolve_order(info_of(315, 100, 326), "zxy", (41, 315, 326))


def read_list(folder, *shapes, order, is_given, tilt_shape=None):
    """Read a list of tomograms whose files have the shapes."""
    lines = ["image_name rec_path tilt_path angle_path"]
    for number, shape in enumerate(shapes, start=1):
        write_mrc(folder / f"t{number}.rec", make_volume(np.int8, shape))
        lines.append(f"t{number} t{number}.rec t.ali t.tlt")
    if tilt_shape:
        write_mrc(folder / "t.ali", make_volume(np.int8, tilt_shape))
        (folder / "t.tlt").write_text("-3\n0\n3\n")
    (folder / "list.txt").write_text("\n".join(lines))
    return read_image_list(
        folder / "list.txt",
        project=folder,
        needs_tilts=tilt_shape is not None,
        order=order,
        order_is_given=is_given,
    )


DEEP = (12, 8, 10)


def test_a_deep_tomogram_goes_through_with_one_warning_when_its_order_is_given(
    tmp_path, capsys
):
    read_list(tmp_path, DEEP, DEEP, order="zxy", is_given=True)
    (said,) = capsys.readouterr().err.splitlines()
    assert "z is not the shortest axis of t1, t2" in said
    with pytest.raises(InputError, match="use --order xzy, or give --order z") as found:
        read_list(tmp_path, DEEP, DEEP, order="zxy", is_given=False)
    assert "t1.rec" in str(found.value)
    assert "t2.rec" in str(found.value)


def test_tilt_images_decide_for_a_deep_tomogram_but_not_in_silence(tmp_path, capsys):
    files = {"tilt_shape": (3, 8, 10)}
    read_list(tmp_path, (8, 12, 10), order="xzy", is_given=False, **files)
    assert "z is not the shortest axis" in capsys.readouterr().err
    (found,) = read_list(tmp_path, (8, 12, 10), order="auto", is_given=True, **files)
    assert "as xzy, z not the shortest" in capsys.readouterr().err
    assert (found.order, found.shape) == ("xzy", (12, 8, 10))
    with pytest.raises(InputError, match="the tilt images are"):
        read_list(tmp_path, (8, 12, 10), order="zxy", is_given=True, **files)


def test_a_flat_tomogram_is_read_by_the_default_without_a_word(tmp_path, capsys):
    read_list(tmp_path, DEEP, order="xzy", is_given=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("order", ORDERS)
def test_cube_fits_every_order(order):
    assert resolve_order(info_of(64, 64, 64), order) == order
    assert resolve_order(info_of(64, 64, 64), order, (5, 64, 64)) == order


@pytest.mark.parametrize(
    ("tilt_yx", "advice"),
    [
        ((1260, 1304), "4 times smaller: bin the tilt images by 4"),
        ((1261, 1307), "4 times smaller: bin the tilt images by 4"),
        ((157, 163), "2 times larger: bin the tomogram by 2"),
        ((326, 315), "turn the tilt images by 90 degrees"),
        ((400, 326), "no binning makes them equal"),
    ],
)
@pytest.mark.parametrize("order", ["xzy", "auto"])
def test_sizes_that_fit_no_order_are_told_with_the_binning(order, tilt_yx, advice):
    with pytest.raises(InputError, match=advice) as caught:
        resolve_order(info_of(315, 100, 326), order, (41, *tilt_yx))
    assert f"{tilt_yx[1]} x {tilt_yx[0]}" in str(caught.value)
    assert "326 x 315" in str(caught.value)


def test_unknown_order_is_rejected():
    with pytest.raises(InputError, match="none of xzy, zxy, xyz, yxz, auto"):
        resolve_order(info_of(4, 5, 6), "zyx")
