import numpy as np
import pytest
from conftest import small_options
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from lib.candidates import fill
from lib.candidates.dog import find_candidates
from lib.candidates.masking import find_masked
from lib.inputs.tomogram import Tomogram
from lib.patches.entries import EntryMetadata
from lib.patches.preparation import prepare_store
from lib.patches.tomogram_data import (
    load_tomogram,
    preprocess_tilt_images,
    preprocess_tomogram,
)
from lib.pictures.candidate_picture import tell_masked
from tests.mrc_files import write_mrc

SHAPE = (40, 72, 120)
FILLED = 48  # x below which the tests fill: 40 %
MEAN, STD = 100.0, 10.0
SEARCH = {"box": 8, "boundary": 6, "diameter": 14, "std_multiplier": 0.5}
PARTICLES = [
    (x, y, z) for x in (62, 78, 94, 108) for y in (14, 36, 58) for z in (14, 27)
]
BEADS = [(70, 25, 20), (86, 47, 20), (101, 25, 21), (70, 47, 19)]
MULTISCALE = (1.2, 2.5, 4, 6)


def distance_from(x, y, z, shape=SHAPE):
    at_z, at_y, at_x = np.indices(shape, sparse=True)
    return np.sqrt((at_x - x) ** 2 + (at_y - y) ** 2 + (at_z - z) ** 2)


