"""A tomogram whose z is not its shortest axis, by the commands."""

import numpy as np
import pytest

from tests.data_sets import write_blobs
from tests.scripts import call

SHAPE = (80, 48, 64)  # (Z, Y, X)


def dry_run(folder, *more, code=0):
    arguments = ["simsiam3d", "--train_img_txt", folder / "list.txt", "--dry_run"]
    arguments += ["--bbox", "8", "--dog", "1.5,3", "--dog_boundary", "6"]
    arguments += ["--exp_dir", folder / "exp", "--gpus", "-1", "--num_workers", "0"]
    return call("simsiam_main.py", *arguments, *more, cwd=folder, code=code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    write_blobs(folder / "deep.rec", 0, SHAPE, order="xzy")
    (folder / "list.txt").write_text("image_name rec_path\ndeep deep.rec\n")
    return folder


def test_the_default_is_not_taken_for_it_and_the_way_out_is_named(folder):
    done = dry_run(folder, code=2)
    line = done.stderr.splitlines()[-1]  # below the name of the list
    assert "use --order zxy, or give --order xzy if z is not the shortest" in line
    assert not (folder / "exp").exists()


def test_a_typed_order_goes_through_with_one_warning(folder):
    done = dry_run(folder, "--order", "xzy")
    (line,) = (said for said in done.stderr.splitlines() if said.startswith("warning"))
    assert "z is not the shortest axis of deep" in line
    (coords,) = (folder / "exp" / ".patches").glob("*/coords.npy")
    assert np.load(coords)[:, 2].max() > SHAPE[1]  # along the deep axis
