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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gpu_report import Report
from benchmarks.gpu_stage import LIMITS, run_apart, run_here
from lib.errors import ResourceError, run_script

OLDEST = (2, 8)  # torch
ALL_SECONDS = 580  # of all stages together


def main():
    """Run the stages and keep their report."""
    options = _options()
    if options.stage:  # one of the processes that this one starts
        run_here(options.stage, options.device, options.smoke, options.result)
        return
    require_torch(options.device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = [name for name in LIMITS if name in (options.stages or LIMITS)]
    names = ["machine", *(name for name in names if name != "machine")]
    command = f"python benchmarks/gpu.py {' '.join(sys.argv[1:])}".strip()
    report = Report(options.output, command, names)
    deadline = time.monotonic() + ALL_SECONDS
    for name in names:
        print(f"{name} ...", end="", flush=True)
        outcome = run_apart(
            name,
            device=options.device,
            smoke=options.smoke,
            deadline=deadline,
        )
        report.add(name, outcome)
        print(f" {outcome.verdict}, {outcome.seconds:.0f} s", flush=True)
    print(f"report: {options.output}")
    sys.exit(1 if report.failed else 0)


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--stages",
        nargs="+",
        choices=tuple(LIMITS),
        metavar="STAGE",
        help=f"of {', '.join(LIMITS)} (default: all)",
    )
    add("--output", type=Path, default=Path("gpu_report.md"), help="(%(default)s)")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: does it run?")
    add("--smoke", action="store_true", help="the least of everything: does it run?")
    add("--stage", help=argparse.SUPPRESS)
    add("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def require_torch(device):
    """Refuse a Python that cannot do it, in one line."""
    advice = "name another Python: make gpu PYTHON=/path/to/python"
    try:
        import torch
    except ImportError as error:
        raise ResourceError(
            f"{sys.executable} has no torch ({error}); {advice}"
        ) from error
    version = torch.__version__
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ResourceError(
            f"{sys.executable} has torch {version}, and {oldest} or later is needed; "
            f"{advice}"
        )
    if device == "cuda" and not torch.cuda.is_available():
        built = "is not built for CUDA" if not torch.version.cuda else "sees no GPU"
        raise ResourceError(
            f"torch {version} of {sys.executable} {built}; {advice}, on a machine with "
            "a GPU"
        )


if __name__ == "__main__":
    run_script(main)