@pytest.fixture(scope="module")
def clean():
    """Dark balls in noise that is a little smooth, as in a tomogram."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=SHAPE), 0.6)
    volume = noise / noise.std()
    for place in PARTICLES:
        volume[distance_from(*place) <= 4] -= 1.2
    return (MEAN + STD * volume).astype(np.float32)


@pytest.fixture(scope="module")
def filled_side():
    return np.broadcast_to(np.arange(SHAPE[2]) < FILLED, SHAPE)


def search(raw, *, keep_gold=False, sigmas=(2, 4), **changes):
    masked = find_masked(raw, keep_gold=keep_gold, threads=1)
    gray = preprocess_tomogram(raw.copy(), 0.8, masked=masked, threads=1)
    options = {**SEARCH, **changes}
    found = find_candidates(gray, sigmas, masked=masked, threads=1, **options)
    return masked, gray, found.coords


def recall(coords, particles=PARTICLES, within=3):
    return (cKDTree(coords).query(particles)[0] <= within).mean()


def with_gold(raw, std=-30.0):
    volume = raw.copy()
    for bead in BEADS:
        volume[distance_from(*bead) <= 4] = MEAN + std * STD
    return volume


def plain_gray(raw, gauss=0.8):
    """The arithmetic that tomograms without faults keep."""
    smooth = raw.copy()
    for axis in (2, 1, 0):
        smooth = gaussian_filter(smooth, [gauss * (axis == a) for a in range(3)])
    mean = np.mean([s.mean(dtype=np.float64) for s in smooth])
    std = np.sqrt(np.mean([np.square(s - mean).mean() for s in smooth]))
    scaled = [((s - mean) / std + 3.0) * (255 / 6.0) for s in smooth]
    return np.round(np.clip(scaled, 0, 255)).astype(np.uint8)


def test_a_clean_tomogram_keeps_its_gray_levels_bit_for_bit(clean):
    masked, gray, coords = search(clean)
    assert masked is None
    np.testing.assert_array_equal(gray, plain_gray(clean))
    assert recall(coords) == 1


@pytest.mark.parametrize(("smooth", "std"), [(0, 2), (0, 20), (1, 0.5)])
def test_coarse_gray_levels_are_no_fill(clean, smooth, std):
    volume = gaussian_filter(clean - MEAN, smooth)
    eight_bit = np.clip(np.round(volume * (std / volume.std())), -128, 127)
    assert find_masked(eight_bit.astype(np.float32), threads=1) is None


def test_a_quiet_part_is_no_fill(clean, filled_side):
    quiet = np.where(filled_side, MEAN + 0.1 * (clean - MEAN), clean)
    assert find_masked(quiet.astype(np.float32), threads=1) is None


@pytest.mark.parametrize("level", [-30, -8, -3, -1, 0, 1, 3, 8, "zero"])
def test_fill_of_any_level_costs_no_particle_and_gives_none(clean, filled_side, level):
    value = 0 if level == "zero" else MEAN + level * STD
    masked, gray, coords = search(np.where(filled_side, np.float32(value), clean))
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert masked.gold == 0
    assert recall(coords) == 1
    assert coords[:, 0].min() >= FILLED + 4
    signals_deferred = plain_gray(clean)[:, :, FILLED + 8 :].astype(int)
    assert np.abs(gray[:, :, FILLED + 8 :] - signals_deferred).max() <= 6


def test_without_masks_the_border_of_fill_takes_all_candidates(clean, filled_side):
    """What the tests here are about."""
    raw = np.where(filled_side, np.float32(MEAN - 8 * STD), clean)
    gray = preprocess_tomogram(raw, 0.8, threads=1)
    coords = find_candidates(gray, (2, 4), threads=1, **SEARCH).coords
    assert (coords[:, 0] < FILLED + 4).mean() > 0.5


def test_fill_that_changes_nothing_stays(clean):
    """So that images and tomograms that the alignment padded keep their patches."""
    edge = np.arange(SHAPE[2]) < 4
    assert find_masked(np.where(edge, np.float32(MEAN), clean), threads=1) is None
    masked = find_masked(np.where(edge, np.float32(MEAN - 8 * STD), clean), threads=1)
    assert masked.fill == pytest.approx(4 / 120, abs=0.01)


def test_nearly_all_may_be_fill(clean, monkeypatch):
    left = np.arange(SHAPE[2]) >= 110
    raw = np.where(left, clean, np.float32(0))
    assert find_masked(raw, threads=1).fill > 0.9
    monkeypatch.setattr(fill, "BORDER", 40)
    monkeypatch.setattr(fill, "BORDER_SPAN", 99)  # all of it looks smeared
    assert find_masked(raw, threads=1).blocks.mean() < 1


def test_fill_is_masked_for_every_size_of_particle(clean, filled_side):
    raw = np.where(filled_side, np.float32(MEAN - 8 * STD), clean)
    _, _, coords = search(raw, sigmas=MULTISCALE, std_multiplier=0)
    assert recall(coords) == 1
    assert coords[:, 0].min() >= FILLED + 4


@pytest.mark.parametrize("sigmas", [(2, 4), MULTISCALE])
def test_maxima_of_masked_parts_are_no_candidates(clean, sigmas):
    half = np.arange(SHAPE[2]) < 86
    masked = find_masked(np.where(half, np.float32(0), clean), threads=1)
    weak = plain_gray(clean)
    weak[:, :, 86:] = np.round(128 + 0.3 * (weak[:, :, 86:] - 128.0))
    weak[:, :, :86][weak[:, :, :86] < 90] = 0  # they would raise the threshold
    options = {**SEARCH, "masked": masked, "threads": 1}
    coords = find_candidates(weak, sigmas, **options).coords
    assert masked.holds([(88, 36, 20), (89, 36, 20), (90, 36, 20)]).tolist() == [
        1,
        1,
        0,
    ]
    assert coords[:, 0].min() >= 90
    assert recall(coords, [p for p in PARTICLES if p[0] > 90]) > 0.9


def test_fill_behind_a_slanted_plane(clean):
    z, y, x = np.indices(SHAPE, sparse=True)
    beyond = x + 0.4 * (y - 36) + 0.3 * (z - 20)
    raw = np.where(beyond < 36, np.float32(MEAN - 8 * STD), clean)
    _, _, coords = search(raw)
    depth = beyond[tuple(coords.T[::-1])] - 36
    assert depth.min() >= 3
    assert recall(coords) == 1


def test_sections_may_be_filled_with_levels_of_their_own(clean, filled_side):
    levels = MEAN + 3 * STD * np.sin(np.arange(SHAPE[0]))[:, None, None]
    masked, _, coords = search(np.where(filled_side, levels, clean).astype(np.float32))
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert coords[:, 0].min() >= FILLED + 4
    assert recall(coords) == 1


@pytest.mark.parametrize("level", [-8, 0])
def test_the_border_of_fill_may_be_smeared(clean, filled_side, level):
    raw = np.where(filled_side, np.float32(MEAN + level * STD), clean)
    _, _, coords = search(gaussian_filter(raw, 1.5))
    assert coords[:, 0].min() >= FILLED + 2
    assert recall(coords) == 1


def test_fill_in_eight_bits(clean, filled_side):
    raw = np.where(filled_side, np.float32(MEAN - STD), clean)
    masked, _, coords = search(np.clip(np.round(raw - MEAN), -128, 127))
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert recall(coords) == 1


def test_a_picture_without_noise_is_not_all_fill():
    volume = np.zeros((24, 48, 48), np.float32)
    volume[distance_from(24, 24, 12, volume.shape) <= 3] = -1
    assert find_masked(volume, threads=1) is None


@pytest.mark.parametrize("bright", [False, True])
def test_gold_is_counted_and_left_out(clean, bright):
    raw = with_gold(clean)
    masked, _, coords = search(2 * MEAN - raw if bright else raw, bright=bright)
    assert masked.gold == len(BEADS)
    assert cKDTree(BEADS).query(coords)[0].min() > 6
    assert recall(coords) == 1


def test_gold_between_levels_of_every_size(clean):
    masked, _, coords = search(with_gold(clean), sigmas=MULTISCALE, std_multiplier=0)
    assert masked.gold == len(BEADS)
    assert cKDTree(BEADS).query(coords)[0].min() > 6


def test_gold_is_kept_on_request(clean):
    raw = with_gold(clean)
    masked, gray, coords = search(raw, keep_gold=True)
    assert masked is None
    np.testing.assert_array_equal(gray, plain_gray(raw))
    assert recall(coords, BEADS) == 1


def test_gold_that_eight_bits_clip(clean):
    raw = np.clip(np.round((with_gold(clean) - MEAN) * 2), -128, 127)
    masked, _, coords = search(raw)
    assert masked.gold == len(BEADS)
    assert cKDTree(BEADS).query(coords)[0].min() > 6


def test_few_deep_particles_in_smooth_ice_are_no_gold():
    """Of a denoised tomogram; they are not equally deep, as what is clipped."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=SHAPE), 1.5)
    volume = noise / noise.std()
    for place, deep in zip(BEADS, (9, 10, 11, 12), strict=True):
        volume -= deep * np.exp(-((distance_from(*place) / 5) ** 2))
    assert find_masked(volume.astype(np.float32), threads=1) is None


