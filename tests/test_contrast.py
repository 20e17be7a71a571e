"""Whether protein is dark or bright, and what is said when that was not meant."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib.errors import GeometryError
from lib.geometry.check import AGREES, check_geometry
from lib.geometry.contrast import measure_contrast
from lib.geometry.contrast_check import check_contrast
from lib.inputs.tomogram import Tomogram
from sample_data.make_synthetic import make_tomogram
from sample_data.simulation import write_tomogram
from tests.test_geometry_check import SAMPLE

SHAPE = (64, 128, 128)


@pytest.fixture(scope="module")
def made():
    return make_tomogram(21, SHAPE, noise=3.0)


@pytest.fixture
def write(tmp_path, made):
    """Return a function that writes a tomogram and its series, each with a sign."""

    def to_disk(tomogram=1, images=1, name="t"):
        volume, tilts = tomogram * made.tomogram, images * made.tilts
        write_tomogram(tmp_path, name, volume, tilts, made.angles, "xzy", 10.0)
        rec, ali, tlt = (tmp_path / f"{name}.{end}" for end in ("rec", "ali", "tlt"))
        return Tomogram.from_files(rec, tilt_path=ali, angle_path=tlt)

    return to_disk


def noise(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_sample_is_dark():
    tomogram = SAMPLE.read_voxels()
    assert measure_contrast(tomogram).protein == "dark"
    assert measure_contrast(-tomogram).protein == "bright"


@pytest.mark.parametrize("level", [1, 3])
def test_shapes_are_dark(level):
    tomogram = make_tomogram(22, SHAPE, noise=level).tomogram
    assert measure_contrast(tomogram).protein == "dark"
    assert measure_contrast(-tomogram).protein == "bright"


def test_noise_has_no_contrast():
    for seed in range(5):
        assert measure_contrast(noise(seed=seed)).protein is None


@pytest.mark.parametrize(
    "volume",
    [noise((8, 128, 128)), np.zeros(SHAPE, np.float32), np.full(SHAPE, np.nan)],
    ids=["flat", "empty", "nan"],
)
def test_too_little_to_look_at(volume):
    assert measure_contrast(volume).protein is None


def test_gold_and_its_fringes_do_not_turn_the_verdict(made):
    tomogram = made.tomogram / made.tomogram.std()
    beads = np.zeros(SHAPE, np.float32)
    beads[32, 40, 40] = beads[20, 90, 100] = 1
    core = gaussian_filter(beads, 3) - 0.9 * gaussian_filter(beads, 6)
    assert measure_contrast(tomogram - 60 / core.max() * core).protein != "bright"


@pytest.mark.filterwarnings("error")
def test_one_voxel_at_the_limit_of_float32_changes_nothing(made):
    volume = made.tomogram.astype(np.float32)
    volume[32, 64, 64] = 1e30
    assert measure_contrast(volume).protein == "dark"


def test_fill_does_not_turn_the_verdict(made):
    tomogram = made.tomogram / made.tomogram.std()
    for fill in (-8, 8):
        filled = tomogram.copy()
        filled[:, :50] = fill
        assert measure_contrast(filled).protein == "dark"


def test_right_contrast_is_passed_in_silence(write, capsys):
    (found,) = check_geometry([write()])
    said = capsys.readouterr()
    assert (found.verdict, found.opposite, said.err) == (AGREES, False, "")
    assert "dark" in said.out.splitlines()[1]
    assert "do not show" not in said.out


def test_inverted_tomogram_needs_bright(write, capsys):
    row = write(tomogram=-1)
    with pytest.raises(GeometryError, match=r"opposite contrast.*use --bright \("):
        check_geometry([row])
    assert "agrees, but for the contrast" in capsys.readouterr().out
    (found,) = check_geometry([row], bright=True)
    assert (found.verdict, capsys.readouterr().err) == (AGREES, "")
    check_geometry([row], force=True)
    assert "warning: geometry: t: tomogram and tilt" in capsys.readouterr().err


def test_inverted_images_are_only_told(write, capsys):
    row = write(images=-1)
    check_geometry([row])
    assert "the tilt images are inverted" in capsys.readouterr().err
    with pytest.raises(GeometryError, match="leave out --bright"):
        check_geometry([row], bright=True)


def test_both_inverted_are_told_by_the_voxels(write, capsys):
    row = write(tomogram=-1, images=-1)
    check_geometry([row])
    assert "protein is bright, but" in capsys.readouterr().err
    check_geometry([row], bright=True)
    assert capsys.readouterr().err == ""


def test_opposite_contrast_that_voxels_do_not_tell(write, monkeypatch):
    monkeypatch.setattr("lib.geometry.contrast.SURE", 1e9)
    with pytest.raises(GeometryError, match="do not show which is inverted: use --b"):
        check_geometry([write(tomogram=-1)])
    check_geometry([write(tomogram=-1)], bright=True)


def test_error_of_the_angles_names_the_contrast_too(write):
    row = write(tomogram=-1)
    with pytest.raises(GeometryError, match="out --flip_tilt_angles.*use --bright"):
        check_geometry([row], flip_tilt_angles=True)


def test_without_tilt_series_the_voxels_tell(write, capsys):
    dark, bright = write(name="a"), write(tomogram=-1, name="b")
    check_contrast([dark])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    check_contrast([bright])
    assert "b: by its voxels protein is bright" in capsys.readouterr().err
    check_contrast([bright], bright=True)
    assert capsys.readouterr().err == ""
    check_contrast([dark], bright=True)
    assert "a: by its voxels protein is dark" in capsys.readouterr().err
    check_contrast([dark, bright])
    assert "dark in a but bright in b" in capsys.readouterr().err


def test_what_cannot_be_told_is_said(tmp_path, capsys):
    write_tomogram(tmp_path, "n", noise(), noise((3, 128, 128)), [0], "zxy", 10.0)
    check_contrast([Tomogram.from_files(tmp_path / "n.rec", "zxy")])
    said = capsys.readouterr()
    assert "voxels of n do not show" in said.out
    assert said.err == ""
