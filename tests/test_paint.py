import numpy as np
import pytest

from lib.overlay.paint import Markers, gray_range, gray_slab, paint_slab, paint_tomogram

SIZE = (14, 40, 50)  # (Z, Y, X)


def candidates(n, seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    positions = rng.integers(0, np.array(size)[::-1], (n, 3))
    return positions, rng.integers(1, 256, (n, 3), dtype=np.uint8)


def painted(positions, colors, radius=6, size=SIZE):
    return paint_slab(Markers.of(positions, colors, radius), 0, *size)


def nearest_by_loop(positions, colors, radius=6, size=SIZE):
    """The color of the nearest candidate; None where two are equally near."""
    distance = np.full(size, np.inf)
    tied = np.zeros(size, bool)
    canvas = np.zeros((*size, 3), np.uint8)
    z, y, x = np.indices(size)
    for (cx, cy, cz), color in zip(positions, colors, strict=True):
        in_slice = radius - abs(z - cz)
        flat = (x - cx) ** 2 + (y - cy) ** 2
        inside = (abs(z - cz) <= 2) & (flat <= in_slice**2) & (in_slice >= 0)
        here = np.where(inside, flat + (z - cz) ** 2, np.inf)
        tied = np.where(here < distance, False, tied | (inside & (here == distance)))
        canvas[here < distance] = color
        distance = np.minimum(distance, here)
    return canvas, tied


def test_one_disc_shrinks_by_one_a_slice_and_ends_after_two():
    slab = painted(np.array([[25, 20, 7]]), np.array([[9, 8, 7]], np.uint8))
    painted_at = slab.any(axis=-1)
    widths = [np.count_nonzero(painted_at[z, 20]) for z in range(14)]
    assert widths == [0] * 5 + [9, 11, 13, 11, 9] + [0] * 4
    np.testing.assert_array_equal(slab[7, 20, 25], [9, 8, 7])
    heights = np.count_nonzero(painted_at[7, :, 25])
    assert heights == 13


@pytest.mark.parametrize("n", [1, 30, 200])
def test_every_voxel_has_the_color_of_the_nearest_candidate(n):
    positions, colors = candidates(n)
    expected, tied = nearest_by_loop(positions, colors)
    slab = painted(positions, colors)
    np.testing.assert_array_equal(slab[~tied], expected[~tied])
    np.testing.assert_array_equal(slab.any(axis=-1), expected.any(axis=-1))


def test_colors_do_not_depend_on_the_order_of_rows():
    positions, colors = candidates(200)
    positions[50:60] = positions[:10]  # in one place, in different colors
    shuffled = np.random.default_rng(1).permutation(200)
    np.testing.assert_array_equal(
        painted(positions, colors), painted(positions[shuffled], colors[shuffled])
    )


def test_discs_lie_at_different_places_so_that_no_assignment_repeats_a_voxel():
    positions, colors = candidates(60)
    positions[30:] = positions[:30]  # each place twice, in two colors
    markers = Markers.of(positions, colors, 6)
    assert len(np.unique(markers.positions, axis=0)) == len(markers.positions) == 30
    x, y, z = markers.positions.T
    shown = painted(positions, colors)[z, y, x]
    first, second = (
        {*map(tuple, part.tolist())} for part in (colors[:30], colors[30:])
    )
    assert {*map(tuple, shown.tolist())} <= first | second


def test_discs_at_the_border_are_cut_off():
    corners = np.array([[0, 0, 0], [49, 39, 13]])
    slab = painted(corners, np.array([[1, 1, 1], [2, 2, 2]], np.uint8))
    np.testing.assert_array_equal(slab[0, 0, 0], [1, 1, 1])
    np.testing.assert_array_equal(slab[13, 39, 49], [2, 2, 2])
    assert not slab[0, 20, 25].any()


@pytest.mark.parametrize("radius", [1, 2])
def test_small_discs_vanish_where_their_radius_is_used_up(radius):
    slab = painted(np.array([[25, 20, 7]]), np.ones((1, 3), np.uint8), radius)
    touched = np.flatnonzero(slab.any(axis=(1, 2, 3)))
    assert touched.tolist() == list(range(7 - radius, 8 + radius))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.float32])
