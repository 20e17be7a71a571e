import csv

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib.inputs.image_list import read_image_list
from sample_data import simulation
from sample_data.make_synthetic import SHAPES, make_tomogram
from tests.scripts import PROJECT, call

SCRIPT = "sample_data/make_synthetic.py"
SHAPE = (48, 96, 96)


@pytest.fixture(scope="module")
def made():
    return make_tomogram(7, SHAPE)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_nothing_is_known_inside_the_missing_wedge(made):
    window = np.multiply.outer(np.hanning(SHAPE[0]), np.hanning(SHAPE[2]))
    planes = made.tomogram * window[:, None]
    power = (np.abs(np.fft.fftn(planes, axes=(0, 2))) ** 2).mean(axis=1)
    kz = np.abs(np.fft.fftfreq(SHAPE[0]))[:, None]
    kx = np.abs(np.fft.fftfreq(SHAPE[2]))
    steepness = np.rad2deg(np.arctan2(kz, kx))
    band = (np.hypot(kz, kx) > 0.1) & (np.hypot(kz, kx) < 0.35)
    missing = power[band & (steepness > 70)].mean()
    assert missing < 0.03 * power[band & (steepness < 50)].mean()


@pytest.mark.parametrize("order", ["xzy", "zxy"])
def test_tomogram_projects_onto_its_tilts_with_the_sign_of_its_order(order):
    # The formula of algorithm.md, voxel by voxel, independent of the simulation.
    made = make_tomogram(3, SHAPE, order=order)
    z, x = np.indices((SHAPE[0], SHAPE[2]))
    for tilt, angle in enumerate(made.angles):
        if abs(angle) not in (30, 45):
            continue
        found = {}
        for sign in (-1, 1):
            turned = np.deg2rad(angle)
            along = (x - 48) * np.cos(turned) + sign * (z - 24) * np.sin(turned) + 48
            pixel = np.rint(along).astype(int)
            inside = (pixel >= 0) & (pixel < SHAPE[2])
            image = np.zeros(SHAPE[1:])
            for row in range(SHAPE[1]):
                image[row] = np.bincount(
                    pixel[inside], made.tomogram[:, row][inside], SHAPE[2]
                )
            smooth = [gaussian_filter(i, 1) for i in (image, made.tilts[tilt])]
            found[sign] = correlation(*(i[:, 20:-20] for i in smooth))
        right = {"xzy": -1, "zxy": 1}[order]
        assert found[right] > 0.6
        assert found[-right] < 0.4


def test_particles_are_dark_where_the_table_says(made):
    smooth = gaussian_filter(made.tomogram, 3)
    for kind in ("sphere", "rod", "cross"):
        places = np.array([p.position for p in made.particles if p.kind == kind])
        x, y, z = np.rint(places).astype(int).T
        assert (smooth[z, y, x] < smooth.mean() - smooth.std()).mean() > 0.9, kind


def test_position_is_the_center_of_mass(made):
    grid = np.indices(SHAPE)[::-1]  # x, y, z
    for particle in made.particles[:5]:
        position = np.array(particle.position)
        distance = np.sqrt(((grid - position[:, None, None, None]) ** 2).sum(axis=0))
        mass = np.where(distance < 8, made.density, 0)
        center = (grid * mass).sum(axis=(1, 2, 3)) / mass.sum()
        np.testing.assert_allclose(center, position, atol=0.8)


def test_all_shapes_are_there_and_the_seed_decides_everything(made):
    assert {p.kind for p in made.particles} == set(SHAPES)
    again = make_tomogram(7, SHAPE)
    np.testing.assert_array_equal(again.tomogram, made.tomogram)
    assert again.particles == made.particles
    assert make_tomogram(8, SHAPE).particles != made.particles


def test_particles_keep_their_distance_and_stay_in_the_slab(made):
    z = np.flatnonzero(made.density.any(axis=(1, 2)))
    assert z[0] >= SHAPE[0] // 8
    assert z[-1] < SHAPE[0] - SHAPE[0] // 8
    assert made.density.max() <= 1  # where two overlapped it would be more


def test_a_point_in_the_middle_is_projected_onto_the_middle():
    volume = np.zeros((16, 4, 32), np.float32)
    volume[8, 1, 16] = 1
    matrix = simulation.projection_matrix([-60, 0, 45], 16, 32, -1)
    images = simulation.project(volume, matrix)
    np.testing.assert_allclose(images[:, 1, 16], 1, atol=1e-5)
    assert images.sum() == pytest.approx(3, abs=1e-4)


def test_script_writes_a_set_that_the_readers_take(tmp_path):
    size = ("--size", 64, 80, 32, "--tomograms", 2, "--tilt_step", 6)
    call(SCRIPT, "--out", "set", *size, cwd=tmp_path)
    folder = tmp_path / "set"
    listed = read_image_list(
        folder / "image_list.txt", project=PROJECT, needs_tilts=True
    )
    names = [tomogram.name for tomogram in listed]
    assert names == ["synthetic_00", "synthetic_01"]
    assert listed[0].read_voxels().shape == (32, 80, 64)
    assert listed[0].voxel_size == pytest.approx(10)
    series = listed[0].read_tilts()
    assert series.images.shape == (21, 80, 64)
    np.testing.assert_allclose(series.angles, np.arange(-60, 61, 6))
    with (folder / "particles.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {row["tomogram"] for row in table} == set(names)
    for row in table:
        assert 0 < float(row["x"]) < 64
        assert 0 < float(row["y"]) < 80
        assert 0 < float(row["z"]) < 32


def test_script_rejects_a_tomogram_too_small_for_its_shapes(tmp_path):
    options = ("--out", "set", "--size", 64, 64, 16)
    done = call(SCRIPT, *options, cwd=tmp_path, code=2)
    assert "--size 64 64 16" in done.stderr
    assert not (tmp_path / "set").exists()
