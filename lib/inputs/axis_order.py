"""Which order the axes of a tomogram file have, by its shape and the tilt images."""

from lib.axis_orders import DEFAULT_ORDER, ORDERS
from lib.errors import InputError, format_shape, warn_once


def is_likely(shape, order):
    """Return whether Z is the shortest axis (or none is shorter), read by `order`."""
    return _arrange(shape, order)[0] == min(shape)


def resolve_order(info, order, tilt_shape=None, *, is_given=True):
    """Return the order of the axes in a tomogram file.

    Parameters
    ----------
    info : MrcInfo
        Of the tomogram.
    order : str
        Key of `ORDERS`, or ``auto``: the only one that fits the shapes.
    tilt_shape : tuple of int, optional
        (T, Y, X) of the tilt series.
    is_given : bool
        Whether the user, or an earlier run, gave the order: it is then used unless
        the tilt images prove it wrong. A mere default is also held against the
        shape where there are no tilt images.

    Returns
    -------
    str
        Key of `ORDERS`.

    Raises
    ------
    InputError
        When Y and X are not those of the tilt images; when z would not be the
        shortest axis by the mere default; when ``auto`` finds no order that fits,
        or several. The message names what would fit.
    """
    if order != "auto" and order not in ORDERS:
        raise InputError(f"--order {order} is none of {', '.join(ORDERS)}, auto")
    fitting = [key for key in ORDERS if _fits(info.shape, key, tilt_shape)]
    if order in fitting or (order in ORDERS and tilt_shape is None and is_given):
        return order
    if order == "auto" and len(fitting) == 1:
        though = "" if is_likely(info.shape, fitting[0]) else ", z not the shortest"
        warn_once(
            f"{info.path}: --order auto reads the file's {format_shape(info.shape)} "
            f"voxels as {fitting[0]}{though}"
        )
        return fitting[0]
    if order == "auto" and fitting:
        raise InputError(
            f"{info.path}: the shape {format_shape(info.shape)} fits --order "
            f"{' and '.join(fitting)} alike; specify one of them"
        )
    advice = _explain(info, order, fitting, tilt_shape)
    if order != "auto" and tilt_shape is None:
        advice += f", or give --order {order} if z is not the shortest here"
    raise InputError(advice)


def _arrange(shape, order):
    return tuple(shape[axis] for axis in ORDERS[order])


def _fits(shape, order, tilt_shape):
    if tilt_shape is None:
        return is_likely(shape, order)
    return _arrange(shape, order)[1:] == tuple(tilt_shape[1:])


def _explain(info, order, fitting, tilt_shape):
    """Return why no order fits, or the given one does not."""
    if order == "auto":
        order = _likeliest(info.shape, tilt_shape)
    depth, height, width = _arrange(info.shape, order)
    read = (
        f"{info.path}: with --order {order} the file's {format_shape(info.shape)} "
        f"voxels are x {width}, y {height}, z {depth}"
    )
    instead = f"use --order {' or '.join(fitting)}"
    if tilt_shape is None:
        return f"{read}, but z is the shortest axis of a tomogram: {instead}"
    if fitting:
        return (
            f"{read}, but the tilt images are x {tilt_shape[2]}, y {tilt_shape[1]}: "
            f"{instead}"
        )
    return f"{read}; {describe_misfit(tuple(tilt_shape[1:]), (height, width))}"


def _likeliest(shape, tilt_shape):
    """Return the order that a binning would make fit, or the default."""
    for order in ORDERS:
        if _factor(tilt_shape[1:], _arrange(shape, order)[1:]):
            return order
    return DEFAULT_ORDER


def describe_misfit(tilt_yx, tomogram_yx):
    """Return how two image sizes differ, and what would make them equal.

    Parameters
    ----------
    tilt_yx, tomogram_yx : tuple of int
        (Y, X) [pixels], [voxels].
    """
    sizes = (
        f"tilt images are {tilt_yx[1]} x {tilt_yx[0]} (x, y), the tomogram is "
        f"{tomogram_yx[1]} x {tomogram_yx[0]}"
    )
    if factor := _factor(tilt_yx, tomogram_yx):
        return f"{sizes}, {factor} times smaller: bin the tilt images by {factor}"
    if factor := _factor(tomogram_yx, tilt_yx):
        return (
            f"{sizes}, {factor} times larger: bin the tomogram by {factor}, or take "
            "tilt images binned as it is"
        )
    if tilt_yx == tomogram_yx[::-1]:
        return f"{sizes}, x and y swapped: turn the tilt images by 90 degrees"
    return (
        f"{sizes}, and no binning makes them equal: is the series that of another "
        "tomogram, or is one of them trimmed?"
    )


def _factor(larger, smaller):
    """Return the whole binning that takes one size to the other, or None.

    Programs cut, round or pad the remainder, so one pixel either way is equal.
    """
    factor = max(1, round(larger[0] / smaller[0]))
    fits = all(
        abs(large / factor - small) < 1
        for large, small in zip(larger, smaller, strict=True)
    )
    return factor if factor > 1 and fits else None
