import os
import signal
import subprocess
import sys

import pytest

from lib.artifacts import ExperimentDir
from lib.artifacts.experiment import check_folder, clear_folder, experiment_lock
from lib.errors import ArtifactError, ResourceError
from tests.scripts import PROJECT

HOLD = """
import sys, time
from lib.artifacts import ExperimentDir
from lib.artifacts.experiment import experiment_lock
with experiment_lock(ExperimentDir(__import__("pathlib").Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_writer_is_rejected_until_the_first_dies(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        error = pytest.raises(ResourceError, match=f"process {holder.pid}")
        with error, experiment_lock(ExperimentDir(tmp_path)):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with experiment_lock(ExperimentDir(tmp_path)):
        pass  # a dead process holds nothing


def test_trained_experiment_is_not_overwritten_by_accident(tmp_path):
    experiment = ExperimentDir(tmp_path)
    check_folder(experiment, overwrite=False)
    experiment.checkpoint("last").write_bytes(b"model")
    with pytest.raises(ArtifactError, match="--resume.*--overwrite.*--exp_id"):
        check_folder(experiment, overwrite=False)
    check_folder(experiment, overwrite=True)
    assert experiment.checkpoint("last").exists()


def test_clearing_removes_what_the_old_model_made_and_no_exports(tmp_path):
    experiment = ExperimentDir(tmp_path)
    old = [
        experiment.checkpoint("last"),
        experiment.checkpoint(20),
        experiment.embeddings,
        experiment.color_record,
        experiment.gray_volume("tomo1"),
        experiment.patch_pictures / "0.png",
    ]
    mine = [experiment.exports / "picked.parquet", tmp_path / "notes.md"]
    for path in (*old, *mine):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    removed = clear_folder(experiment)
    assert sorted(removed) == sorted([*(path.name for path in old[:-1]), "imgs"])
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in mine)
