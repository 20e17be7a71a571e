"""The scripts of the project, started as a user starts them or called in place."""

import io
import os
import runpy
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

from lib.errors import warn_once
from lib.system.runtime import INTERRUPTIONS

PROJECT = Path(__file__).resolve().parents[1]


def start(script, *arguments, cwd, code=0):
    """Run a script in a process of its own and wait for it.

    Parameters
    ----------
    script : path-like
        Relative to the project.
    *arguments
        Of the command line, made text.
    cwd : Path
        The folder in which the user types the command.
    code : int
        The exit code that is expected.

    Returns
    -------
    subprocess.CompletedProcess
        With `stdout` and `stderr` as text.
    """
    command = [sys.executable, str(PROJECT / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return _expect(done, code)


def call(script, *arguments, cwd, code=0):
    """Run a script within this process, which saves the imports of a new one.

    The same as `start`, parameters and result, to whoever looks at the exit code,
    the files and what was printed. What a script changes in its process (signals,
    variables, folder) is put back.
    """
    path = str(PROJECT / script)
    out, err = io.StringIO(), io.StringIO()
    ended = 0
    argv = [path, *map(str, arguments)]
    with _own_process(cwd, argv), redirect_stdout(out), redirect_stderr(err):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stopped:
            ended = stopped.code or 0
    done = CompletedProcess(path, ended, out.getvalue(), err.getvalue())
    return _expect(done, code)


def _expect(done, code):
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def _own_process(cwd, argv):
    """Give a script what is a process's own, and take it back afterwards."""
    handlers = [signal.getsignal(number) for number in INTERRUPTIONS]
    before = Path.cwd(), sys.argv, sys.path[:], dict(os.environ)
    warn_once.cache_clear()
    os.chdir(cwd)
    sys.argv = argv
    try:
        yield
    finally:
        folder, sys.argv, sys.path[:], variables = before
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        for number, handler in zip(INTERRUPTIONS, handlers, strict=True):
            signal.signal(number, handler)
