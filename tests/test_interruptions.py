"""A run that is killed, interrupted or runs out of disk loses nothing."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from lib.system.ranks import ALONE
from lib.system.runtime import WARNINGS, install_signal_handlers
from lib.training.checkpoints import load_checkpoint
from tests.data_sets import write_data_set
from tests.scripts import call
from tests.small_runs import PROJECT, finish, folder_of, start_command, train_command

EPOCHS = 4
PATIENCE = 1800  # seconds, for a run that hangs: a slow machine is not wrong


def start(listed, exp_dir, *more, epochs=EPOCHS):
    """Start a small training run."""
    return start_command(train_command(listed, exp_dir, *more, epochs=epochs))


def reject(listed, exp_dir):
    """Ask for a run that cannot be; return what is said."""
    command = train_command(listed, exp_dir, epochs=1)
    return call(*command, cwd=PROJECT, code=2).stderr


def whole_epochs(folder):
    """Open every checkpoint there is; return the epoch of the newest."""
    for path in folder.glob("model_*.pth"):
        content = load_checkpoint(path)
        assert all(v.isfinite().all() for v in content.state_dict.values())
    last = folder / "model_last.pth"
    return load_checkpoint(last).epoch if last.exists() else 0


def wait_for_epoch(folder, epoch, process):
    """Wait until an epoch is on disk."""
    limit = time.monotonic() + PATIENCE
    while not (folder / f"model_{epoch}.pth").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(data_set, tmp_path_factory):
    """The experiment of a run that nothing happened to, and how long it took."""
    exp_dir = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    finish(start(data_set, exp_dir))
    return folder_of(exp_dir), time.monotonic() - began


def assert_same_result(folder, other):
    for name in ("model_last.pth", "model_best.pth"):
        one = load_checkpoint(folder / name).state_dict
        two = load_checkpoint(other / name).state_dict
        assert all(torch.equal(one[key], two[key]) for key in one), name
    lines = [(f / "log.txt").read_text().splitlines() for f in (folder, other)]
    assert [[line.split(" | time")[0] for line in text] for text in lines][0] == [
        line.split(" | time")[0] for line in lines[1]
    ]


def survive_kills(data_set, exp_dir, kills, seconds, seed):
    """Kill a run at random moments until it has been killed often enough."""
    rng, folder = random.Random(seed), folder_of(exp_dir)
    newest = 0
    for _ in range(kills):
        more = ["--resume"] if newest else ["--overwrite"]
        process = start(data_set, exp_dir, *more)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.communicate()
        assert whole_epochs(folder) >= newest
        newest = whole_epochs(folder)
    finish(start(data_set, exp_dir, *(["--resume"] if newest else ["--overwrite"])))
    assert not [p.name for p in folder.iterdir() if p.name.endswith(".partial")]


def test_killed_run_resumes_to_the_same_result(uninterrupted, data_set, tmp_path):
    folder, seconds = uninterrupted
    survive_kills(data_set, tmp_path, kills=2, seconds=seconds, seed=1)
    assert_same_result(folder, folder_of(tmp_path))


@pytest.mark.long
def test_fifty_kills_lose_nothing(uninterrupted, data_set, tmp_path):
    folder, seconds = uninterrupted
    for round_ in range(10):
        exp_dir = tmp_path / str(round_)
        survive_kills(data_set, exp_dir, kills=5, seconds=seconds, seed=round_)
        assert_same_result(folder, folder_of(exp_dir))


@pytest.mark.parametrize(
    ("sign", "code"),
    [
        (signal.SIGTERM, 143),
        (signal.SIGINT, 130),
        (signal.SIGHUP, 129),
        (signal.SIGUSR1, 138),
    ],
)
def test_preempted_run_is_alone_and_says_how_to_go_on(data_set, tmp_path, sign, code):
    with start(data_set, tmp_path, epochs=500) as process:
        try:
            wait_for_epoch(folder_of(tmp_path), 1, process)
            second = train_command(data_set, tmp_path, "--overwrite", epochs=500)
            rejected = call(*second, cwd=PROJECT, code=2).stderr
            process.send_signal(sign)
            said = finish(process, code=code)
        finally:
            process.kill()
    assert f"in use by process {process.pid}" in rejected
    assert "interrupted" in said
    assert "--resume" in said
    assert whole_epochs(folder_of(tmp_path)) >= 1


def test_lost_terminal_does_not_end_a_run_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ended = signal.getsignal(signal.SIGTERM)
    try:
        install_signal_handlers(ALONE)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        for number in (signal.SIGTERM, *WARNINGS[1:]):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, ended)


def test_full_disk_keeps_what_was_there(uninterrupted, data_set, tmp_path):
    """Files are limited to 8 MB, where a checkpoint needs more."""
    shutil.copytree(uninterrupted[0], folder_of(tmp_path))
    before = (folder_of(tmp_path) / "model_last.pth").read_bytes()
    limited = (
        "import resource, runpy, signal, sys; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**23, 2**23)); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    resumed = train_command(data_set, tmp_path, "--resume", epochs=EPOCHS + 1)
    said = finish(start_command(["-c", limited, *resumed], cwd=PROJECT), code=2)
    assert "File too large" in said
    assert (folder_of(tmp_path) / "model_last.pth").read_bytes() == before
    assert not list(folder_of(tmp_path).glob(".*.partial"))


def test_folder_that_cannot_be_made_is_rejected(data_set, tmp_path):
    (tmp_path / "exp").write_text("a file where a folder should be")
    said = reject(data_set, tmp_path / "exp")
    assert f"error: {tmp_path / 'exp'}" in said


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux's sysfs")
def test_folder_that_nobody_may_write_to_is_rejected(data_set):
    said = reject(data_set, Path("/sys/kernel/exp"))
    assert "error: /sys/kernel/exp" in said


def test_input_that_vanishes_is_named(tmp_path):
    listed = write_data_set(tmp_path / "data")
    (tmp_path / "data" / "tomo2.rec").unlink()
    assert "tomo2.rec" in reject(listed, tmp_path / "exp")
