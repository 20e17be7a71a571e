import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.artifacts import (
    check_fingerprint,
    fingerprint_path,
    open_packed,
    packed_path,
)
from lib.errors import ArtifactError
from lib.pictures.patch_pictures import gray_levels, writing_patch_pictures

PROJECT = Path(__file__).resolve().parents[1]


def patches(rows=7):
    return np.random.default_rng(0).normal(size=(rows, 1, 9, 11)).astype(np.float32)


def write(folder, gray, **options):
    with writing_patch_pictures(folder, gray, fingerprint="f", **options):
        pass


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_png_holds_the_exact_pixels(tmp_path):
    gray = np.random.default_rng(0).integers(0, 256, (1, 300, 41), dtype=np.uint8)
    write(tmp_path / "imgs", gray)
    picture = Image.open(tmp_path / "imgs" / "0.png")
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), gray[0])


def test_every_patch_uses_the_full_range_of_gray_whatever_its_own():
    gray = gray_levels(patches() * np.logspace(-3, 3, 7)[:, None, None, None] + 5)
    assert (gray.shape, gray.dtype) == ((7, 9, 11), np.uint8)
    assert set(gray.min(axis=(1, 2)).tolist()) == {0}
    assert set(gray.max(axis=(1, 2)).tolist()) == {255}


def test_dark_stays_dark():
    patch = np.zeros((1, 1, 20, 20), np.float32)
    patch[0, 0, 5:10, 5:10] = -1
    gray = gray_levels(patch)[0]
    assert gray[7, 7] == 0
    assert gray[17, 17] == 255


def test_patches_without_contrast_or_numbers_are_mid_gray():
    flat = np.stack([np.full((1, 8, 8), 3.0), np.full((1, 8, 8), np.nan)])
    assert set(gray_levels(flat.astype(np.float32)).ravel().tolist()) == {128}


@pytest.mark.parametrize("workers", [0, 2])
def test_folder_has_the_patch_of_each_row_and_their_note(tmp_path, workers):
    gray = gray_levels(patches(1203))
    write(tmp_path / "imgs", gray, workers=workers)
    assert names(tmp_path / "imgs") == {f"{i}.png" for i in range(1203)} | {
        "index.json"
    }
    for row in (0, 499, 500, 1202):
        picture = np.asarray(Image.open(tmp_path / "imgs" / f"{row}.png"))
        np.testing.assert_array_equal(picture, gray[row])
    note = json.loads((tmp_path / "imgs/index.json").read_text())
    assert note == {"fingerprint": "f", "rows": 1203}
    assert names(tmp_path) == {"imgs"}


def test_nothing_of_an_earlier_larger_run_stays(tmp_path):
    write(tmp_path / "imgs", gray_levels(patches(7)))
    write(tmp_path / "imgs", gray_levels(patches(3)))
    assert names(tmp_path / "imgs") == {"0.png", "1.png", "2.png", "index.json"}


def test_earlier_pictures_stay_when_the_block_fails(tmp_path):
    write(tmp_path / "imgs", gray_levels(patches(3)))
    with (
        pytest.raises(ArtifactError),
        writing_patch_pictures(
            tmp_path / "imgs", gray_levels(patches(7)), fingerprint="g"
        ),
    ):
        raise ArtifactError("the map failed")
    assert names(tmp_path / "imgs") == {"0.png", "1.png", "2.png", "index.json"}
    assert names(tmp_path) == {"imgs"}


def test_what_a_killed_run_left_is_swept(tmp_path):
    killed = "import sys; from lib.artifacts import atomic_folder; import os, signal\n"
    killed += "with atomic_folder(sys.argv[1]) as folder:\n"
    killed += "    (folder / '0.png').touch()\n    os.kill(os.getpid(), signal.SIGKILL)"
    command = [sys.executable, "-c", killed, str(tmp_path / "imgs")]
    subprocess.run(command, cwd=PROJECT, check=False)
    assert names(tmp_path) != {"imgs"}
    write(tmp_path / "imgs", gray_levels(patches(1)))
    assert names(tmp_path) == {"imgs"}


def test_pictures_of_other_rows_are_recognized(tmp_path):
    write(tmp_path / "imgs", gray_levels(patches(3)))
    record = fingerprint_path(tmp_path / "imgs")
    check_fingerprint(record, fingerprint="f", rows=3, of="table")
    with pytest.raises(ArtifactError, match="another run"):
        check_fingerprint(record, fingerprint="g", rows=3, of="table")


def test_packed_patches_are_one_file_of_the_exact_pixels(tmp_path):
    gray = gray_levels(patches())
    folder = tmp_path / "imgs"
    write(folder, gray)
    write(folder, gray, packed=True)
    assert names(folder) == {"index.json", packed_path(folder).name}
    np.testing.assert_array_equal(open_packed(folder), gray)
    check_fingerprint(fingerprint_path(folder), fingerprint="f", rows=7, of="x")
    write(folder, gray)
    assert open_packed(folder) is None


@pytest.mark.parametrize("wrong", [b"no array", np.zeros((2, 3), np.uint8)])
def test_damaged_packed_patches_are_refused_by_name(tmp_path, wrong):
    if isinstance(wrong, bytes):
        packed_path(tmp_path).write_bytes(wrong)
    else:
        np.save(packed_path(tmp_path), wrong)
    with pytest.raises(ArtifactError, match="patches.npy cannot be read"):
        open_packed(tmp_path)
