"""Options that follow from a diameter in Angstrom: found at every sampling."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.special import erfc

import opts
from lib.candidates.dog import find_candidates, widest_diameter
from lib.candidates.particle_size import ParticleSize
from lib.errors import OptionError
from lib.inputs.tomogram import Tomogram
from lib.run.candidate_options import PatchSettings
from lib.run.config import options_of
from lib.run.given import inference_keywords
from lib.run.options import RunOptions
from lib.run.record import RunRecord
from lib.training.checkpoints import load_checkpoint
from lib.training.inference import TrainedRun
from lib.training.resume import resumed_options
from tests.mrc_files import write_mrc
from tests.scripts import call

SIGMAS = options_of(PatchSettings)["dog"].metadata["about"].limits
SPECIMEN = (720, 1900, 1900)  # (Z, Y, X) [Angstrom]
PLACES = (620, 1260)  # x and y of the balls [Angstrom]


def tomogram_of_balls(diameter_of, voxel_size):
    """Dark balls in noise as 8-bit voxels, and their centers (x, y, z) [Angstrom]."""
    shape = tuple(round(length / voxel_size) for length in SPECIMEN)
    z, y, x = np.indices(shape, np.float32) * voxel_size
    density, centers = np.zeros(shape, np.float32), []
    for i, cx in enumerate(PLACES):
        for j, cy in enumerate(PLACES):
            radius = diameter_of[(i + j) % len(diameter_of)] / 2
            center = (cx + 13 * j, cy - 7 * i, 360 + 10 * (i - j))
            r = np.sqrt(
                (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
            )
            density += erfc((r - radius) / voxel_size / 2) / 2
            centers.append(center)
    noise = np.random.default_rng(0).normal(size=shape)
    values = 128 + 24 * noise - 60 * density
    return np.clip(values, 0, 255).astype(np.uint8), np.array(centers)


@pytest.mark.parametrize("diameters", [(250,), (120, 300)], ids=str)
@pytest.mark.parametrize("voxel_size", [12.0, 20.0])
def test_balls_are_found_at_their_centers_at_every_sampling(diameters, voxel_size):
    volume, centers = tomogram_of_balls(diameters, voxel_size)
    given = ParticleSize(diameters, voxel_size).options()
    found = find_candidates(
        volume,
        SIGMAS.parse(given["dog"]),
        box=given["bbox"],
        diameter=given["dog_diameter"],
        boundary=given["dog_boundary"],
        std_multiplier=given.get("dog_std_multiplier", 0.5),
        threads=1,
    )
    distance, _ = cKDTree(found.coords * voxel_size).query(centers)
    assert (distance <= 1.5 * voxel_size).all()  # by chance once in a hundred balls
    assert len(found.coords) <= 60


@pytest.mark.parametrize("diameter", [80.0, 137.0, 250.0, 400.0])
@pytest.mark.parametrize("voxel_size", [5.0, 7.84, 13.33])
def test_options_scale_with_the_sampling(diameter, voxel_size):
    given = ParticleSize((diameter,), voxel_size).options()
    sigmas = SIGMAS.parse(given["dog"])
    assert widest_diameter(sigmas) * voxel_size == pytest.approx(diameter, rel=0.01)
    assert given["bbox"] % 2 == 0
    assert 1.5 * diameter <= given["bbox"] * voxel_size <= 2 * diameter + 4 * voxel_size
    assert abs(given["dog_diameter"] * voxel_size - diameter) <= voxel_size / 2
    opts.train_options(
        ["simsiam3d", "--train_img_txt", "l"]
        + [word for key, value in given.items() for word in (f"--{key}", str(value))]
    )


@pytest.mark.parametrize(
    ("diameters", "n_sigmas"),
    [((250,), 2), ((240, 260), 2), ((150, 250), 5), ((100, 200, 400), 7)],
)
def test_diameters_that_differ_get_levels_of_their_own(diameters, n_sigmas):
    given = ParticleSize(diameters, 10.0).options()
    sigmas = SIGMAS.parse(given["dog"])
    assert len(sigmas) == n_sigmas
    assert ("dog_std_multiplier" in given) == (n_sigmas > 2)
    if n_sigmas > 2:
        assert widest_diameter(sigmas) >= diameters[-1] / 10
        assert 3.2 * sigmas[1] == pytest.approx(diameters[0] / 10, rel=0.01)


# --- voxel sizes ---------------------------------------------------------------------


def tomograms(folder, **sizes):
    listed = []
    for name, voxel_size in sizes.items():
        write_mrc(folder / f"{name}.rec", np.ones((4, 5, 6), np.int8), voxel_size=10)
        one = Tomogram.from_files(folder / f"{name}.rec", "auto")
        info = replace(one.info, voxel_size=voxel_size)
        listed.append(replace(one, info=info, voxel_size=voxel_size))
    return listed


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"a": 10.0, "b": None}, "b lack in their headers: give it with --voxel_size"),
        ({"a": 10.0, "b": 12.0}, "a has 10 A, b 12 A"),
        ({"a": 1.0}, "which many programs write by default"),
        ({"a": 0.01}, "implausible"),
        ({"a": 80.0}, "voxels at 80 A/voxel; expected 4 to 680"),
    ],
)
def test_voxel_sizes_that_say_nothing_are_refused(tmp_path, sizes, said):
    with pytest.raises(OptionError, match="--particle_diameter") as caught:
        ParticleSize.in_tomograms((250.0,), tomograms(tmp_path, **sizes))
    assert said in str(caught.value)


def test_voxel_size_of_the_user_stands_above_headers(tmp_path):
    listed = tomograms(tmp_path, a=1.0, b=None)
    assert ParticleSize.in_tomograms((250,), listed, voxel_size=8.0).voxel_size == 8.0


def test_voxel_sizes_that_differ_by_rounding_are_one(tmp_path):
    listed = tomograms(tmp_path, a=13.68, b=13.70)
    assert ParticleSize.in_tomograms((250,), listed).voxel_size == 13.68


# --- the command line ----------------------------------------------------------------

TRAIN = (
    "--order zxy --num_epochs 1 --batch_size 16 --head_conv 16 --gpus -1 "
    "--num_workers 0 --pretrained_model none"
)


def test_run_keeps_what_followed_and_its_config_repeats_it(data_set, tmp_path):
    given = ["--train_img_txt", data_set, "--exp_dir", tmp_path, *TRAIN.split()]
    typed = ["--particle_diameter", "60", "--dog_boundary", "6"]
    done = call("simsiam_main.py", "simsiam3d", *given, *typed, cwd=tmp_path)
    expected = ParticleSize((60.0,), 10.0).options()
    assert (
        f"particle diameter 60 A at 10 A/voxel: --bbox {expected['bbox']} "
        f"--dog {expected['dog']} --dog_diameter 6 --dog_boundary 6 (given)"
    ) in done.stdout
    run = tmp_path / "simsiam3d" / "default"
    options = load_checkpoint(run / "model_last.pth").record.options
    assert options.particle_diameter == (60.0,)
    assert options.patches.box == expected["bbox"]
    assert options.patches.sigmas == SIGMAS.parse(expected["dog"])
    assert options.patches.dog_boundary == 6
    again = ["--config", run / "opts.yaml", "--exp_id", "again"]
    call("simsiam_main.py", "simsiam3d", *again, cwd=tmp_path)
    first, second = (
        load_checkpoint(tmp_path / "simsiam3d" / name / "model_last.pth")
        for name in ("default", "again")
    )
    assert second.record.options.patches == options.patches
    for name, value in first.state_dict.items():
        assert torch.equal(value, second.state_dict[name]), name
    other = ["--resume", "--particle_diameter", "70"]
    done = call("simsiam_main.py", "simsiam3d", *given, *other, cwd=tmp_path, code=2)
    assert "--particle_diameter 70 given, 60 in training" in done.stderr


def test_diameter_is_refused_for_a_run_that_had_none():
    noted = RunOptions.of({"box": 36, "sigmas": (3.0, 5.0)})
    typed = RunOptions.of({"particle_diameter": (250.0,)})
    with pytest.raises(OptionError, match="without --particle_diameter, by --bbox 36"):
        resumed_options(
            RunRecord(options=noted), "model_last.pth", chosen=typed, typed=typed
        )


def test_diameter_decides_what_the_weights_in_the_box_leave_open(tmp_path):
    words = "simsiam3d --test_img_txt l --load_model builtin --particle_diameter 60"
    options = opts.embed_options("simsiam3d", [*words.split(), "--dog_boundary", "6"])
    given = inference_keywords(options)["given"]
    run = TrainedRun("builtin", mode="simsiam3d", given=given)
    expected = ParticleSize((60.0,), 10.0).options()
    assert run.fit_to_particle(tomograms(tmp_path, a=10.0)) == (
        f"particle diameter 60 A at 10 A/voxel: --bbox {expected['bbox']} "
        f"--dog {expected['dog']} --dog_diameter 6 --dog_boundary 6 (given)"
    )
    assert run.patching.box == expected["bbox"]
    assert run.patching.sigmas == tuple(map(float, expected["dog"].split(",")))
    assert (run.patching.dog_diameter, run.patching.dog_boundary) == (6, 6)
    plain = TrainedRun("builtin", mode="simsiam3d", given={})
    assert plain.fit_to_particle(tomograms(tmp_path, a=10.0)) is None


def test_options_of_another_voxel_size_are_known_as_such():
    given = ParticleSize((150.0,), 10.0).options()
    finer = ParticleSize((150.0,), 8.0)
    assert finer.is_another(given)
    assert not finer.is_another(finer.options())
    assert not finer.is_another({"bbox": 64, "dog": "2,3"})  # the user's own choice
    assert not finer.is_another({})


def test_other_diameter_replaces_what_followed_from_that_of_the_file(tmp_path):
    file = tmp_path / "opts.yaml"
    file.write_text(
        "mode: simsiam3d\ntrain_img_txt: l\nparticle_diameter: 250\nbbox: 38\n"
        "dog: 5.71,9.52\ngauss: 0.5\n"
    )
    repeated = opts.train_options(["simsiam3d", "--config", str(file)])
    assert {"bbox", "dog"} <= set(repeated.typed)
    words = ["simsiam3d", "--config", str(file), "--particle_diameter", "120"]
    changed = opts.train_options(words)
    assert changed.particle_diameter == "120"
    assert not {"bbox", "dog"} & set(changed.typed)
    assert changed.gauss == 0.5


@pytest.mark.parametrize("text", ["0", "-250", "nan", "250;300", "wide", "250,", ""])
def test_diameters_that_are_none_are_refused(text, capsys):
    with pytest.raises(SystemExit) as stopped:
        opts.train_options(
            ["simsiam3d", "--train_img_txt", "l", f"--particle_diameter={text}"]
        )
    assert stopped.value.code == 2
    assert "--particle_diameter" in capsys.readouterr().err
