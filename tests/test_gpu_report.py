"""``make gpu`` end to end on the CPU, on a Python with nothing but what it needs."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_floors, gpu_search, gpu_stage, stand_ins
from benchmarks.gpu_report import Report, table
from benchmarks.gpu_stage import LIMITS, Outcome, Row, run_apart
from lib.training.compute import activation_bytes
from tests.small_runs import finish, start_command

PROJECT = Path(__file__).resolve().parents[1]
NEEDED = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "mrcfile", "pytest")
# The measurement of coverage comes into processes by itself.
NEVER_HIDDEN = {"coverage", "_pytest", "a1_coverage", "pip"}
HIDING = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            return None  # as for a package that is not installed
        return super().find_spec(name, path, target)

sys.meta_path = [Finder if f is PathFinder else f for f in sys.meta_path]
"""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_packages():
    """Return the distributions that `NEEDED` bring with them."""
    known, waiting = set(), list(NEEDED)
    while waiting:
        name = normal(waiting.pop())
        if name in known:
            continue
        known.add(name)
        try:
            asked = requires(name) or []
        except PackageNotFoundError:  # of another system
            continue
        waiting += [re.match(r"[\w.-]+", r)[0] for r in asked if "extra ==" not in r]
    return known


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """The environment of a Python without what `NEEDED` does not bring."""
    known = needed_packages()
    hidden = {
        module
        for module, owners in packages_distributions().items()
        if not known & {normal(owner) for owner in owners}
    } - NEVER_HIDDEN
    assert {"tqdm", "psutil", "torchvision", "matplotlib", "pyarrow"} <= hidden
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def gpu(*arguments, env=None):
    return subprocess.run(
        [sys.executable, PROJECT / "benchmarks" / "gpu.py", *map(str, arguments)],
        env=env or {**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
    )


def test_all_stages_run_on_the_cpu_with_nothing_but_what_is_needed(
    bare_python, tmp_path
):
    path = tmp_path / "report.md"
    ran = gpu("--device", "cpu", "--smoke", "--output", path, env=bare_python)
    text = path.read_text()
    assert ran.returncode == 0, text
    for name in LIMITS:
        section = text.split(f"## {name}\n")[1].split("\n## ")[0]
        assert section.count("\n| ") > 1, text  # a header and rows
    assert "failed" not in text
    assert "Not there yet" not in text


def test_without_a_gpu_it_rejects_in_one_line(tmp_path):
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = gpu("--output", tmp_path / "report.md", env=env)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "PYTHON=" in ran.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, "has no torch"),
        ("__version__ = '2.7.1+cu126'", "has torch 2.7.1.cu126, and 2.8 or later"),
    ],
)
def test_another_torch_is_rejected_in_one_line(tmp_path, version, words):
    if version is None:
        text = HIDING.format(hidden={"torch"})
        (tmp_path / "sitecustomize.py").write_text(text)
    else:
        (tmp_path / "torch.py").write_text(version)
    ran = gpu(env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert re.search(words, ran.stderr)


def test_stage_that_fails_leaves_its_rows_and_the_others(tmp_path):
    report = Report(tmp_path / "r.md", "make gpu", ["train", "embed", "loader"])
    assert "Not there yet: train, embed, loader" in (tmp_path / "r.md").read_text()
    rows = [Row.least("a run", "9 patches/s", "10 patches/s", 0.9, 0.95)]
    report.add("train", Outcome("failed", rows, 3.0, "CUDA error: an illegal access"))
    report.add("embed", Outcome("done", [Row("b", "1 s", memory=2e9)], 1.0))
    text = (tmp_path / "r.md").read_text()
    assert report.failed
    for words in ("**failed** after 3 s", "CUDA error: an illegal", "| **no** |"):
        assert words in text
    assert "| b | 1 s | 2.00 GB |" in text
    assert "Not there yet: loader." in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_its_part_and_no_process(tmp_path, number):
    path = tmp_path / "r.md"
    command = [PROJECT / "benchmarks" / "gpu.py", "--device", "cpu", "--smoke"]
    process = start_command(
        [*command, "--output", path, "--stages", "machine", "train"]
    )
    began = time.monotonic()
    while "## machine" not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() - began < 300
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (started := children.read_text().split()):
        time.sleep(0.05)
    process.send_signal(number)
    finish(process, code=128 + signal.SIGINT)
    text = path.read_text()
    assert "| Python and torch |" in text
    assert "**interrupted**" in text
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_a_stage_starts_ends_the_stage(monkeypatch, number):
    popen, started = subprocess.Popen, []

    def interrupted(_command, **_more):
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        started.append(popen(sleep, start_new_session=True))
        signal.raise_signal(number)
        return started[0]

    monkeypatch.setattr(gpu_stage.subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        deadline = time.monotonic() + 300
        outcome = run_apart("train", device="cpu", smoke=False, deadline=deadline)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcome.verdict == "interrupted"
    assert started[0].poll() is not None


def test_columns_that_say_nothing_are_left_out():
    lines = table([Row("card", "H100"), Row("a|b", "two\nlines")])
    assert lines == ["| what | ours |", "|:--|:--|", "| card | H100 |"] + [
        "| a/b | two lines |"
    ]


def test_stage_that_does_not_end_is_ended_with_its_rows(monkeypatch):
    sleep = "import pathlib, sys, time\n"
    sleep += 'pathlib.Path(sys.argv[-1]).write_text(\'{"what": "early"}\\n\')\n'
    sleep += "time.sleep(600)\n"
    popen = gpu_stage.subprocess.Popen

    def asleep(command, **more):
        return popen([sys.executable, "-c", sleep, *command], **more)

    monkeypatch.setattr(gpu_stage.subprocess, "Popen", asleep)
    monkeypatch.setattr(gpu_stage, "LEAST_SECONDS", 1)
    began = time.monotonic()
    outcome = run_apart("train", device="cpu", smoke=False, deadline=began + 3)
    assert outcome.verdict == "too slow"
    assert [row.what for row in outcome.rows] == ["early"]
    assert time.monotonic() - began < 60


def test_make_gpu_takes_the_python_it_is_given_and_installs_nothing():
    command = ["make", "-n", "gpu", "PYTHON=/some/python", "GPU=--stages train"]
    # Below another make, this one would tell its folder and heed that one's options.
    alone = {
        k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))
    }
    said = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, env=alone
    )
    assert said.stdout.split() == [
        "/some/python",
        "benchmarks/gpu.py",
        "--stages",
        "train",
    ]


