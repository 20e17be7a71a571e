"""Several jobs, users and machines with one folder of patches."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lib.artifacts import atomic_folder, claim, files, first_folder, shared_folders
from lib.artifacts.shared_folders import claim_of
from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from tests.data_sets import small_options, write_data_set
from tests.scripts import PROJECT

JOB = PROJECT / "tests" / "shared_cache_job.py"
SHAPE = (16, 48, 48)
KILLED = """
import os, pathlib, signal, sys
from lib.artifacts import claim, first_folder
path = pathlib.Path(sys.argv[1])
path.parent.mkdir()
with claim(path), first_folder(path, is_whole=bool):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def rows_of(listed):
    return read_image_list(
        listed, project=listed.parent, needs_tilts=False, order="zxy"
    )


def prepare(listed, cache):
    return prepare_store(rows_of(listed), small_options(), cache=cache, workers=0)


def content(folder):
    """Return the bytes of every file in a folder, by its path there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def start_job(listed, cache, *more, workers, log, slowed_by=0.0, **process):
    command = [sys.executable, JOB, listed, cache, workers, *more]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(PROJECT),
            "PREPARED": str(log),
            "SLOWED_BY": str(slowed_by),
        },
        **process,
    )


def finish_all(jobs):
    """Return what jobs printed, once all have ended well."""
    said = [job.communicate(timeout=1200) for job in jobs]
    assert not [err for (_, err), job in zip(said, jobs, strict=True) if job.returncode]
    return [out.splitlines()[-1] for out, _ in said]


@pytest.mark.parametrize(
    ("rounds", "jobs", "workers", "tomograms"),
    [
        pytest.param(1, 3, 2, 8, id="short"),
        pytest.param(20, 3, 8, 50, id="long", marks=pytest.mark.long),
        pytest.param(20, 1, 8, 50, id="long-alone", marks=pytest.mark.long),
    ],
)
def test_jobs_share_the_work_over_a_slow_network(
    tmp_path, rounds, jobs, workers, tomograms
):
    names = [f"tomo{number}" for number in range(tomograms)]
    listed = write_data_set(tmp_path / "data", names=names, shape=SHAPE)
    store = prepare(listed, tmp_path / "alone")
    for number in range(rounds):
        cache, log = tmp_path / f"cache{number}", tmp_path / f"log{number}"
        running = [
            start_job(listed, cache, workers=workers, log=log, slowed_by=0.002)
            for _ in range(jobs)
        ]
        assert finish_all(running) == [str(len(store))] * jobs
        assert content(cache) == content(tmp_path / "alone")
        assert Counter(log.read_text().split()) == dict.fromkeys(names, 1)


@pytest.mark.long
def test_job_that_is_killed_costs_what_it_was_at(tmp_path):
    names = [f"tomo{number}" for number in range(50)]
    listed = write_data_set(tmp_path / "data", names=names, shape=SHAPE)
    prepare(listed, tmp_path / "alone")
    rng = np.random.default_rng(0)
    for number in range(8):
        cache, log = tmp_path / f"cache{number}", tmp_path / f"log{number}"
        how = {"workers": 3, "log": log, "slowed_by": 0.002, "start_new_session": True}
        killed, *others = [start_job(listed, cache, **how) for _ in range(3)]
        begun = rng.integers(3, 40)
        while not log.exists() or len(log.read_text().split()) < begun:
            time.sleep(0.01)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
        finish_all(others)
        assert content(cache) == content(tmp_path / "alone")
        assert 50 <= len(log.read_text().split()) <= 50 + 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become two users")
@pytest.mark.parametrize(("mode", "umask"), [(0o2770, "007"), (0o775, "002")])
def test_second_user_of_a_group_reads_and_adds(mode, umask):
    first, second, group = 54321, 54322, 54323
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        place.chmod(0o755)
        shared, log = place / "shared", place / "log"
        shared.mkdir()
        os.chown(shared, -1, group)
        shared.chmod(mode)
        log.touch()
        log.chmod(0o666)
        one = write_data_set(place / "data", names=("tomo1",))
        two = write_data_set(place / "data2", names=("tomo2",))
        both = place / "both.txt"
        both.write_text(one.read_text() + two.read_text().splitlines()[1] + "\n")
        cache = shared / "patches" if mode & 0o2000 else shared
        for user, listed in ((first, one), (second, both), (first, both)):
            identity = (user, group, umask)
            job = start_job(listed, cache, *identity, workers=0, log=log)
            finish_all([job])
        assert log.read_text().split() == ["tomo1", "tomo2"]
        entries = [path for path in cache.iterdir() if path.is_dir()]
        users = [first, first, second, second]  # candidates and patches of each
        assert sorted(entry.stat().st_uid for entry in entries) == users


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("patches.u8", lambda old: old[:-1]),
        ("coords.npy", lambda old: old[:-4]),
        ("coords.npy", lambda old: b""),
        ("entry.json", lambda old: old[: len(old) // 2]),
        ("coords.npy", None),
        ("entry.json", None),
    ],
)
def test_damaged_entry_is_prepared_again(data_set, tmp_path, capsys, file, change):
    prepare(data_set, tmp_path)
    whole = content(tmp_path)
    for path in tmp_path.glob(f"*/{file}"):  # of candidates, and of patches
        old = path.read_bytes()
        path.unlink()
        if change:
            path.write_bytes(change(old))
    capsys.readouterr()
    prepare(data_set, tmp_path)
    told = capsys.readouterr()
    assert content(tmp_path) == whole
    assert "preparing 2 of 2" in told.out
    unfinished = (file, change) == ("entry.json", None)
    words = [] if unfinished else ["is damaged: ", "(and 1 more)"]
    assert len(told.err.splitlines()) == bool(words)
    assert all(word in told.err for word in words)


def test_paths_are_those_of_the_list_at_hand(tmp_path, capsys):
    listed = write_data_set(tmp_path / "data", names=("tomo1",))
    real = tmp_path / "data" / "tomo1.rec"
    link = tmp_path / "link.rec"
    link.symlink_to(real)
    by_link = tmp_path / "by_link.txt"
    by_link.write_text(listed.read_text().replace(str(real), str(link)))
    entries = prepare(by_link, tmp_path / "cache").entries
    assert entries[0].metadata.rec_path == str(link)
    link.unlink()
    capsys.readouterr()
    entries = prepare(listed, tmp_path / "cache").entries
    assert entries[0].metadata.rec_path == str(real)
    assert capsys.readouterr().out == ""  # nothing was prepared again


def test_files_are_on_the_disk_before_an_entry_appears(data_set, tmp_path, monkeypatch):
    done = []
    synchronize, rename = os.fsync, os.rename

    def note_fsync(handle):
        done.append(os.fstat(handle).st_ino)
        synchronize(handle)

    def note_rename(source, target):
        done.append(source.stat().st_ino)
        rename(source, target)
        done.append("moved")

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", lambda self, target: note_rename(self, target))
    prepare(data_set, tmp_path)
    entries = list(tmp_path.iterdir())
    assert len(entries) == 4  # candidates and patches of two tomograms
    for entry in entries:
        moved = len(done) - done[::-1].index(entry.stat().st_ino)
        before = done[: moved - 1]
        assert {path.stat().st_ino for path in (entry, *entry.iterdir())} <= set(before)
        assert done[moved] == "moved"
        assert tmp_path.stat().st_ino in done[moved:]


@contextmanager
def claim_of_another(path, owner):
    """Put the claim of another process there."""
    place = claim_of(path)
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"{owner} x1y2")
    yield place
    assert not place.exists()


@pytest.fixture
def one(tmp_path):
    """An image list of one tomogram, and its finished entry in another folder."""
    listed = write_data_set(tmp_path / "data", names=("tomo1",))
    prepare(listed, tmp_path / "finished")
    return listed, next((tmp_path / "finished").glob("patches-*"))


def test_claim_of_a_killed_process_holds_nobody_up(one, tmp_path):
    listed, finished = one
    killed = "import sys, os, pathlib; from lib.artifacts import claim, first_folder\n"
    killed += "path = pathlib.Path(sys.argv[1]); path.parent.mkdir()\n"
    killed += "with claim(path), first_folder(path, is_whole=bool): os.abort()\n"
    path = tmp_path / "cache" / finished.name
    subprocess.run([sys.executable, "-c", killed, path], cwd=PROJECT, check=False)
    assert len(list(path.parent.iterdir())) == 2  # its claim and what it had begun
    begun = time.monotonic()
    prepare(listed, path.parent)
    assert time.monotonic() - begun < shared_folders.PATIENCE / 2
    assert content(path.parent) == content(finished.parent)


def test_claim_from_another_machine_without_a_sign_of_life(one, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folders, "PATIENCE", 0.5)
    listed, finished = one
    with claim_of_another(tmp_path / "cache" / finished.name, "node7-123"):
        begun = time.monotonic()
        prepare(listed, tmp_path / "cache")
        assert time.monotonic() - begun > 0.5
    assert content(tmp_path / "cache") == content(finished.parent)


def test_what_another_machine_is_at_is_waited_for(one, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folders, "PATIENCE", 0.4)
    listed, finished = one
    path = tmp_path / "cache" / finished.name

    def work_elsewhere(place):
        for _ in range(15):
            time.sleep(0.1)
            os.utime(place)
        finished.rename(path)
        place.unlink()

    def reject(*_, **__):
        raise AssertionError("prepared although another was at it")

    with claim_of_another(path, "node7-123") as place:
        elsewhere = threading.Thread(target=work_elsewhere, args=(place,))
        elsewhere.start()
        monkeypatch.setattr("lib.patches.making.load_tomogram", reject)
        store = prepare(listed, path.parent)
        elsewhere.join()
    assert len(store) > 0


def test_living_owner_keeps_its_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_folders, "PATIENCE", 0.3)
    monkeypatch.setattr(files, "BEAT_SECONDS", 0.05)
    path, watch = tmp_path / "entry", shared_folders.Watch(tmp_path)
    with claim(path) as mine:
        assert mine
        for _ in range(8):
            time.sleep(0.1)
            assert watch.free([path]) == []
        with claim(path) as second:
            assert not second
        assert watch.free([path]) == []
    assert watch.free([path]) == [path]


def test_who_was_taken_for_dead_leaves_the_new_claim_alone(tmp_path):
    place = claim_of(tmp_path / "entry")
    with claim(tmp_path / "entry"):
        place.write_text("node7-123 x1y2")
    assert place.read_text() == "node7-123 x1y2"


def test_second_takes_the_result_of_the_first(tmp_path):
    path = tmp_path / "entry"
    with first_folder(path, is_whole=lambda place: (place / "all").exists()) as mine:
        (mine / "all").write_text("second")
        path.mkdir()
        (path / "all").write_text("first")
    assert content(tmp_path) == {"entry/all": b"first"}


def test_damaged_result_of_another_is_replaced(tmp_path):
    path = tmp_path / "entry"
    with first_folder(path, is_whole=lambda place: (place / "all").exists()) as mine:
        (mine / "all").write_text("second")
        path.mkdir()
        (path / "half").write_text("first")
    assert content(tmp_path) == {"entry/all": b"second"}


def test_rename_whose_answer_was_lost_has_been_done(tmp_path, monkeypatch):
    rename = Path.rename

    def lose_the_answer(self, target):
        rename(self, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "rename", lose_the_answer)
    with first_folder(tmp_path / "entry", is_whole=Path.exists) as mine:
        (mine / "all").write_text("x")
    with atomic_folder(tmp_path / "imgs") as mine:
        (mine / "all").write_text("y")
    assert content(tmp_path) == {"entry/all": b"x", "imgs/all": b"y"}


def test_folder_that_several_replace_at_once_is_that_of_one(tmp_path, monkeypatch):
    rename = Path.rename

    def slow_rename(self, target):
        time.sleep(0.002)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", slow_rename)
    faults = []

    def replace_often(name):
        try:
            for _ in range(10):
                with atomic_folder(tmp_path / "imgs") as folder:
                    (folder / "a").write_text(name)
                    (folder / "b").write_text(name)
        except BaseException as fault:  # noqa: BLE001 - told in the main thread
            faults.append(fault)

    threads = [threading.Thread(target=replace_often, args=(n,)) for n in "12345678"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    found = content(tmp_path)
    assert found.keys() == {"imgs/a", "imgs/b"}
    assert found["imgs/a"] == found["imgs/b"]
