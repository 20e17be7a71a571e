"""Print the details of this machine for a bug report: ``make doctor``.

Environment variables that could hold a secret are not printed. A library that does not
load is reported and does not end the script.
"""

import locale
import os
import platform
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib import __version__
from lib.streams import make_streams_safe
from lib.system.preflight import inspect_folder, inspect_process
from lib.system.ranks import find_launch

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "umap-learn")
PACKAGES += ("numba", "matplotlib", "pillow", "mrcfile", "pandas", "pyarrow")
PACKAGES += ("arize-phoenix", "starlette", "uvicorn")
# Variables that affect a run; their values are numbers, paths or names, never keys.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
VARIABLES += ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK")
VARIABLES += ("WORLD_SIZE", "MPLBACKEND", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
VARIABLES += ("NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "OMP_NUM_THREADS")
VARIABLES += ("MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "PYTHONIOENCODING", "PYTHONPATH")
VARIABLES += ("PYTHONUTF8", "PYTHONWARNINGS", "TERM", "TMPDIR", "XDG_CACHE_HOME")
VARIABLES += ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE", "TZ")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16")


def main():
    """Print all sections."""
    make_streams_safe()
    for title, section in (
        ("versions", versions),
        ("processor", processor),
        ("GPU", gpus),
        ("limits", limits),
        ("folders", folders),
        ("terminal", terminal),
        ("environment", environment),
    ):
        print(f"\n{title}")
        for name, text in section():
            print(f"  {name:<20} {text}")


def versions():
    """Yield the versions of this project, Python, the system and each package."""
    yield "this project", f"{__version__} in {PROJECT}"
    yield "python", f"{platform.python_version()} of {sys.prefix}"
    yield "system", f"{platform.platform()}, {' '.join(platform.libc_ver())}"
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed: make env"
    torch, reason = _import("torch")
    yield "torch loads", reason or f"yes, built for CUDA {torch.version.cuda}"


def processor():
    """Yield the name of the processor and its instruction sets."""
    names = {"model name": "model", "flags": "flags", "Features": "flags"}
    found = {}
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(names.get(key.strip()), value.strip())
    yield "model", found.get("model", platform.processor() or platform.machine())
    flags = set(found.get("flags", "").split())
    yield "features", ", ".join(f for f in FEATURES if f in flags) or "not known"
    torch, _ = _import("torch")
    if torch is not None and hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        yield (
            "used by torch",
            ", ".join(
                name
                for name, there in known.items()
                if there is True and name[0] == "a"
            ),
        )


def gpus():
    """Yield the GPUs that the driver and torch report."""
    asked = "--query-gpu=name,driver_version,memory.total,memory.used"
    command = [shutil.which("nvidia-smi"), asked, "--format=csv,noheader"]
    lines = _output(command) if command[0] else "no nvidia-smi"
    for line in lines.splitlines():
        yield "driver", line
    torch, reason = _import("torch")
    if torch is None:
        yield "torch", reason
    else:
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        yield "torch", f"{seen} to be used"


def limits():
    """Yield the limits of this process, with advice if they are too low."""
    for result in inspect_process():
        yield result.name, _format(result)
    launch = find_launch()
    yield "ranks", f"{launch.world}" if launch.world > 1 else "this process alone"


def folders():
    """Yield whether the folders of the project can be written."""
    exp = PROJECT / "exp"
    for folder in (exp, exp / ".patches", PROJECT / "data", Path("/dev/shm")):
        result = inspect_folder(folder, "an option", maps=True)
        yield str(folder), f"{_format(result)} ({_file_system(folder)})"


def terminal():
    """Yield encodings and whether the output is a terminal."""
    yield "locale", ".".join(filter(None, locale.getlocale())) or "C"
    yield "file names", sys.getfilesystemencoding()
    yield "output", f"{sys.stdout.encoding}, terminal: {sys.stdout.isatty()}"


def environment():
    """Yield the environment variables that affect a run, if set."""
    for name in VARIABLES:
        if name in os.environ:
            yield name, os.environ[name]


def _format(result):
    text = result.found or "fine"
    return text if result.ok else f"{text}; {result.remedy}"


def _import(module):
    """Return a module and "", or None and the reason why it does not load."""
    try:
        return import_module(module), ""
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return None, f"does not load: {reason}"


def _file_system(folder):
    """Return the type of the file system of a folder, which need not exist."""
    folder = folder.absolute()
    best, kind = "", "type not known"
    for line in _read("/proc/self/mounts").splitlines():
        _, mounted, found, *_ = line.split()
        if folder.is_relative_to(mounted) and len(mounted) >= len(best):
            best, kind = mounted, found
    return kind


def _output(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout + done.stderr).strip()


def _read(path):
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