@pytest.mark.parametrize(("gigabytes", "smaller"), [(80, False), (4, True)])
def test_small_card_gets_less_work(monkeypatch, gigabytes, smaller):
    free = int(gigabytes * 1e9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    card = torch.device("cuda", 0)
    batch = gpu_floors.fitting_batch(1024, "simsiam2d3d", card)
    assert (batch < 1024) == smaller
    needed = activation_bytes(18, batch=batch, views=2, box=gpu_floors.BOX)
    assert needed / 2 < free
    assert (gpu_search.fitting_shape(card) != gpu_search.FULL) == smaller


def test_slow_card_gets_as_much_as_its_time_allows():
    assert gpu_floors.fitting_count(0.5, 5, 4, 100) == 10
    assert gpu_floors.fitting_count(60, 5, 4, 100) == 4
    assert gpu_floors.fitting_count(0.001, 5, 4, 100) == 100


def test_no_stage_begins_when_the_time_is_spent():
    outcome = run_apart("train", device="cpu", smoke=True, deadline=time.monotonic())
    assert outcome == Outcome("no time left")


def test_stand_ins_come_only_where_the_packages_are_missing(monkeypatch):
    import psutil

    monkeypatch.setitem(sys.modules, "tqdm", None)  # importing it fails
    stand_ins.install()
    from tqdm import tqdm

    assert tqdm is stand_ins.Bar
    assert list(tqdm([1, 2], desc="bar")) == [1, 2]
    assert not tqdm(total=3).update()
    assert sys.modules["psutil"] is psutil
    assert stand_ins.virtual_memory().available > 0
