"""The same seed gives the same table, whoever prepares and whatever else runs."""

import numpy as np
import pytest

from lib.artifacts.npz_files import read_npz
from tests.data_sets import write_data_set
from tests.scripts import call
from tests.small_runs import embed_command, folder_of, train_command


@pytest.fixture(scope="module")
def three_tomograms(tmp_path_factory):
    """The image list of more tomograms than there are processes."""
    return write_data_set(tmp_path_factory.mktemp("three"), names=("a", "b", "c"))


def train_and_embed(listed, exp_dir, workers):
    """Train and embed from nothing with so many processes; return the table."""
    more = ("--num_workers", workers, "--no_cache")
    train = train_command(listed, exp_dir, "--seed", "5", *more, epochs=1)
    for command in (train, embed_command(listed, exp_dir, *more)):
        call(*command, cwd=listed.parent)
    return read_npz(folder_of(exp_dir) / "all_output_info.npz")


def test_table_is_the_same_bit_for_bit_whatever_num_workers(three_tomograms, tmp_path):
    alone = train_and_embed(three_tomograms, tmp_path / "0", 0)
    several = train_and_embed(three_tomograms, tmp_path / "3", 3)
    arrays = set(alone) - {"provenance"}  # names the folder of the run
    assert arrays >= {"name", "coords", "pred", "proj", "subvol"}
    for key in arrays:
        assert np.array_equal(alone[key], several[key]), key
