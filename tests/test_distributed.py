"""Two gloo ranks on the CPU against one process with the same global batch."""

import json
import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lib.training.compute import RankBatchNorm, gather_rows
from tests.data_sets import write_data_set
from tests.scripts import PROJECT, call

# With this --dog_boundary there is an even number of candidates: no rank leaves one
# out, so that both see the same batches.
OPTIONS = [
    *("--num_epochs", "2", "--bbox", "8", "--dog", "1.5,3", "--order", "zxy"),
    *("--dog_boundary", "6", "--dog_diameter", "8", "--batch_size", "64"),
    *("--gpus", "-1", "--precision", "fp32"),  # bf16 rounds away what is compared
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start_ranks_of(script, *arguments, ranks):
    """Run a script as several ranks, as torchrun starts them, or alone.

    Returns what each exits with, and what it says.
    """
    port = free_port()
    processes = []
    for rank in range(ranks):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        if ranks > 1:
            env |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(ranks),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
        processes.append(
            subprocess.Popen(
                [sys.executable, PROJECT / script, *map(str, arguments)],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=1800)[0] for process in processes]
    codes = [process.returncode for process in processes]
    return list(zip(codes, outputs, strict=True))


def run(script, *arguments, ranks=1):
    """Run a script that ends well; return what each rank says."""
    if ranks == 1:
        return [call(script, *arguments, cwd=PROJECT).stdout]
    ended = start_ranks_of(script, *arguments, ranks=ranks)
    assert [code for code, _ in ended] == [0] * ranks, ended
    return [said for _, said in ended]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    listed = write_data_set(folder / "data")
    outputs = {}
    for ranks in (1, 2):
        common = ["--exp_id", "t", "--exp_dir", folder / str(ranks)]
        outputs[ranks] = run(
            "simsiam_main.py",
            "simsiam3d",
            *common,
            "--train_img_txt",
            listed,
            *OPTIONS,
            ranks=ranks,
        )
        run(
            "simsiam_test_hm_3d.py",
            "simsiam3d",
            *common,
            "--test_img_txt",
            listed,
            "--gpus",
            "-1",
            "--batch_size",
            "8",
            "--load_model",
            folder / "1" / "simsiam3d" / "t" / "model_last.pth",
            ranks=ranks,
        )
    return {n: folder / str(n) / "simsiam3d" / "t" for n in (1, 2)}, outputs


def losses(experiment):
    lines = (experiment / "log.txt").read_text().splitlines()
    return [float(line.split("| loss ")[1].split(" ")[0]) for line in lines]


def test_two_ranks_have_the_loss_curve_of_one(experiments):
    folders, _ = experiments
    assert losses(folders[2]) == pytest.approx(losses(folders[1]), abs=1e-3)


def test_two_ranks_write_identical_rows(experiments):
    folders, _ = experiments
    tables = [np.load(folders[n] / "all_output_info.npz") for n in (1, 2)]
    for key in ("name", "coords", "pred", "proj", "subvol"):
        np.testing.assert_array_equal(tables[0][key], tables[1][key])


def test_only_the_main_rank_speaks(experiments):
    _, outputs = experiments
    assert "candidates" in outputs[2][0]
    assert "candidates" not in outputs[2][1]


def test_rank_batch_norm_is_pytorchs_when_alone(monkeypatch):
    monkeypatch.setattr("lib.training.compute.sum_over_ranks", lambda sums: sums)
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(5)
    nn.init.normal_(plain.weight)
    ours = RankBatchNorm(nn.BatchNorm2d(5))
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(8, 5, 4, 4)
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(ours.running_var, plain.running_var)
    torch.testing.assert_close(ours.eval()(x), plain.eval()(x))


def test_rows_are_their_own_when_alone():
    rows = torch.randn(3, 2)
    assert gather_rows(rows) is rows


def test_checkpoint_of_two_ranks_has_the_names_of_one(experiments):
    folders, _ = experiments
    names = [
        sorted(
            torch.load(folders[n] / "model_last.pth", weights_only=True)["state_dict"]
        )
        for n in (1, 2)
    ]
    assert names[0] == names[1], json.dumps(names)


WAITING = """
import os, sys, time
from datetime import timedelta
import torch
import torch.distributed as dist
from lib.system.ranks import init_distributed, end_distributed

ranks = init_distributed(timedelta(seconds=2) if "short" in sys.argv else None)
if "defaults" in sys.argv:
    group = dist.group.WORLD._get_backend(torch.device("cpu"))
    print("collectives", group.options._timeout.total_seconds())
    backend = ranks.slow_group._get_backend(torch.device("cpu"))
    print("barrier", backend.options._timeout)
if "slow" in sys.argv and not ranks.is_main:
    time.sleep(5)
if "dies" in sys.argv and not ranks.is_main:
    time.sleep(1)
    os._exit(3)
if "collective" in sys.argv:
    ranks.mean(torch.ones(1, dtype=torch.float64))
else:
    ranks.barrier()
print("together")
end_distributed(ranks)
"""


def wait_as(tmp_path, *words):
    """Run two ranks that do as the words say; return what each exits with and says."""
    script = tmp_path / "waiting.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n{WAITING}")
    return start_ranks_of(script, *words, ranks=2)


def test_uneven_work_is_waited_for_longer_than_a_collective_may_take(tmp_path):
    assert [code for code, _ in wait_as(tmp_path, "short", "slow")] == [0, 0]


def test_collective_that_hangs_ends_the_run_in_minutes(tmp_path):
    (code, said), _ = wait_as(tmp_path, "short", "slow", "collective")
    assert code != 0
    assert "together" not in said
    (_, said), _ = wait_as(tmp_path, "defaults")
    assert 60 <= float(re.search(r"collectives (\S+)", said)[1]) <= 3600
    assert re.search(r"barrier \d+ days", said)


def test_rank_that_dies_ends_the_wait_for_it(tmp_path):
    (code, said), (died, _) = wait_as(tmp_path, "dies")
    assert died == 3
    assert code not in (0, 3)
    assert "together" not in said