def test_a_ray_is_masked_and_is_no_gold(clean):
    """It comes from a hot pixel of one image."""
    raw = clean.copy()
    for z in range(SHAPE[0]):
        raw[z, 40, 64 + z] += 40 * STD  # along a particle
        raw[z, 48, 100] += 90 * STD
    masked, _, coords = search(raw)
    assert masked.gold == 0
    assert masked.section(14)[40, 78]
    assert recall(coords) == 1


def test_gold_beside_fill(clean, filled_side):
    raw = np.where(filled_side, np.float32(MEAN - 8 * STD), with_gold(clean))
    masked, _, coords = search(raw)
    assert masked.gold == len(BEADS)
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert cKDTree(BEADS).query(coords)[0].min() > 6
    assert recall(coords) == 1


@pytest.mark.parametrize("keep_gold", [False, True])
def test_hot_voxels_are_replaced_and_are_no_gold(clean, keep_gold):
    places = [(60, 25, 20), (86, 25, 21), (102, 48, 18)]
    raw = clean.copy()
    for (x, y, z), std in zip(places, (-200, 300, -60), strict=True):
        raw[z, y, x] += std * STD
    masked, gray, coords = search(raw, keep_gold=keep_gold)
    assert masked.gold == 0
    assert recall(coords) == 1
    signals_deferred = plain_gray(clean)
    for x, y, z in places:
        assert abs(int(gray[z, y, x]) - int(signals_deferred[z, y, x])) < 100
        assert 40 < gray[z, y, x] < 215


