"""A table to show, and a session running on it, for the tests of the session."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image

from lib.artifacts import ExperimentDir, InteractiveTable, write_fingerprint
from tests.records import make_record
from tests.scripts import PROJECT

SCRIPT = PROJECT / "phoenix_visualization.py"
READY = re.compile(r"open\s+(http://localhost:(\d+)/\S*)")


def make_table(rows=12, clusters=3, dim=16, seed=0, **changed):
    """Return a table of well-separated clusters."""
    rng = np.random.default_rng(seed)
    label = np.arange(rows) % clusters
    centers = rng.normal(size=(clusters, dim)) * 2
    columns = {
        "name": np.array([f"tomo{1 + row % 2}" for row in range(rows)]),
        "coord": rng.integers(0, 400, (rows, 3)),
        "embeddings": (centers[label] + rng.normal(size=(rows, dim)) / 3).astype("f4"),
        "label": label,
        "image": np.array([f"http://localhost:7000/imgs/{r}.png" for r in range(rows)]),
        "record": make_record(
            {
                "tomo1": {"shape": [200, 400, 500], "voxel_size": 10.0},
                "tomo2": {"shape": [200, 400, 500], "voxel_size": 10.0},
            },
            compress=False,
        ),
    }
    return InteractiveTable(**{**columns, **changed})


def write_run(folder, table, pictures=True):
    """Write what plot_2d.py leaves for the session; return the table's path."""
    run = ExperimentDir(folder)
    table.save(run.interactive_table)
    if pictures:
        run.patch_pictures.mkdir()
        for row, label in enumerate(table.label.tolist()):
            write_ring(run.patch_pictures / f"{row}.png", radius=3 + label, seed=row)
        write_fingerprint(
            run.picture_record, fingerprint=table.fingerprint, rows=len(table)
        )
    return run.interactive_table


def write_ring(path, radius, seed, box=36):
    """Write a noisy picture of a dark ring."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:box, :box] - (box - 1) / 2
    dark = 90 * np.exp(-((np.hypot(x, y) - radius) ** 2) / 6)
    gray = 140 + 18 * rng.normal(size=(box, box)) - dark
    Image.fromarray(gray.clip(0, 255).astype(np.uint8)).save(path)


class Running:
    """A session in a process of its own.

    Use as a context manager; on leaving it is told to stop as Ctrl-C does.
    """

    def __init__(self, *arguments, cwd, **environment):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(SCRIPT), *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(cwd), **environment},
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "stop        Ctrl-C" in line:
                self._ready.set()
        self._ready.set()

    def wait_ready(self, seconds=600):
        """Return the link to the page once it answers, and take its cookie."""
        assert self._ready.wait(seconds), self.text
        found = READY.search(self.text)
        assert found, self.text
        link, self.port = found.group(1), int(found.group(2))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", link.removeprefix(f"http://localhost:{self.port}"))
        self.cookie = connection.getresponse().getheader("set-cookie").split(";")[0]
        connection.close()
        return link

    def ask(self, path, body=None):
        """Return (status, body) of a GET, or of a POST of json, with the cookie."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = {"cookie": self.cookie, "content-type": "application/json"}
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def open_phoenix(self, seconds=600):
        """Ask for Phoenix's page until it is there."""
        end = time.monotonic() + seconds
        while (found := self.ask("/phoenix"))[0] != 303:
            assert found[0] == 200 and time.monotonic() < end, found
            time.sleep(0.2)

    @property
    def text(self):
        return "".join(self.lines)

    def stop(self, number=signal.SIGINT, seconds=300):
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
