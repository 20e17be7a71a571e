"""What the stages of the speed benchmark share: a clock, made-up data, commands."""

import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BOX = 36


def seconds(work):
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def wait(device):
    """Wait for the GPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


def told(shape):
    """Return x, y, z of a (Z, Y, X) shape in words."""
    return "x".join(map(str, shape[::-1]))


def synthetic(folder, count, size):
    """Write synthetic tomograms; return their image list."""
    make = [sys.executable, PROJECT / "sample_data" / "make_synthetic.py"]
    make += ["--out", folder, "--tomograms", str(count), "--size", *map(str, size)]
    subprocess.run(make, check=True, capture_output=True)
    return Path(folder) / "image_list.txt"


def quiet(command):
    """Run a command; raise where it fails."""
    subprocess.run(command, check=True, capture_output=True)