def test_gray_rises_with_the_voxel_and_keeps_its_place(dtype):
    volume = np.arange(120).reshape(2, 6, 10).astype(dtype)
    gray = gray_slab(volume, 20, 100)
    assert (gray.shape, gray.dtype) == ((2, 6, 10, 3), np.uint8)
    assert (gray == gray[..., :1]).all()
    expected = np.rint((np.arange(120.0) - 20).clip(0, 80) * 255 / 80)
    np.testing.assert_allclose(gray[..., 0].ravel(), expected, atol=1)


def test_a_few_wild_voxels_do_not_set_the_grays():
    volume = np.random.default_rng(0).normal(size=(20, 64, 64)).astype(np.float32)
    volume[10, 3, :8] = 1e6
    volume[11, 3, 3] = np.nan
    low, high = gray_range(volume)
    assert -3.5 < low < -2
    assert 2 < high < 3.5
    assert gray_slab(volume, low, high)[11, 3, 3, 0] in (0, 127, 128)


def paint(tmp_path, volume, positions, colors, **options):
    paths = tmp_path / "rec.npy", tmp_path / "hm.npy"
    markers = Markers.of(positions, colors, 6)
    paint_tomogram(volume, markers, gray_path=paths[0], color_path=paths[1], **options)
    return [np.load(path, mmap_mode="r") for path in paths]


@pytest.mark.parametrize("slab_voxels", [1, 5 * 40 * 50, 2**23])
def test_slabs_leave_no_seams(tmp_path, monkeypatch, slab_voxels):
    monkeypatch.setattr("lib.overlay.paint.SLAB_VOXELS", slab_voxels)
    volume = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
    positions, colors = candidates(80)
    gray, color = paint(tmp_path, volume, positions, colors)
    for array in (gray, color):
        assert (array.shape, array.dtype) == ((*SIZE, 3), np.uint8)
        assert not np.isfortran(array)
    np.testing.assert_array_equal(color, painted(positions, colors))
    np.testing.assert_array_equal(gray, gray_slab(volume, *gray_range(volume)))


@pytest.mark.parametrize("depth", [14, 15])
def test_paired_slices_are_painted_twice(tmp_path, monkeypatch, depth):
    monkeypatch.setattr("lib.overlay.paint.SLAB_VOXELS", 4 * 40 * 50)
    volume = np.random.default_rng(0).normal(size=(depth, 40, 50)).astype(np.float32)
    positions, colors = candidates(30, size=((depth + 1) // 2, 40, 50))
    _, color = paint(tmp_path, volume, positions, colors, paired=True)
    half = painted(positions, colors, size=((depth + 1) // 2, 40, 50))
    assert len(color) == depth
    for z in range(depth):
        np.testing.assert_array_equal(color[z], half[z // 2])


def test_other_axes_of_the_file_are_the_same_tomogram(tmp_path):
    in_file = np.random.default_rng(0).integers(-128, 128, (40, 14, 50), np.int8)
    positions, colors = candidates(5)
    volume = in_file.transpose(1, 0, 2)
    gray, _ = paint(tmp_path, volume, positions, colors)
    low, high = gray_range(volume)
    np.testing.assert_array_equal(gray, gray_slab(volume.copy(), low, high))


def test_progress_counts_every_slice(tmp_path):
    seen = []
    positions, colors = candidates(3)
    paint(tmp_path, np.ones(SIZE, np.int8), positions, colors, progress=seen.append)
    assert sum(seen) == 14


def test_nothing_is_left_when_the_tomogram_cannot_be_read(tmp_path):
    class Broken:
        shape = SIZE

        def __len__(self):
            return SIZE[0]

        def __getitem__(self, place):
            if isinstance(place, slice):
                raise OSError("the disk went away")
            return np.ones(SIZE[1:], np.int8)

    positions, colors = candidates(3)
    with pytest.raises(OSError, match="went away"):
        paint(tmp_path, Broken(), positions, colors)
    assert not (tmp_path / "rec.npy").exists()
    assert not list(tmp_path.glob(".*"))
