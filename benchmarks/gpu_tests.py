"""The tests marked ``gpu``, on the GPU: a row for each."""

import os
import queue
import sys
import threading

from benchmarks.gpu_stage import PROJECT, Row

FILES = ("test_gpu.py", "test_gpu_training.py")
IN_SMOKE = "resident or augmentation"  # the rest runs on the CPU in ``make test``


def tests(device, smoke):
    """Yield the result of every test, each as soon as it is known."""
    import pytest

    os.environ["TEST_DEVICE"] = device.type  # see tests/conftest.py
    sys.path.insert(0, str(PROJECT / "tests"))  # for the ranks that tests start
    arguments = [*(str(PROJECT / "tests" / name) for name in FILES), "-m", "gpu"]
    arguments += ["--rootdir", str(PROJECT), "-c", str(PROJECT / "pyproject.toml")]
    # A warning of a version that we do not pin is no fault.
    arguments += ["-o", "filterwarnings=", "-p", "no:cacheprovider"]
    if smoke:
        arguments += ["-k", IN_SMOKE]
    results = Results()

    def run():
        try:
            results.rows.put(int(pytest.main(arguments, plugins=[results])))
        except BaseException as error:
            results.rows.put(error)
            raise

    # In a thread, so that a test that never ends leaves those before it.
    threading.Thread(target=run, daemon=True).start()
    while isinstance(row := results.rows.get(), Row):
        yield row
    if row not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest did not run: {row!r}")


class Results:
    """A plugin of pytest that turns what it reports into rows."""

    def __init__(self):
        self.rows = queue.Queue()

    def pytest_runtest_logreport(self, report):
        """Take in a test's end, or what went wrong before or after it."""
        if report.when != "call" and report.outcome == "passed":
            return
        name = report.nodeid.split("::")[-1].removeprefix("test_").replace("_", " ")
        ours, detail = f"{report.outcome}, {report.duration:.1f} s", ""
        if report.outcome == "skipped":
            *_, reason = report.longrepr
            ours = f"skipped ({reason.removeprefix('Skipped: ')})"
        elif report.outcome == "failed":
            detail = "\n".join(report.longreprtext.splitlines()[-25:])
        met = {"passed": True, "failed": False}.get(report.outcome)
        self.rows.put(Row(name, ours, met=met, detail=detail))
