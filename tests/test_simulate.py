import numpy as np
import pytest

from benchmarks.image_formation import expose, transfer
from benchmarks.simulate import (
    CROWDERS,
    LABELED,
    fill_with_proteins,
    load_templates,
    place_gold,
    write_simulated,
)
from lib.errors import InputError
from lib.inputs.tomogram import Tomogram
from sample_data import simulation
from tests.scripts import call

ANGLES = np.arange(-60.0, 61.0, 20.0)
MICROSCOPE = {"pixel_size": 10.0, "thickness": 1000.0, "defocus": 3e4}


def counts(potential, dose, seed=0):
    rng = np.random.default_rng(seed)
    return expose(potential, ANGLES, dose=dose, rng=rng, **MICROSCOPE)


def test_electrons_thin_with_the_path_through_the_ice_and_follow_poisson():
    images = counts(np.zeros((7, 64, 64), np.float32), dose=70)
    level = images.mean(axis=(1, 2))
    expected = 1000 * np.exp(-1000 / 3000 / np.cos(np.deg2rad(ANGLES)))
    np.testing.assert_allclose(level, expected, rtol=0.02)
    np.testing.assert_allclose(images.var(axis=(1, 2)) / level, 1, atol=0.1)


def test_protein_is_dark():
    y, x = np.indices((64, 64)) - 32
    blob = 400 * np.exp(-0.5 * (x**2 + y**2) / 1.5**2)
    images = counts(np.tile(blob, (7, 1, 1)).astype(np.float32), dose=120)
    relative = images / images.mean(axis=(1, 2), keepdims=True)
    assert relative[:, 31:34, 31:34].mean() < 0.95


def test_transfer_is_amplitude_contrast_at_zero_and_first_vanishes_at_its_zero():
    assert transfer(0, 3e4) == pytest.approx(-0.07)
    first_zero = np.sqrt((1 - 0.07 / np.pi) / (0.0197 * 3e4))
    assert transfer(first_zero, 3e4) == pytest.approx(0, abs=0.02)
    assert transfer(0.7 * first_zero, 3e4) < -0.9


def test_proteins_fill_the_slab_and_crowders_are_named_so():
    kinds = [*LABELED, *CROWDERS]
    ball = np.pad(np.full((8, 8, 8), 3.5, np.float32), 2)
    volume, particles = fill_with_proteins(
        dict.fromkeys(kinds, ball), (64, 96, 96), 48, np.random.default_rng(1)
    )
    filled = np.flatnonzero(volume.any(axis=(1, 2)))
    assert filled[0] >= 8
    assert filled[-1] < 56
    found = {particle.kind for particle in particles}
    assert "crowder" in found
    assert found <= {*LABELED, "crowder"}


def test_gold_stops_electrons():
    opacity = np.zeros((7, 64, 64), np.float32)
    opacity[:, 20:40, 20:40] = np.log(4)
    rng = np.random.default_rng(0)
    nothing = np.zeros_like(opacity)
    images = expose(nothing, ANGLES, dose=120, rng=rng, opacity=opacity, **MICROSCOPE)
    passed = images[:, 20:40, 20:40].mean() / images[:, 44:, 44:].mean()
    assert passed == pytest.approx(0.25, abs=0.01)


def test_beads_lie_in_the_ice_and_not_in_protein():
    potential = np.zeros((64, 96, 96), np.float32)
    potential[:, :48] = 3.5
    share, centers = place_gold(5, potential, 48, np.random.default_rng(2))
    assert len(centers) == 5
    assert not (share * potential).any()
    assert share.sum() == pytest.approx(5 * 4 / 3 * np.pi * 5**3, rel=0.05)
    assert not share[:8].any()
    for x, y, z in np.rint(centers).astype(int):
        assert share[z, y, x] == 1


def test_missing_templates_are_named_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r"proteins_10A.npz.*--templates"):
        load_templates(tmp_path)


def test_script_rejects_without_templates_and_writes_nothing(tmp_path):
    options = ("--out", "sim", "--templates", "nowhere")
    done = call("benchmarks/simulate.py", *options, cwd=tmp_path, code=2)
    assert "make_synthetic.py" in done.stderr
    assert not (tmp_path / "sim").exists()


def test_halves_add_up_to_the_tomogram_and_share_no_noise(tmp_path):
    ice = dict.fromkeys([*LABELED, *CROWDERS], np.zeros((4, 4, 4), np.float32))
    for template in ice.values():
        template[1:3, 1:3, 1:3] = 1e-3  # as good as nothing: all that is left is noise
    write_simulated(
        tmp_path,
        ice,
        0,
        seed=1,
        shape=(24, 48, 48),
        angles=np.arange(-60.0, 61.0, 3.0),
        dose=100,
        defocus=3e4,
        halves=True,
    )
    files = (".rec", *simulation.HALVES)
    whole, even, odd = (
        Tomogram.from_files(tmp_path / f"sim_00{ending}").read_voxels()
        for ending in files
    )
    assert abs(np.corrcoef(even.ravel(), odd.ravel())[0, 1]) < 0.1
    # each half is scaled to its own spread before it is written
    added = (even + odd).ravel()
    assert np.corrcoef(added, whole.ravel())[0, 1] > 0.98
