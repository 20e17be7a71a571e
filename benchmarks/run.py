"""Speed and memory, each beside a floor measured in the same run.

    python benchmarks/run.py                       # every stage, on the CPU
    python benchmarks/run.py train embed --device cuda

Prints a table: stage, size, ours, floor, ratio, goal of the ratio, peak memory; then
the machine with the instruction sets of its processor. A ratio holds on a noisy
machine, a time does not: quote ratios.
"""

import argparse
import platform
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peak_memory import PeakMemory
from benchmarks.stages import GOALS, STAGES


def main():
    """Run the stages of the command line and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("stage", nargs="*", help=f"of {', '.join(STAGES)} (default: all)")
    add("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add("--small", action="store_true", help="an eighth of the size: does it run?")
    options = parser.parse_args()
    unknown = sorted(set(options.stage) - set(STAGES))
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)}")
    rows = []
    for name in options.stage or STAGES:
        with PeakMemory() as memory:
            for row in STAGES[name](options.device, options.small):
                rows.append((name, *row, GOALS[name], f"{memory.peak / 1e9:.2f} GB"))
                print(" | ".join(map(str, rows[-1])), flush=True)
    print_table(rows)
    print(f"\n{date.today()}, {machine(options.device)}, `{' '.join(sys.argv)}`")


def print_table(rows):
    """Print the rows as a markdown table."""
    header = ("stage", "size", "ours", "floor", "ratio", "goal", "peak of memory")
    print("\n| " + " | ".join(header) + " |\n|" + ":--|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def machine(device):
    """Say on what this ran."""
    import torch

    from lib.system.doctor import processor
    from lib.system.machine import usable_cores

    known = dict(processor())
    cores = f"{usable_cores()} cores {known['model']} ({known['features']})"
    if device == "cuda":
        cores += f", {torch.cuda.get_device_name()}"
    return f"{cores}, Python {platform.python_version()}, torch {torch.__version__}"


if __name__ == "__main__":
    main()
