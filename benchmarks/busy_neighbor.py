"""A training step beside processes that keep cores busy, with fewer threads or not.

    python benchmarks/busy_neighbor.py --busy 1

Prints the median time of a step alone and beside busy processes, with a thread for each
core and with a thread for each core that is left. The four are measured in turn.
"""

import argparse
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.run import machine
from benchmarks.stages_network import bare_step, small_trainer

PAIRS = 64


def main():
    """Measure as the command line says and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--busy", type=int, default=1, help="processes that each keep a core busy")
    add("--rounds", type=int, default=10)
    options = parser.parse_args()
    import torch

    model, trainer = small_trainer("cpu", PAIRS, mode="simsiam3d")
    step, views = bare_step(model, trainer)
    step(model, views)
    cores = torch.get_num_threads()
    counts = (cores, max(1, cores - options.busy))
    times = np.empty((options.rounds, 2, 2))
    for number in range(options.rounds):
        for beside in (0, 1):
            with busy_processes(beside * options.busy):
                for column, threads in enumerate(counts):
                    torch.set_num_threads(threads)
                    start = time.perf_counter()
                    step(model, views)
                    times[number, beside, column] = time.perf_counter() - start
    alone, beside = np.median(times, axis=0)
    print(f"| threads | alone | beside {options.busy} | beside / alone |")
    print("|:--|:--|:--|:--|")
    for column, threads in enumerate(counts):
        ratio = beside[column] / alone[0]
        print(
            f"| {threads} | {alone[column]:.2f} s | {beside[column]:.2f} s | "
            f"{ratio:.1f} of {cores} threads alone |"
        )
    print(f"\n{trainer.compute.precision}, {PAIRS} pairs; {machine('cpu')}")


@contextmanager
def busy_processes(count):
    """Keep cores busy within the block."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    time.sleep(0.2)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
