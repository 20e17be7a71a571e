"""bf16 against float32 on this processor: training step and embedding.

    python benchmarks/precision.py

oneDNN is told to leave instruction sets unused (``ONEDNN_MAX_CPU_ISA``), so that one
processor stands in for older ones. Times are of the processor, on one thread, the
two precisions in turn: the ratio holds on a busy machine.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
LIMITS = ("ALL", "AVX512_CORE_BF16", "AVX512_CORE", "AVX2")
BOX = 36


def main():
    """Measure every limit in a process of its own and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=48, help="candidates in a batch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="only this process's limit")
    options = parser.parse_args()
    if options.here:
        measure(options.pairs, options.repeats)
        return
    print(f"box {BOX}, {options.pairs} pairs, one thread, channels last")
    print(
        "| instructions | what | float32 | bf16 | float32 / bf16 |\n" + "|:--" * 5 + "|"
    )
    for limit in LIMITS:
        command = [sys.executable, __file__, "--here", f"--pairs={options.pairs}"]
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
        command.append(f"--repeats={options.repeats}")
        subprocess.run(command, env=environment, check=True)


def measure(pairs, repeats):
    """Print a row for the training step and one for the embedding."""
    import torch

    from lib.system.runtime import autocast
    from lib.training.losses import training_loss
    from lib.training.models import build_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    model = build_model("simsiam2d_18", mode="simsiam3d")
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    views = torch.randn(pairs, 1, BOX, BOX)

    def step(precision):
        model.train()
        with autocast(cpu, precision):
            outputs = model(views, views)
        loss, _ = training_loss(
            *outputs, loss="nt_xent", temperature=0.2, simsiam_weight=0.1
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def embed(precision):
        model.eval()
        with torch.no_grad(), autocast(cpu, precision):
            model.encode(views)

    for what in (step, embed):
        times = np.empty((repeats + 1, 2))
        for repeat in range(repeats + 1):
            for column, precision in enumerate(("fp32", "bf16")):
                began = time.process_time()
                what(precision)
                times[repeat, column] = time.process_time() - began
        full, half = np.median(times[1:], axis=0)  # the first call prepares
        ratio = np.median(times[1:, 0] / times[1:, 1])
        limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL")
        row = (limit, what.__name__, f"{full:.2f} s", f"{half:.2f} s", f"{ratio:.2f}")
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
