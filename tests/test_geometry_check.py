import re
from dataclasses import replace

import numpy as np
import pytest

from lib.errors import GeometryError, InputError
from lib.geometry.binned_pair import BinnedPair
from lib.geometry.check import (
    AGREES,
    MISALIGNED,
    NOTHING,
    OTHER,
    UNCLEAR,
    check_geometry,
    examine,
)
from lib.geometry.hypotheses import GeometryHypothesis, possible_hypotheses
from lib.geometry.projection import correlate
from lib.inputs.tomogram import Tomogram
from sample_data.make_synthetic import make_tomogram
from sample_data.simulation import write_tomogram
from tests.scripts import PROJECT, call

SHAPE = (48, 128, 128)
FILES = [PROJECT / "sample_data" / f"ts254.{end}" for end in ("rec", "ali", "tlt")]
SAMPLE = Tomogram.from_files(FILES[0], tilt_path=FILES[1], angle_path=FILES[2])


@pytest.fixture(scope="module")
def made():
    """One synthetic tomogram, its images and angles; z as IMOD's tilt writes it."""
    made = make_tomogram(11, SHAPE, noise=3.0)
    return made.tomogram, made.tilts, made.angles


@pytest.fixture(scope="module")
def foreign():
    return make_tomogram(12, SHAPE, noise=3.0).tilts


@pytest.fixture(scope="module")
def real():
    """Half of the sample: the middle rows of all."""
    tomogram, series = SAMPLE.read_voxels(), SAMPLE.read_tilts()
    return tomogram[:, 80:240], series.images[:, 80:240], series.angles


def write(folder, tomogram, images, angles, order="xzy", name="tomo1"):
    write_tomogram(folder, name, tomogram, images, angles, order, 10.0)
    rec, ali, tlt = (folder / f"{name}.{end}" for end in ("rec", "ali", "tlt"))
    return Tomogram.from_files(rec, order, tilt_path=ali, angle_path=tlt)


def move_each(images, reach):
    moves = np.random.default_rng(0).integers(-reach, reach + 1, (len(images), 2))
    pairs = zip(images, moves, strict=True)
    return np.array([np.roll(image, tuple(move), (0, 1)) for image, move in pairs])


def test_sample_agrees_and_only_as_it_is():
    found = examine(SAMPLE)
    assert found.verdict == AGREES
    assert 0.75 < found.asked < 0.86
    assert abs(found.best) < 0.1


@pytest.fixture(scope="module")
def thin():
    """A clean specimen so thin that angles 6 degrees off still correlate."""
    made = make_tomogram(21, (16, 128, 128), noise=0.5)
    return made.tomogram, made.tilts, made.angles


@pytest.mark.parametrize("off", [-12, -8, 8, 12])
def test_an_offset_is_found_where_wrong_angles_fit_well_too(tmp_path, thin, off):
    tomogram, images, angles = thin
    found = examine(write(tmp_path, tomogram, images, angles + off))
    assert found.verdict == OTHER
    assert re.match(r"add about -?\d+ degrees", found.remedy)
    assert abs(found.other.offset + off) <= 1
    mended = examine(
        write(tmp_path, tomogram, images, angles + off + found.other.offset)
    )
    right = examine(write(tmp_path, *thin))
    assert mended.verdict == right.verdict == AGREES
    assert mended.asked > 0.95 * right.asked


def test_of_a_thin_specimen_the_sign_is_found(tmp_path, thin):
    tomogram, images, angles = thin
    found = examine(write(tmp_path, tomogram, images, -angles))
    assert (found.verdict, found.remedy) == (OTHER, "use --flip_tilt_angles")


def test_sample_with_the_wrong_sign_names_the_option():
    with pytest.raises(GeometryError, match="leave out --flip_tilt_angles"):
        check_geometry([SAMPLE], flip_tilt_angles=True)


