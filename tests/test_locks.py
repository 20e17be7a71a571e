"""One writer at a time, on file systems that reject what others grant."""

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.artifacts import ExperimentDir, atomic_folder, atomic_write, files, locks
from lib.artifacts.experiment import experiment_lock
from lib.artifacts.files import owner_of_this
from lib.errors import ResourceError


def rejecting(number):
    def reject(*_, **__):
        raise OSError(number, os.strerror(number))

    return reject


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def no_flock(request, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", rejecting(getattr(errno, request.param)))


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_without_flock_a_second_writer_is_rejected_all_the_same(no_flock, tmp_path):
    experiment = ExperimentDir(tmp_path)
    with experiment_lock(experiment):
        words = f"in use by process {os.getpid()} .*; wait for it"
        with pytest.raises(ResourceError, match=words), experiment_lock(experiment):
            pass
    with experiment_lock(experiment):
        assert Path(f"{experiment.lock}.held").exists()
    assert not list(tmp_path.iterdir())


def held_by(folder, process, host, age=0):
    held = folder / ".lock.held"
    owner = owner_of_this() if host == socket.gethostname() else f"{host}-1-1"
    owner = f"{owner.rpartition('-')[0]}-{process}"
    held.write_text(f"{process} of somebody on {host} since 2026-01-01 ({owner})")
    os.utime(held, (time.time() - age,) * 2)
    return held


def test_without_flock_a_process_that_was_killed_holds_nothing(
    no_flock, ended, tmp_path
):
    held_by(tmp_path, ended, socket.gethostname())
    with experiment_lock(ExperimentDir(tmp_path)):
        pass


def test_without_flock_another_machine_is_believed_while_it_gives_signs(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(fcntl, "flock", rejecting(errno.ENOSYS))
    held = held_by(tmp_path, 7, "node7", age=locks.STALE_SECONDS / 2)
    experiment = ExperimentDir(tmp_path)
    with pytest.raises(ResourceError, match=f"node7.*remove {held}"):
        experiment_lock(experiment).__enter__()
    assert held.exists()
    held_by(tmp_path, 7, "node7", age=locks.STALE_SECONDS * 2)
    with experiment_lock(experiment):
        assert str(os.getpid()) in held.read_text()
    assert not held.exists()


def test_holder_gives_signs_of_life(monkeypatch, tmp_path):
    monkeypatch.setattr(fcntl, "flock", rejecting(errno.ENOSYS))
    monkeypatch.setattr(files, "BEAT_SECONDS", 0.01)
    with experiment_lock(ExperimentDir(tmp_path)):
        held = tmp_path / ".lock.held"
        os.utime(held, (0, 0))
        until = time.monotonic() + 30
        while held.stat().st_mtime < 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert held.stat().st_mtime > 1


def test_lock_of_a_successor_is_not_taken_away(tmp_path):
    held = held_by(tmp_path, 7, "node7")
    assert not locks._take_away(held, "what another one read before")
    assert "node7" in held.read_text()


def test_group_may_lock_and_replace_what_one_member_wrote(tmp_path):
    tmp_path.chmod(0o2775)
    before = os.umask(0o022)
    try:
        with experiment_lock(ExperimentDir(tmp_path)):
            pass
        os.umask(0o002)
        with atomic_folder(tmp_path / "imgs") as folder:
            (folder / "0.png").touch()
        with atomic_write(tmp_path / "log.txt", "w") as stream:
            stream.write("epoch 1")
    finally:
        os.umask(before)
    rights = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert rights[".lock"] & 0o060 == 0o060
    assert rights["log.txt"] & 0o060 == 0o060
    assert rights["imgs"] & 0o070 == 0o070
    assert rights["imgs"] & stat.S_ISGID  # its files are the group's, too


def test_all_is_written_where_rights_cannot_be_changed(monkeypatch, tmp_path):
    for module, name in ((os, "chmod"), (os, "fchmod"), (Path, "chmod")):
        monkeypatch.setattr(module, name, rejecting(errno.EPERM))
    monkeypatch.setattr(os, "fsync", rejecting(errno.EINVAL))
    with experiment_lock(ExperimentDir(tmp_path)):
        with atomic_write(tmp_path / "log.txt", "w") as stream:
            stream.write("epoch 1")
        with atomic_folder(tmp_path / "imgs") as folder:
            (folder / "0.png").write_bytes(b"x")
    assert (tmp_path / "log.txt").read_text() == "epoch 1"
    assert (tmp_path / "imgs" / "0.png").read_bytes() == b"x"


def test_disk_that_fails_to_synchronize_is_no_success(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "fsync", rejecting(errno.EIO))
    with (
        pytest.raises(ResourceError),
        atomic_write(tmp_path / "log.txt", "w") as stream,
    ):
        stream.write("epoch 1")
    assert not list(tmp_path.iterdir())


def test_name_in_no_known_letters_can_be_noted(tmp_path):
    name = os.fsdecode(b"tomo\xff")
    with atomic_write(tmp_path / "opts.txt", "w") as stream:
        stream.write(name)
    assert (tmp_path / "opts.txt").read_bytes() == b"tomo\xff"
