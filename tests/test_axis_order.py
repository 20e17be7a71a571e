import numpy as np
import pytest
from mrc_files import make_volume, write_mrc

from lib.errors import InputError
from lib.inputs.axis_order import check_orders, is_mirrored, require_likely
from lib.inputs.image_list import ImageRow
from lib.inputs.tomogram import ORDERS, MrcInfo, resolve_order, z_sign


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
        require_likely(info_of(315, 100, 326), "zxy")
    with pytest.raises(InputError, match="use --order xyz or yxz, or give --order xzy"):
        require_likely(info_of(315, 326, 100), "xzy")
    assert resolve_order(info_of(315, 100, 326), "zxy") == "zxy"


def test_an_order_that_the_tilt_images_prove_wrong_is_refused_whoever_gave_it():
    with pytest.raises(InputError, match="tilt images are x 326, y 315.*order xzy$"):
        resolve_order(info_of(315, 100, 326), "zxy", (41, 315, 326))


def row_of(folder, shape, tilt_shape=None, name="deep"):
    """Return a row of an image list; the tomogram's file has the shape."""
    rec, tilts = folder / f"{name}.rec", folder / f"{name}.ali"
    write_mrc(rec, make_volume(np.int8, shape))
    if tilt_shape:
        write_mrc(tilts, make_volume(np.int8, tilt_shape))
    return ImageRow(name, rec, tilts if tilt_shape else None)


def test_a_deep_tomogram_goes_through_with_one_warning_when_its_order_is_given(
    tmp_path, capsys
):
    rows = [row_of(tmp_path, (12, 8, 10), name=name) for name in ("one", "two")]
    check_orders(rows, "zxy", told=True)
    (said,) = capsys.readouterr().err.splitlines()
    assert "z is not the shortest axis of one, two" in said
    with pytest.raises(InputError, match="one.rec.*use --order xzy, or give --order z"):
        check_orders(rows, "zxy", told=False)


def test_tilt_images_decide_for_a_deep_tomogram_but_not_in_silence(tmp_path, capsys):
    rows = [row_of(tmp_path, (8, 12, 10), (3, 8, 10))]
    check_orders(rows, "xzy", told=False)
    assert "z is not the shortest axis" in capsys.readouterr().err
    check_orders(rows, "auto", told=True)
    assert "as xzy, z not the shortest" in capsys.readouterr().err
    with pytest.raises(InputError, match="the tilt images are"):
        check_orders(rows, "zxy", told=True)


def test_a_flat_tomogram_is_read_by_the_default_without_a_word(tmp_path, capsys):
    check_orders([row_of(tmp_path, (12, 8, 10))], "xzy", told=False)
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


def test_unknown_order_is_refused():
    with pytest.raises(InputError, match="none of xzy, zxy, xyz, yxz, auto"):
        resolve_order(info_of(4, 5, 6), "zyx")
