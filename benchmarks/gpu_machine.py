"""On what a run on a GPU ran: card, driver, versions."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

from benchmarks.gpu_stage import PROJECT, Row

PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "mrcfile", "pytest", "triton")


def machine(device, _smoke):
    """Yield what a reader must know to compare."""
    import torch

    yield Row("system", platform.platform())
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    yield Row("cores and memory", f"{cores} {platform.machine()}, {memory:.0f} GiB")
    if device.type == "cuda":
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            yield Row(
                f"GPU {number}",
                f"{card.name}, {card.total_memory / 2**30:.0f} GiB, compute capability "
                f"{card.major}.{card.minor}, {card.multi_processor_count} "
                "multiprocessors",
            )
        yield Row("driver", _said("nvidia-smi", "--query-gpu=driver_version"))
        yield Row("CUDA and cuDNN", f"{torch.version.cuda}, {_cudnn(torch)}")
        yield Row("NCCL", _nccl(torch))
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        yield Row("bf16 in hardware", "yes" if bf16 else "no: float32 everywhere")
    else:
        yield Row("GPU", "none: a run on the CPU shows that it runs, and no figure")
    yield Row("Python and torch", f"{platform.python_version()}, {torch.__version__}")
    yield Row("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    yield Row(
        "commit", _said("git", "-C", str(PROJECT), "rev-parse", "--short", "HEAD")
    )


def _said(program, *arguments):
    """Return the first line of what a program says."""
    if shutil.which(program) is None:
        return f"no {program}"
    if program == "nvidia-smi":
        arguments = (*arguments, "--format=csv,noheader")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True)
    lines = ran.stdout.strip().splitlines()
    return lines[0] if lines and ran.returncode == 0 else f"{program} does not say"


def _cudnn(torch):
    return f"cuDNN {torch.backends.cudnn.version()}"


def _nccl(torch):
    if not (torch.distributed.is_available() and torch.distributed.is_nccl_available()):
        return "none"
    return ".".join(map(str, torch.cuda.nccl.version()))


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
