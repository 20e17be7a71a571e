"""What several test files share and make once."""

import pytest

from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from tests.data_sets import small_options, write_data_set


@pytest.fixture(scope="session")
def data_set(tmp_path_factory):
    """The path of the image list of two small tomograms."""
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def stores(data_set, tmp_path_factory):
    """The patch store of each mode."""
    cache = tmp_path_factory.mktemp("cache")
    rows = read_image_list(data_set, project=data_set.parent, needs_tilts=True)
    return {
        mode: prepare_store(rows, small_options(mode), cache=cache, workers=0)
        for mode in ("simsiam2d3d", "simsiam3d")
    }
