"""What several test files share and make once."""

import os
import signal
import threading
from importlib.util import find_spec

import pytest

from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.system.runtime import choose_device
from tests.data_sets import small_options, write_data_set

# More threads only wait for each other over arrays as small as these, here and in
# the processes that are started; OMP_NUM_THREADS=2 make test tries it with two.
# Numba would set those of torch to as many as its own, and training after a map
# would take ten times as long on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Under nohup, and in the background of a shell, these are ignored, also by the
# processes that the tests start and send them to.
if threading.current_thread() is threading.main_thread():  # not so in ``make gpu``
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where the tests marked "gpu" run: "cuda" in ``make gpu``.
TEST_DEVICE = os.environ.get("TEST_DEVICE", "cpu")

# requirements-core.txt has no Phoenix, and these are about its page.
if find_spec("phoenix") is None:
    collect_ignore = [
        "test_session.py",
        "test_session_browser.py",
        "test_session_guard.py",
    ]

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # make gpu needs little beside torch, and none of these tests
    pass
else:
    # A busy machine is slow, not wrong.
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def device():
    """Return where the tests marked "gpu" run."""
    return choose_device("0" if TEST_DEVICE == "cuda" else "-1")


@pytest.fixture
def one_thread():
    """Keep threads from waiting for each other over tiny patches."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory):
    """The path of the image list of two small tomograms."""
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def stores(data_set, tmp_path_factory):
    """The patch store of each mode."""
    cache = tmp_path_factory.mktemp("cache")
    rows = read_image_list(
        data_set, project=data_set.parent, needs_tilts=True, order="zxy"
    )
    return {
        mode: prepare_store(rows, small_options(mode), cache=cache, workers=0)
        for mode in ("simsiam2d3d", "simsiam3d")
    }
