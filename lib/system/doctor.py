"""All about this machine that a bug report needs: ``make doctor``.

It never prints an environment variable that could hold a secret, and goes on where a
library does not load.
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
from lib.system.launched import find_launch
from lib.system.preflight import look_at_folder, look_at_process
from lib.system.streams import make_streams_safe

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "umap-learn")
PACKAGES += ("numba", "matplotlib", "pillow", "mrcfile", "pandas", "pyarrow")
PACKAGES += ("arize-phoenix", "starlette", "uvicorn")
# What decides how a run goes; a value is a number, a path or a name, never a key.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
VARIABLES += ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK")
VARIABLES += ("WORLD_SIZE", "MPLBACKEND", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
VARIABLES += ("NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "OMP_NUM_THREADS")
VARIABLES += ("MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "PYTHONIOENCODING", "PYTHONPATH")
VARIABLES += ("PYTHONUTF8", "PYTHONWARNINGS", "TERM", "TMPDIR", "XDG_CACHE_HOME")
VARIABLES += ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE", "TZ")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16")


def main():
    """Print everything, in parts."""
    make_streams_safe()
    for title, part in (
        ("versions", versions),
        ("processor", processor),
        ("GPU", gpus),
        ("limits", limits),
        ("folders", folders),
        ("terminal", terminal),
        ("environment", environment),
    ):
        print(f"\n{title}")
        for name, said in part():
            print(f"  {name:<20} {said}")


def versions():
    """Yield this project, Python, the system and each package."""
    yield "this project", f"{__version__} in {PROJECT}"
    yield "python", f"{platform.python_version()} of {sys.prefix}"
    yield "system", f"{platform.platform()}, {' '.join(platform.libc_ver())}"
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed: make env"
    torch, reason = _loaded("torch")
    yield "torch loads", reason or f"yes, built for CUDA {torch.version.cuda}"


def processor():
    """Yield its name, and what of it makes the network fast."""
    names = {"model name": "model", "flags": "flags", "Features": "flags"}
    found = {}
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(names.get(key.strip()), value.strip())
    yield "model", found.get("model", platform.processor() or platform.machine())
    flags = set(found.get("flags", "").split())
    yield "features", ", ".join(f for f in FEATURES if f in flags) or "not known"
    torch, _ = _loaded("torch")
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
    """Yield each GPU and the driver, as the driver and as torch see them."""
    asked = "--query-gpu=name,driver_version,memory.total,memory.used"
    command = [shutil.which("nvidia-smi"), asked, "--format=csv,noheader"]
    lines = _output(command) if command[0] else "no nvidia-smi"
    for line in lines.splitlines():
        yield "driver", line
    torch, reason = _loaded("torch")
    if torch is None:
        yield "torch", reason
    else:
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        yield "torch", f"{seen} to be used"


def limits():
    """Yield what this process may take, with what to do where it is too little."""
    for finding in look_at_process():
        yield finding.what, _told(finding)
    launch = find_launch()
    yield "ranks", f"{launch.world}" if launch.world > 1 else "this process alone"


def folders():
    """Yield what can be done in the folders that are read and written."""
    exp = PROJECT / "exp"
    for folder in (exp, exp / ".patches", PROJECT / "data", Path("/dev/shm")):
        finding = look_at_folder(folder, "an option", maps=True)
        yield str(folder), f"{_told(finding)} ({_file_system(folder)})"


def terminal():
    """Yield how what is printed reaches the user."""
    yield "locale", ".".join(filter(None, locale.getlocale())) or "C"
    yield "file names", sys.getfilesystemencoding()
    yield "output", f"{sys.stdout.encoding}, terminal: {sys.stdout.isatty()}"


def environment():
    """Yield the variables that decide how a run goes, where they are set."""
    for name in VARIABLES:
        if name in os.environ:
            yield name, os.environ[name]


def _told(finding):
    said = finding.said or "fine"
    return said if finding.ok else f"{said}; {finding.remedy}"


def _loaded(module):
    """Return a module, or None and why it does not load."""
    try:
        return import_module(module), ""
    except Exception as error:  # noqa: BLE001 - whatever a broken installation does
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return None, f"does not load: {reason}"


def _file_system(folder):
    """Return the type of the file system that a folder is, or would be, on."""
    place = folder.absolute()
    best, kind = "", "type not known"
    for line in _read("/proc/self/mounts").splitlines():
        _, mounted, found, *_ = line.split()
        if place.is_relative_to(mounted) and len(mounted) >= len(best):
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