def test_an_image_is_scaled_by_what_is_seen_of_it():
    image = np.random.default_rng(5).normal(MEAN, STD, (96, 97)).astype(np.float32)
    faulty = image.copy()
    faulty[:, 60:] = 0
    faulty[10, 10], faulty[50, 30] = 1e5, -1e5
    masked = [find_masked(image[None]), find_masked(faulty[None])]
    assert masked[0] is None
    gray = preprocess_tilt_images(np.stack([image, faulty]), 0.8, masked=masked)
    seen = ~masked[1].section(0)
    assert 0.5 < seen.mean() < 0.63
    difference = np.abs(gray[0].astype(int) - gray[1])[seen]
    assert np.percentile(difference, 90) <= 6
    assert 60 < gray[1][10, 10] < 220


def test_gold_of_the_volume_is_masked_where_it_falls():
    image = np.random.default_rng(5).normal(0, 1, (1, 64, 64)).astype(np.float32)
    masked = find_masked(image, shadows=np.array([(20.0, 40.0), (300.0, 2.0)]))
    assert masked.section(0)[40, 20]
    assert not masked.section(0)[20, 40]
    assert masked.blocks.mean() < 0.03


@pytest.mark.parametrize("compress", [False, True])
def test_a_scene_knows_its_gold(clean, tmp_path, compress):
    """Merging takes the maximum of two sections; masks follow the merged ones."""
    path = tmp_path / "tomo.rec"
    write_mrc(path, with_gold(clean))
    tomogram = Tomogram.from_files(path, "zxy")
    options = small_options("simsiam3d", compress=compress, order="zxy")
    scene = load_tomogram(tomogram, options)
    assert scene.masked.gold == len(BEADS)
    for x, y, z in BEADS:
        section = z // 2 if compress else z
        assert scene.masked.section(section)[y, x]
        assert scene.volume[section, y, x] > 90
    options = small_options("simsiam3d", keep_gold=True)
    assert load_tomogram(tomogram, options).masked is None


@pytest.mark.parametrize("keep_gold", [False, True])
def test_gold_is_not_in_the_tilt_views(clean, tmp_path, keep_gold):
    paths = [tmp_path / name for name in ("tomo.rec", "tomo.ali", "tomo.tlt")]
    images = np.random.default_rng(5).normal(size=(3, *SHAPE[1:])).astype(np.float32)
    for (x, y, _), std in zip(BEADS, (3, 40), strict=False):
        images[:, y - 3 : y + 4, x - 3 : x + 4] -= std
    write_mrc(paths[0], with_gold(clean))
    write_mrc(paths[1], images)
    paths[2].write_text("-2\n0\n2\n")
    options = small_options("simsiam2d3d", keep_gold=keep_gold)
    rec, ali, tlt = paths
    tomogram = Tomogram.from_files(rec, "zxy", tilt_path=ali, angle_path=tlt)
    scene = load_tomogram(tomogram, options)
    for x, y, _ in BEADS[:2]:
        bead = scene.tilts[:, y - 2 : y + 3, x - 2 : x + 3].mean()
        assert bead < 100 if keep_gold else 120 < bead < 170


def test_what_is_masked_is_noted_with_the_patches(clean, filled_side, tmp_path):
    path = tmp_path / "tomo.rec"
    write_mrc(path, np.where(filled_side, np.float32(MEAN - 8 * STD), with_gold(clean)))
    rows = [Tomogram.from_files(path, "zxy")]
    store = prepare_store(rows, small_options(), cache=tmp_path / "cache", workers=0)
    metadata = store.entries[0].metadata
    assert metadata.gold == len(BEADS)
    assert metadata.fill == pytest.approx(0.4, abs=0.05)
    assert store.coords[:, 0].min() >= FILLED + 4
    assert cKDTree(BEADS).query(store.coords)[0].min() > 6


def test_the_user_is_told(capsys):
    tell_masked([EntryMetadata("a", gold=5), EntryMetadata("b", gold=7, fill=0.4)])
    told = capsys.readouterr().out
    assert "12 gold beads left out; --keep_gold" in told
    assert "40% of b" in told
    tell_masked([])
    assert not capsys.readouterr().out


