"""Whether integers were read with the wrong sign: their histogram says so.

Unsigned values that are read as signed (or the other way) wrap around: what was the
upper half lies below the lower half. The middle of the histogram then is empty, and
both ends are full, where a histogram that is read as written fades out.
"""

import numpy as np

BINS = 256
GAP = 16  # bins in a row that hold next to nothing
NOTHING = 1e-4  # part of the voxels in each bin of a gap
END = 8  # bins at each end, but for the last one, where clipped values gather
FULL = 3e-3  # part of the voxels in each end
SIDE = 0.02  # part of the voxels on each side of the gap


def is_wrapped(voxels):
    """Tell whether the values of an integer array are wrapped around.

    Parameters
    ----------
    voxels : ndarray
        Of any shape and type; floating point numbers are never wrapped.

    Returns
    -------
    bool
    """
    if voxels.dtype.kind not in "iu" or voxels.dtype.itemsize > 2 or not voxels.size:
        return False
    limits = np.iinfo(voxels.dtype)
    width = (int(limits.max) - int(limits.min) + 1) // BINS
    places = (voxels.astype(np.int32).ravel() - int(limits.min)) // width
    parts = np.bincount(places, minlength=BINS) / voxels.size
    if min(parts[1 : 1 + END].sum(), parts[-1 - END : -1].sum()) < FULL:
        return False
    sums = np.concatenate([[0], np.cumsum(parts)])
    in_gap = sums[GAP:] - sums[:-GAP] < GAP * NOTHING
    below, above = sums[:-GAP], 1 - sums[GAP:]
    return bool((in_gap & (below > SIDE) & (above > SIDE)).any())


def describe_wraparound(path, dtype):
    """Return the refusal of a file whose values are wrapped around."""
    other = "unsigned" if dtype.kind == "i" else "signed"
    bits = 8 * dtype.itemsize
    return (
        f"{path} cannot be used: its histogram has a hole in the middle and is full at "
        f"both ends, as where {other} numbers of {bits} bits are read as "
        f"{'signed' if other == 'unsigned' else 'unsigned'} ones, as its header says "
        "they are; correct the header, or write the file again as floating point "
        "numbers (IMOD: clip unwrap, then newstack -mode 2)"
    )
