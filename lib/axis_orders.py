"""The order of the axes in a tomogram file, and the direction of its z.

``--order`` takes the names of the peers, whose letters are not simply the axes of
the file; `ORDERS` is the definition. ``xzy`` is what IMOD's ``tilt`` and AreTomo
write by themselves, ``zxy`` what it becomes by ``trimvol -rx`` or by ``-FlipVol 2``
of AreTomo3 (both rotate, so that the hand is kept), and what Warp, RELION and
cryoCARE write. ``-FlipVol 1`` of AreTomo gives ``zxy`` too, but by exchanging y and
z: a mirror, whose z runs the other way. The shape does not distinguish the two.
"""

# Transposition of the array in the file to (Z, Y, X).
ORDERS = {
    "xzy": (1, 0, 2),  # file (Y, Z, X)
    "zxy": (0, 1, 2),  # file (Z, Y, X)
    "xyz": (2, 0, 1),  # file (Y, X, Z)
    "yxz": (2, 1, 0),  # file (X, Y, Z)
}
DEFAULT_ORDER = "xzy"


def z_sign(order):
    """Return -1 where z runs against the tilt geometry: raw IMOD, ``xzy``.

    ``trimvol -rx`` turns the volume by 90 degrees about x, which keeps the hand
    and lets z run the other way.
    """
    return -1 if order == "xzy" else 1


def is_mirrored(order):
    """Return whether reading a file as (Z, Y, X) exchanges two of its axes.

    That mirrors what the file shows: ``xzy`` and ``yxz``. The others rotate it, or
    leave it as it is.
    """
    first, second, third = ORDERS[order]
    return (first > second) ^ (second > third) ^ (first > third)