@pytest.mark.parametrize("spread", [0.05, 0.3, 1])
@pytest.mark.parametrize("level", [-8, -2, 2, 8])
def test_fill_may_be_random_numbers(clean, filled_side, level, spread):
    numbers = np.random.default_rng(8).normal(MEAN + level * STD, spread * STD, SHAPE)
    masked, _, coords = search(np.where(filled_side, numbers, clean).astype("f4"))
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert recall(coords) == 1
    assert coords[:, 0].min() >= FILLED + 2


def test_random_fill_at_the_level_of_the_specimen_is_found_by_its_neighbors(
    clean, filled_side
):
    """AreTomo draws it from the voxels that were measured."""
    drawn = np.random.default_rng(8).choice(clean.ravel(), SHAPE)
    masked, _, coords = search(np.where(filled_side, drawn, clean))
    assert masked.fill == pytest.approx(0.4, abs=0.05)
    assert recall(coords) == 1
    assert coords[:, 0].min() >= FILLED - 2


@pytest.mark.parametrize("axes", [(2,), (1, 2)])
def test_fill_may_repeat_the_outermost_voxels(clean, axes):
    """As rotations and shifts of images do at their edges."""
    rows, columns = (np.arange(SHAPE[axis]) for axis in (1, 2))
    columns = np.maximum(columns, FILLED)
    rows = np.maximum(rows, 12) if 1 in axes else rows
    masked, _, coords = search(clean[:, rows][:, :, columns])
    free = [place for place in PARTICLES if 1 not in axes or place[1] > 15]
    assert masked.fill == pytest.approx(0.4 if axes == (2,) else 0.5, abs=0.06)
    assert recall(coords, free) == 1
    assert coords[:, 0].min() >= FILLED - 2


@pytest.mark.parametrize("level", [-8, -3, 3, 8])
def test_fill_may_set_in_slowly(clean, level):
    """The specimen fades into a constant."""
    weight = np.clip((FILLED - np.arange(SHAPE[2])) / 20, 0, 1)
    raw = clean * (1 - weight) + (MEAN + level * STD) * weight
    masked, _, coords = search(raw.astype(np.float32))
    assert recall(coords) == 1
    assert coords[:, 0].min() >= FILLED - 6


@pytest.mark.parametrize("level", [-4, 4])
def test_random_fill_of_an_image(level):
    """At another level than the specimen it moves the mean and the std."""
    rng = np.random.default_rng(5)
    image = MEAN + STD * gaussian_filter(rng.normal(size=(160, 200)), 1) / 0.28
    expected = preprocess_tilt_images(image[None, :, 60:].astype("f4"), 0)
    numbers = rng.normal(MEAN + level * STD, STD / 2, image.shape)
    raw = np.where(np.arange(200) < 60, numbers, image).astype(np.float32)[None]
    masked = find_masked(raw, threads=1)
    assert masked.fill == pytest.approx(0.3, abs=0.03)
    shown = preprocess_tilt_images(raw, 0, masked=[masked])[..., 60:]
    assert np.abs(shown[..., 8:].astype(int) - expected[..., 8:]).max() <= 8


def test_a_quiet_dark_part_of_an_image_is_no_fill():
    """Carbon: shot noise, but its level is not even."""
    rng = np.random.default_rng(5)
    image = MEAN + STD * gaussian_filter(rng.normal(size=(160, 200)), 1) / 0.28
    carbon = gaussian_filter(rng.normal(size=image.shape), 12)
    carbon = MEAN - 6 * STD + STD * (rng.normal(size=image.shape) + carbon * 16)
    raw = np.where(np.arange(200) < 60, carbon, image).astype(np.float32)[None]
    assert find_masked(raw, threads=1) is None


def test_a_part_at_another_level_that_is_no_random_fill_stays(clean, filled_side):
    """Thick ice, or a cell: neighboring voxels depend on each other."""
    smooth = gaussian_filter(clean - MEAN, 1)
    volume = smooth * (STD / smooth.std()) + np.where(filled_side, -4 * STD, 0)
    assert find_masked(volume.astype(np.float32), threads=1) is None
