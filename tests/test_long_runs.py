"""Many epochs hold no more than few: memory, files, threads, shared memory."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.small_runs import finish, folder_of, start_command, train_command

EVERY = 0.1  # seconds between two looks


@dataclass(frozen=True)
class Held:
    """What a process holds at one moment."""

    memory: int  # anonymous [bytes]
    files: int
    threads: int
    shared: int  # files of shared memory on the machine that are its own

    @classmethod
    def by(cls, pid):
        process = Path(f"/proc/{pid}")
        rollup = (process / "smaps_rollup").read_text().splitlines()
        links = [_target(link) for link in (process / "fd").iterdir()]
        return cls(
            memory=next(int(x.split()[1]) for x in rollup if "Anonymous" in x) * 1024,
            files=len(links),
            threads=len(list((process / "task").iterdir())),
            shared=sum(link.startswith("/dev/shm") for link in links),
        )


def _target(link):
    try:
        return str(link.readlink())
    except OSError:  # closed between the listing and the look
        return ""


def watch(process, log, epochs):
    """Return what a run holds, moment by moment, once a quarter of it is done."""
    seen = []
    while process.poll() is None:
        done = len(log.read_text().splitlines()) if log.exists() else 0
        if done >= epochs // 4:
            try:
                seen.append((done, Held.by(process.pid)))
            except (OSError, StopIteration):  # it ended meanwhile
                break
        time.sleep(EVERY)
    return seen


def assert_no_growth(data_set, exp_dir, epochs):
    command = train_command(data_set, exp_dir, epochs=epochs)
    command[command.index("--val_intervals") + 1] = "5"
    command.remove("--save_all")
    process = start_command(command)
    log = folder_of(exp_dir) / "log.txt"
    seen = watch(process, log, epochs)
    finish(process)
    early = [held for done, held in seen if done <= epochs // 2]
    late = [held for done, held in seen if done > epochs // 2]
    assert early
    assert late
    # A leak lifts the least that is held; what comes and goes only lifts the most.
    first, last = (
        np.percentile([h.memory for h in part], 10) for part in (early, late)
    )
    print(
        f"{epochs} epochs, {len(seen)} looks: {first / 1e6:.1f} MB in the second "
        f"quarter, {last / 1e6:.1f} MB in the second half; at most "
        f"{max(h.files for h in late)} files, {max(h.threads for h in late)} threads"
    )
    # The allocator comes and goes by less than what a model and its optimizer take;
    # an epoch that left anything of that size would leave it many times over.
    kept = (folder_of(exp_dir) / "model_last.pth").stat().st_size
    assert last <= first + kept
    for what in ("files", "threads", "shared"):
        before, after = (min(getattr(h, what) for h in part) for part in (early, late))
        assert after <= before, what
    epochs_logged = [line.split("|")[0] for line in log.read_text().splitlines()]
    assert len(set(epochs_logged)) == len(epochs_logged) == epochs


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
@pytest.mark.parametrize("epochs", [20, pytest.param(200, marks=pytest.mark.long)])
def test_long_run_holds_no_more_than_a_short_one(data_set, tmp_path, epochs):
    assert_no_growth(data_set, tmp_path, epochs)
