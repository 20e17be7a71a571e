"""The ways in which a tomogram and its tilt series may disagree, and their remedies.

A hypothesis says how the axes, the angles or the images would have to be read,
relative to what was asked for.
"""

from dataclasses import dataclass, replace

import numpy as np

from lib.axis_orders import ORDERS

# Of images (T, Y, X), y pointing up; the last four need square ones.
IMAGE_TRANSFORMS = {
    "": lambda images: images,
    "mirrored top to bottom": lambda images: images[:, ::-1],
    "mirrored left to right": lambda images: images[:, :, ::-1],
    "turned by 180 degrees": lambda images: images[:, ::-1, ::-1],
    "turned by 90 degrees clockwise": lambda images: np.rot90(images, 1, (1, 2)),
    "turned by 90 degrees counter-clockwise": lambda images: np.rot90(
        images, -1, (1, 2)
    ),
    "mirrored along a diagonal": lambda images: images.transpose(0, 2, 1),
    "mirrored along the other diagonal": lambda images: np.rot90(
        images, 2, (1, 2)
    ).transpose(0, 2, 1),
}
ANGLE_ORDERS = {
    "": lambda angles: angles,
    "reversed": lambda angles: angles[::-1],
    "sorted": np.sort,
}
SAME_ANGLE = 1.0  # angle orders that differ less are the same [degrees]
OFFSET_STEP = 4  # of all angles, tried last [degrees]
OFFSETS = tuple(OFFSET_STEP * n for n in (-4, -3, -2, -1, 1, 2, 3, 4))


@dataclass(frozen=True)
class GeometryHypothesis:
    """One way to read a tomogram and its tilt series.

    Attributes
    ----------
    order : str
        Of the axes of the tomogram file, key of `lib.axis_orders.ORDERS`.
    flipped : bool
        Whether the angles have the other sign than asked for.
    angle_order : str
        Key of `ANGLE_ORDERS`: how the lines of the angle file would be arranged.
    offset : float
        Added to all angles [degrees].
    axis : {"y", "x"}
        Along which the tilt axis runs.
    image_transform : str
        Key of `IMAGE_TRANSFORMS`: what would have to be done to the images.
    """

    order: str
    flipped: bool = False
    angle_order: str = ""
    offset: float = 0.0
    axis: str = "y"
    image_transform: str = ""

    @property
    def low_tilt_appearance(self):
        """What is common to hypotheses that look alike at low tilts."""
        return self.order, self.image_transform

    @property
    def without_image_transform(self):
        """The same with the images as they are: its projections are the same."""
        return replace(self, image_transform="")

    def angles(self, angles):
        """Return the angles (T,) of the images by this hypothesis [degrees]."""
        arranged = ANGLE_ORDERS[self.angle_order](angles) + self.offset
        return -arranged if self.flipped else arranged

    def describe(self, order):
        """Return in a few words how this differs from the `order` asked for."""
        words = [f"images {self.image_transform}"] if self.image_transform else []
        words += [f"--order {self.order}"] if self.order != order else []
        words += ["tilt axis along x"] if self.axis == "x" else []
        words += [f"angles {self.angle_order}"] if self.angle_order else []
        words += [f"angles {self.offset:+g} degrees"] if self.offset else []
        words += ["angles negated"] if self.flipped else []
        return ", ".join(words)

    def remedy(self, asked, flip_tilt_angles):
        """Return what to do so that this is what the run assumes.

        Parameters
        ----------
        asked : str
            The order that was asked for.
        flip_tilt_angles : bool
            Whether that option was given.
        """
        steps = []
        if self.order != asked:
            steps.append(f"use --order {self.order}")
        if self.flipped:
            steps.append(
                "leave out --flip_tilt_angles"
                if flip_tilt_angles
                else "use --flip_tilt_angles"
            )
        if self.angle_order:
            steps.append(f"the lines of the angle file must be {self.angle_order}")
        if self.offset:
            # What was asked for, not what is, reads the file with the other sign.
            in_file = -self.offset if flip_tilt_angles else self.offset
            steps.append(
                f"add about {in_file:g} degrees to every angle of the file (is "
                "there an OFFSET in tilt.com?)"
            )
        if self.axis == "x":
            steps.append(
                "turn the tilt images and the tomogram by 90 degrees clockwise (y "
                "pointing up): the tilt axis runs along x, it must run along y"
            )
        if self.image_transform:
            steps.append(
                f"the tilt images must be {self.image_transform} to show what the "
                "tomogram shows"
            )
        return " and ".join(steps)


def possible_hypotheses(order, angles, file_shape, image_shape):
    """Return every hypothesis that the shapes allow, no two of them the same.

    Parameters
    ----------
    order : str
        As asked for.
    angles : ndarray, shape (T,)
        Of all images [degrees].
    file_shape : tuple of int
        Of the tomogram, with the axes of the file.
    image_shape : tuple of int
        (Y, X) of the tilt images.

    Returns
    -------
    list of GeometryHypothesis
        The asked one first.
    """
    square = image_shape[0] == image_shape[1]
    transforms = list(IMAGE_TRANSFORMS)[: None if square else 4]
    plain = [
        GeometryHypothesis(order, axis=axis, image_transform=transform)
        for axis in "yx"
        for transform in transforms
    ]
    plain += [
        GeometryHypothesis(order, angle_order=name) for name in _angle_orders(angles)
    ]
    for other, axes in ORDERS.items():
        shape = tuple(file_shape[axis] for axis in axes)
        if other == order or shape[1:] != tuple(image_shape):
            continue
        plain.append(GeometryHypothesis(other))
        if axes[0] == ORDERS[order][0]:  # only x and y change places
            diagonal = "mirrored along a diagonal"
            plain.remove(GeometryHypothesis(order, axis="x", image_transform=diagonal))
    return [both for one in plain for both in (one, replace(one, flipped=True))]


def _angle_orders(angles):
    """Return the angle orders that are neither the given one nor its negative."""
    known = [angles, -angles]
    for name, arrange in ANGLE_ORDERS.items():
        arranged = arrange(angles)
        if all(np.abs(arranged - other).max() > SAME_ANGLE for other in known):
            known += [arranged, -arranged]
            yield name
