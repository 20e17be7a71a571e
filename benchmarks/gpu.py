"""What a GPU does with this project: its tests, speed and quality, in one file.

    make gpu                                    # with python3, into gpu_report.md
    make gpu PYTHON=/path/to/python GPU="--output h100.md"
    python benchmarks/gpu.py --stages train embed

Needs a torch built for CUDA (2.8 or later), numpy, scipy, pandas, scikit-learn,
mrcfile and pytest; no network, no installation. Takes under ten minutes on one H100,
and less work where the card is smaller. Every stage is a process of its own, so that
one that fails leaves the others; the file is written anew after each.
"""

import argparse
import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import ResourceError, run_script

OLDEST_PYTHON, OLDEST_TORCH = (3, 10), (2, 8)
NEEDED = ("torch", "numpy", "scipy", "pandas", "sklearn", "mrcfile", "pytest")
ALL_SECONDS = 580  # of all stages together


def main():
    """Run the stages and keep their report."""
    require_packages()
    from benchmarks.gpu_report import Report
    from benchmarks.gpu_stage import LIMITS, run_apart, run_here

    options = _options(LIMITS)
    if options.stage:  # one of the processes that this one starts
        run_here(options.stage, options.device, options.smoke, options.result)
        return
    require_torch(options.device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = options.stages or LIMITS
    names = ["machine", *(n for n in LIMITS if n in wanted and n != "machine")]
    command = f"python benchmarks/gpu.py {' '.join(sys.argv[1:])}".strip()
    report = Report(options.output, command, names)
    # A smoke run has time: the machines that tests run on are busy.
    deadline = time.monotonic() + (3 if options.smoke else 1) * ALL_SECONDS
    for name in names:
        print(f"{name} ...", end="", flush=True)
        outcome = run_apart(
            name, device=options.device, smoke=options.smoke, deadline=deadline
        )
        report.add(name, outcome)
        print(f" {outcome.verdict}, {outcome.seconds:.0f} s", flush=True)
    print(f"report: {options.output}")
    sys.exit(1 if report.failed else 0)


def _options(stages):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--stages",
        nargs="+",
        choices=tuple(stages),
        metavar="STAGE",
        help=f"of {', '.join(stages)} (default: all)",
    )
    add("--output", type=Path, default=Path("gpu_report.md"), help="(%(default)s)")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: does it run?")
    add("--smoke", action="store_true", help="the least of everything: does it run?")
    add("--stage", help=argparse.SUPPRESS)
    add("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def require_packages():
    """Reject a Python that is too old or lacks what is needed, in one line."""
    if sys.version_info < OLDEST_PYTHON:
        oldest = _dotted(OLDEST_PYTHON)
        reject(f"is {sys.version.split()[0]}, and {oldest} or later is needed")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        reject(f"has no {', '.join(missing)}")


def require_torch(device):
    """Reject a torch that is too old or sees no GPU, in one line."""
    import torch

    version = torch.__version__
    if tuple(map(int, version.split(".")[:2])) < OLDEST_TORCH:
        reject(f"has torch {version}, and {_dotted(OLDEST_TORCH)} or later is needed")
    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        reject(f"has torch {version}, which {'sees no' if built else 'knows no'} GPU")


def reject(reason):
    """Say what is wrong with this Python, and the way out."""
    raise ResourceError(
        f"{sys.executable} {reason}; on a machine with a GPU, name the Python that has "
        "a torch for it: make gpu PYTHON=/path/to/python"
    )


def _dotted(version):
    return ".".join(map(str, version))


if __name__ == "__main__":
    run_script(main)
