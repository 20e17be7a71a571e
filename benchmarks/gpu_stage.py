"""One stage of the run on a GPU: a process of its own that leaves rows behind.

A process for each, because an error of CUDA spoils all that follows in its process,
and because memory that one stage holds would falsify the next.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# What a stage may take [s], and where it is: a function of (device, smoke) that
# yields rows. In the order of what one wants to know first.
LIMITS = {
    "machine": 60,
    "tests": 170,
    "candidates": 90,
    "train": 130,
    "embed": 60,
    "loader": 60,
    "batches": 80,
    "quality": 130,
    "network": 60,
    "compile": 120,
}
PLACES = {
    "machine": "benchmarks.gpu_machine",
    "tests": "benchmarks.gpu_tests",
    "candidates": "benchmarks.gpu_search",
    "network": "benchmarks.gpu_network",
    "compile": "benchmarks.gpu_network",
    "quality": "benchmarks.gpu_quality",
}
SPEED = "benchmarks.gpu_speed"
LEAST_SECONDS = 15  # with less left a stage is not begun


@dataclass
class Row:
    """A line of the report.

    Attributes
    ----------
    what : str
    ours, floor : str
        Formatted, with units.
    ratio : float or None
    goal : str
    met : bool or None
        None where nothing is aimed at.
    memory : float or None
        Peak memory of the GPU since the row before [bytes].
    detail : str
        Text of several lines, such as the traceback of a failure.
    """

    what: str
    ours: str = ""
    floor: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    memory: float | None = None
    detail: str = ""

    @classmethod
    def least(cls, what, ours, floor, ratio, goal):
        """Return the row of a ratio that should be at least `goal`."""
        return cls(what, ours, floor, ratio, f"at least {goal:g}", ratio >= goal)


@dataclass
class Outcome:
    """What became of a stage.

    Attributes
    ----------
    verdict : {"done", "failed", "too slow", "interrupted", "no time left"}
    rows : list of Row
        All that were there when it ended.
    seconds : float
    error : str
        End of what it printed, where it failed.
    """

    verdict: str
    rows: list = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""


def run_here(name, device, smoke, result):
    """Run a stage in this process; append each row to `result` as a line of JSON."""
    from benchmarks import stand_ins

    stand_ins.install()
    import torch

    from lib.system.runtime import choose_device

    device = choose_device("0" if device == "cuda" else "-1")
    stage = getattr(importlib.import_module(PLACES.get(name, SPEED)), name)
    rows = stage(device, smoke)
    on_gpu = device.type == "cuda"
    while True:
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        row = next(rows, None)
        if row is None:
            return
        if on_gpu:
            row.memory = torch.cuda.max_memory_allocated() or None
        if smoke and row.ratio is not None:  # nothing is aimed at with so little work
            row.goal, row.met = "", None
        with result.open("a") as stream:
            stream.write(json.dumps(asdict(row)) + "\n")


def run_apart(name, *, device, smoke, deadline):
    """Run a stage as a process; return its `Outcome`, whatever befalls it.

    Parameters
    ----------
    name : str
        Key of `LIMITS`.
    device : {"cuda", "cpu"}
    smoke : bool
    deadline : float
        Of `time.monotonic`: when all stages should be over.
    """
    began = time.monotonic()
    limit = min(LIMITS[name], deadline - began)
    if limit < LEAST_SECONDS:
        return Outcome("no time left")
    with tempfile.TemporaryDirectory() as folder:
        result, said = Path(folder) / "rows.jsonl", Path(folder) / "said.txt"
        command = [sys.executable, str(PROJECT / "benchmarks" / "gpu.py")]
        command += ["--stage", name, "--device", device, "--result", str(result)]
        with said.open("wb") as stream:
            start = partial(
                subprocess.Popen,
                [*command, *(["--smoke"] if smoke else [])],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment(smoke)},
                start_new_session=True,  # so that its children end with it
            )
            verdict = _run(start, limit)
        lines = result.read_text().splitlines() if result.exists() else []
        rows = [Row(**json.loads(line)) for line in lines]
        text = said.read_text(errors="replace") if verdict != "done" else ""
    error = "\n".join(text.strip().splitlines()[-40:])
    return Outcome(verdict, rows, time.monotonic() - began, error)


def environment(smoke):
    """Return what a stage's environment has beyond ours."""
    more = {"PYTHONWARNINGS": "default", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if smoke:
        more["TORCHDYNAMO_DISABLE"] = "1"  # compiling takes minutes
    return more


def _run(start, limit):
    """Start a process, wait for it, and return the verdict; it does not stay."""
    process = None
    try:
        with _signals_held():
            process = start()
        code = process.wait(timeout=max(limit, 1))
    except subprocess.TimeoutExpired:
        return "too slow"
    except KeyboardInterrupt:
        return "interrupted"
    finally:
        if process is not None:
            _end(process)
    return "failed" if code else "done"


@contextmanager
def _signals_held():
    """Deliver SIGTERM and Ctrl-C at the end of the block.

    Popen waits for the new process to start; interrupted there, it would leave a
    process that nobody knows.
    """
    came = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def _end(process):
    """End a process and its children, at once: they hold the GPU."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