HARMLESS = {
    "nothing": lambda t, i, a: (t, i, a),
    "contrast inverted": lambda t, i, a: (-t, i, a),
    "images within 1 px": lambda t, i, a: (t, move_each(i, 1), a),
    "a little noise more": lambda t, i, a: (
        t,
        i + np.random.default_rng(1).normal(0, i.std(), i.shape),
        a,
    ),
    "descending": lambda t, i, a: (t, i[::-1], a[::-1]),
    "z cut, 4 slices off the axis": lambda t, i, a: (t[8:], i, a),
    "z cut evenly": lambda t, i, a: (t[6:-6], i, a),
    "a gradient in the images": lambda t, i, a: (
        t,
        i + np.linspace(0, 20 * i.std(), i.shape[2], dtype=np.float32),
        a,
    ),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_no_false_alarm(tmp_path, made, change):
    found = examine(write(tmp_path, *HARMLESS[change](*made)))
    assert (found.verdict, found.remedy) == (AGREES, "")


@pytest.mark.parametrize("change", HARMLESS)
def test_no_false_alarm_on_the_sample(tmp_path, real, change):
    found = examine(write(tmp_path, *HARMLESS[change](*real)))
    assert (found.verdict, found.remedy) == (AGREES, "")


# What is done, and the verdict and the remedy that must come out. Those that keep
# the sizes go for the sample as well, whose images are not square.
MISTAKES = {
    "angles negated": (
        lambda t, i, a: (t, i, -a),
        OTHER,
        "^use --flip_tilt_angles$",
    ),
    "z reversed": (lambda t, i, a: (t[::-1], i, a), OTHER, "^use --flip_tilt_angles$"),
    "order of the angles reversed": (
        lambda t, i, a: (t, i, a[::-1]),
        OTHER,
        "^use --flip_tilt_angles$",
    ),
    "y mirrored": (
        lambda t, i, a: (t, i[:, ::-1], a),
        OTHER,
        "^the tilt images must be mirrored top to bottom",
    ),
    "x mirrored": (
        lambda t, i, a: (t, i[:, :, ::-1], a),
        OTHER,
        "^the tilt images must be mirrored left to right",
    ),
    "turned by 180 degrees": (
        lambda t, i, a: (t, np.rot90(i, 2, (1, 2)), a),
        OTHER,
        "^the tilt images must be turned by 180 degrees",
    ),
    "mirrored and negated": (
        lambda t, i, a: (t, i[:, ::-1], -a),
        OTHER,
        "^use --flip_tilt_angles and the tilt images must be mirrored top to bottom",
    ),
    "angles 9 degrees off": (
        lambda t, i, a: (t, i, a + 9),
        OTHER,
        "^add about -(8|9|10) degrees",
    ),
    "angles 12 degrees off and negated": (
        lambda t, i, a: (t, i, 12 - a),
        OTHER,
        "^use --flip_tilt_angles and add about -(11|12|13) degrees",
    ),
    "axis along x": (
        lambda t, i, a: (t.transpose(0, 2, 1), i.transpose(0, 2, 1), a),
        OTHER,
        "^turn the tilt images and the tomogram by 90 degrees",
    ),
    "not aligned": (
        lambda t, i, a: (t, move_each(i, 25), a),
        MISALIGNED,
        "before alignment",
    ),
    "z cut unevenly": (
        lambda t, i, a: (t[20:], i, a),
        MISALIGNED,
        "lies about (9|10|11) slices .* add (18|20|22) empty slices at the first end",
    ),
}
SQUARE_MISTAKES = {
    "images clockwise": (
        lambda t, i, a: (t, np.rot90(i, 1, (1, 2)), a),
        OTHER,
        "turned by 90 degrees counter-clockwise",
    ),
    "images transposed": (
        lambda t, i, a: (t, i.transpose(0, 2, 1), a),
        OTHER,
        "mirrored along a diagonal",
    ),
}


def assert_told(found, mistake):
    _, verdict, remedy = mistake
    assert found.verdict == verdict
    pytest.raises(GeometryError, _raise, found.remedy).match(remedy)


def _raise(remedy):
    raise GeometryError(remedy)


@pytest.mark.parametrize("name", MISTAKES | SQUARE_MISTAKES)
def test_mistake_is_told(tmp_path, made, name):
    mistake = (MISTAKES | SQUARE_MISTAKES)[name]
    assert_told(examine(write(tmp_path, *mistake[0](*made))), mistake)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_of_the_sample(tmp_path, real, name):
    mistake = MISTAKES[name]
    assert_told(examine(write(tmp_path, *mistake[0](*real))), mistake)


def follow(remedy, tomogram, images, angles):
    """Do what a remedy says, in words; return the files and the option."""
    options = {"flip_tilt_angles": "use --flip_tilt_angles" in remedy}
    if "images must be mirrored top to bottom" in remedy:
        images = images[:, ::-1]
    elif "images must be mirrored left to right" in remedy:
        images = images[:, :, ::-1]
    elif "images must be mirrored along a diagonal" in remedy:
        images = images.transpose(0, 2, 1)
    elif "images must be turned by 180 degrees" in remedy:
        images = images[:, ::-1, ::-1]
    elif "images must be turned by 90 degrees counter-clockwise" in remedy:
        images = np.rot90(images, -1, (1, 2))  # y points up
    elif "images and the tomogram by 90 degrees clockwise" in remedy:
        images, tomogram = (np.rot90(one, 1, (1, 2)) for one in (images, tomogram))
    if added := re.search(r"add about (-?[\d.]+) degrees", remedy):
        angles = angles + float(added[1])
    if empty := re.search(r"add (\d+) empty slices at the (\w+) end of z", remedy):
        more = int(empty[1])
        sides = (more, 0) if empty[2] == "first" else (0, more)
        tomogram = np.pad(tomogram, (sides, (0, 0), (0, 0)))
    return (tomogram, images, angles), options


@pytest.mark.parametrize("name", MISTAKES | SQUARE_MISTAKES)
def test_remedy_makes_as_sure_as_right_files(tmp_path, made, name):
    assert_mended(tmp_path, made, (MISTAKES | SQUARE_MISTAKES)[name][0], 0.8)


@pytest.mark.parametrize(
    "name", ["angles 9 degrees off", "axis along x", "mirrored and negated"]
)
def test_remedy_makes_as_sure_on_the_sample(tmp_path, real, name):
    assert_mended(tmp_path, real, MISTAKES[name][0])


@pytest.mark.parametrize("off", [-15, 11])
def test_offset_is_found_to_a_degree(tmp_path, made, off):
    assert_mended(tmp_path, made, lambda t, i, a: (t, i, a + off))


def test_slices_are_added_at_the_right_end(tmp_path, made):
    assert_mended(tmp_path, made, lambda t, i, a: (t[:-20], i, a), enough=0.8)


def assert_mended(folder, right, spoil, enough=0.9):
    spoiled = spoil(*right)
    remedy = examine(write(folder, *spoiled)).remedy
    if "before alignment" in remedy:
        return  # only an alignment mends that
    files, options = follow(remedy, *spoiled)
    mended = examine(write(folder, *files), **options)
    assert (mended.verdict, mended.remedy) == (AGREES, "")
    sure = examine(write(folder, *right)).asked
    assert mended.asked > enough * sure
    assert not mended.opposite


@pytest.mark.parametrize(("sign", "flip"), [(-1, True), (1, True), (1, False)])
def test_offset_is_that_of_the_file_however_it_is_read(tmp_path, made, sign, flip):
    tomogram, images, angles = made
    files = write(tmp_path, tomogram, images, sign * angles + 12)
    remedy = examine(files, flip_tilt_angles=flip).remedy
    added = float(re.search(r"add about (-?[\d.]+) degrees", remedy)[1])
    assert abs(added + 12) <= 1


def test_angles_of_another_scheme_get_no_remedy(tmp_path, made):
    tomogram, images, angles = made
    for wrong in (angles * 2 / 3, angles[::-1] / 2 + 20, angles / 2 - 25):
        found = examine(write(tmp_path, tomogram, images, wrong))
        assert (found.verdict, found.remedy) == (NOTHING, "")


def test_order_that_the_shape_allows_too(tmp_path, real):
    tomogram, images, angles = real
    rows = slice(20, 120)  # as many as there are slices
    row = write(tmp_path, tomogram[:, rows], images[:, rows], angles)
    assert examine(row).verdict == AGREES
    with pytest.raises(GeometryError, match="fits better; use --order xzy$"):
        check_geometry([replace(row, order="zxy")])


def test_angles_listed_otherwise(tmp_path, made):
    tomogram, images, angles = made
    lopsided = angles > -40
    images, angles = images[lopsided], angles[lopsided]
    row = write(tmp_path, tomogram, images, angles[::-1])
    assert examine(row).remedy == "the lines of the angle file must be reversed"
    acquired = np.argsort(np.abs(angles), kind="stable")
    row = write(tmp_path, tomogram, images, angles[acquired])
    assert examine(row).remedy == "the lines of the angle file must be sorted"


def test_series_of_another_tomogram_needs_force(tmp_path, capsys, made, foreign):
    row = write(tmp_path, made[0], foreign, made[2])
    assert examine(row).verdict == NOTHING
    with pytest.raises(GeometryError, match="do not show the tomogram in any conv"):
        check_geometry([row])
    check_geometry([row], force=True)
    assert "warning: geometry: tomo1: the tilt images do not" in capsys.readouterr().err


def test_force_does_not_hide_what_an_option_mends(tmp_path, made):
    tomogram, images, angles = made
    row = write(tmp_path, tomogram, images, -angles)
    with pytest.raises(GeometryError, match="use --flip_tilt_angles"):
        check_geometry([row], force=True)


def test_noise_is_no_reason_to_reject(tmp_path, capsys, made):
    rng = np.random.default_rng(3)
    noise = [rng.normal(size=part.shape) for part in made[:2]]
    (found,) = check_geometry([write(tmp_path, *noise, made[2])])
    assert found.verdict == UNCLEAR
    assert "too noisy to tell" in capsys.readouterr().err


def test_one_table_and_one_error_for_all(tmp_path, capsys, made):
    tomogram, images, angles = made
    rows = [
        write(tmp_path, tomogram, images, angles, name="good"),
        write(tmp_path, tomogram, images, -angles, name="flipped"),
        write(tmp_path, tomogram, images[:, ::-1], angles, name="mirrored"),
    ]
    with pytest.raises(GeometryError) as error:
        check_geometry(rows)
    message = str(error.value)
    assert "flipped: another convention clearly fits better; use --flip_t" in message
    assert "mirrored: another convention clearly fits better; the tilt" in message
    assert "1 of 3 agree as asked" in message
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "tomogram"
    assert [line.split()[0] for line in lines] == ["good", "flipped", "mirrored"]
    assert lines[0].endswith("agrees")
    assert lines[1].endswith("another convention fits: angles negated")


def test_blank_images_are_passed_over(tmp_path, made):
    tomogram, images, angles = made
    images = images.copy()
    images[np.abs(angles - 30).argmin()] = 0
    assert examine(write(tmp_path, tomogram, images, angles)).verdict == AGREES
    images[np.abs(angles) < 50] = 0
    row = write(tmp_path, tomogram, images, angles)
    with pytest.raises(InputError, match="are blank or not finite"):
        examine(row)


def test_tomogram_without_contrast_is_rejected(tmp_path, made):
    row = write(tmp_path, *made)
    content = bytearray(row.rec_path.read_bytes())
    content[1024:] = bytes(len(content) - 1024)
    row.rec_path.write_bytes(content)
    with pytest.raises(InputError, match="all equal"):
        examine(row)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_binning_keeps_the_center(tmp_path, monkeypatch, made, factor):
    monkeypatch.setattr("lib.geometry.binned_pair.WIDTH", SHAPE[2] / factor)
    row = write(tmp_path, *made)
    assert BinnedPair.read(row).factor == factor
    assert examine(row).asked > 0.5


@pytest.mark.parametrize(
    ("order", "file_shape"),
    [("zxy", (7, 9, 9)), ("yxz", (9, 9, 7)), ("xzy", (9, 9, 9))],
)
def test_no_two_hypotheses_are_one(order, file_shape):
    # Two that say the same would each be the other's background, and nothing fit.
    rng = np.random.default_rng(0)
    angles = np.array([-30.0, 10.0, 40.0])
    pair = BinnedPair(
        tomogram=rng.normal(size=file_shape).astype(np.float32),
        file_shape=file_shape,
        order=order,
        images=rng.normal(size=(3, 9, 9)).astype(np.float32),
        next_images={},
        indices=np.arange(3),
        angles=angles,
        image_shape=(9, 9),
        factor=1,
    )
    possible = possible_hypotheses(order, angles, file_shape, (9, 9))
    assert possible[0] == GeometryHypothesis(order)
    correlations = [
        correlate(
            pair.project(one.without_image_transform), pair.transformed_images(one)
        )
        for one in possible
    ]
    assert len(np.unique(np.round(correlations, 4), axis=0)) == len(possible) > 30


def check_by_script(folder, row, *more, mode="simsiam2d3d", code=0):
    table = folder / "list.txt"
    columns = (row.name, row.rec_path, row.tilt_path, row.angle_path)
    table.write_text(
        "image_name\trec_path\ttilt_path\tangle_path\n" + "\t".join(map(str, columns))
    )
    options = ("--train_img_txt", table, "--exp_dir", folder / "exp", *more)
    command = ("simsiam_main.py", mode, "--check_geometry", *options)
    return call(*command, cwd=folder, code=code)


def test_script_checks_alone(tmp_path, made):
    good = check_by_script(tmp_path, SAMPLE)
    assert "agrees" in good.stdout
    bad = check_by_script(tmp_path, SAMPLE, "--flip_tilt_angles", code=2)
    assert "leave out --flip_tilt_angles" in bad.stderr.splitlines()[-1]
    without = check_by_script(tmp_path, SAMPLE, mode="simsiam3d", code=2)
    assert "give that mode" in without.stderr
    assert not (tmp_path / "exp").exists()
