"""Small training runs as processes of their own, for the tests of what befalls them."""

import os
import signal
import subprocess
import sys

from tests.scripts import PROJECT

PATCHES = "--bbox 8 --dog 1.5,3 --order zxy --dog_boundary 6 --dog_diameter 8"


def train_command(listed, exp_dir, *more, epochs):
    """Return the command of a small training run that keeps every epoch."""
    options = (
        f"simsiam3d --num_epochs {epochs} {PATCHES} --val_intervals 1 --save_all "
        "--pretrained_model none --gpus -1 --batch_size 16 --num_workers 0"
    ).split()
    files = ["--train_img_txt", str(listed), "--exp_dir", str(exp_dir)]
    return [PROJECT / "simsiam_main.py", *options, *more, *files]


def embed_command(listed, exp_dir, *more):
    """Return the command that embeds by the newest model of a small run."""
    files = ["--test_img_txt", str(listed), "--exp_dir", str(exp_dir)]
    files += ["--load_model", str(folder_of(exp_dir) / "model_last.pth")]
    options = [*PATCHES.split(), "--gpus", "-1"]
    return [PROJECT / "simsiam_test_hm_3d.py", "simsiam3d", *options, *more, *files]


def folder_of(exp_dir):
    """Return the experiment of a small run."""
    return exp_dir / "simsiam3d" / "default"


def start_command(command, **more):
    """Start a command of the project on one thread."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heed_interrupts,
        **more,
    )


def _heed_interrupts():
    """Undo what a shell does to its background jobs, should the tests be in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process, code=0):
    """Wait for a run; return what it said."""
    said, _ = process.communicate(timeout=1800)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said
