"""Speed and memory, each beside a floor measured in the same run.

    python benchmarks/run.py                       # every stage, on the CPU
    python benchmarks/run.py train embed --device cuda

Prints a table: stage, size, ours, floor, ratio, peak memory; then the machine. A
ratio holds on a noisy machine, a time does not: quote ratios.
"""

import argparse
import os
import platform
import sys
import threading
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stages import STAGES


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
                rows.append((name, *row, f"{memory.peak / 1e9:.2f} GB"))
                print(" | ".join(map(str, rows[-1])), flush=True)
    print_table(rows)
    print(f"\n{date.today()}, {machine(options.device)}, `{' '.join(sys.argv)}`")


def print_table(rows):
    """Print the rows as a markdown table."""
    header = ("stage", "size", "ours", "floor", "ratio", "peak anonymous memory")
    print("\n| " + " | ".join(header) + " |\n|" + ":--|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def machine(device):
    """Say on what this ran."""
    import torch

    cores = f"{len(os.sched_getaffinity(0))} cores {platform.machine()}"
    if device == "cuda":
        cores += f", {torch.cuda.get_device_name()}"
    return f"{cores}, Python {platform.python_version()}, torch {torch.__version__}"


class PeakMemory:
    """The largest anonymous memory of this process and its children in a block."""

    def __enter__(self):
        """Start to watch."""
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.is_set():
            self.peak = max(self.peak, anonymous_memory(os.getpid()))
            time.sleep(0.1)


def anonymous_memory(pid):
    """Return the anonymous memory of a process and its children [bytes]."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = next(
        int(line.split()[1]) for line in rollup.splitlines() if "Anonymous" in line
    )
    return 1024 * own + sum(anonymous_memory(int(child)) for child in children)


if __name__ == "__main__":
    main()
