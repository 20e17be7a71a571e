"""Device, precision, signals and random seed of a run."""

import os
import random
import signal
import threading
from contextlib import contextmanager

import numpy as np

from lib.errors import Interrupted, OptionError, ResourceError
from lib.system.machine import processor_vendor, whole_number
from lib.system.ranks import ALONE

# Batch systems warn of the end of a job by one or another, a lost terminal by SIGHUP.
WARNINGS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT, *WARNINGS)
AMD = "AuthenticAMD"
# Limits of oneDNN that leave it the bf16 instructions of AVX-512.
BF16_AND_LATER = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10")


def choose_device(gpus, ranks=ALONE):
    """Return the torch device of ``--gpus``; the CPU if there is no GPU.

    Parameters
    ----------
    gpus : str
        Number of a GPU, or "-1" for the CPU. Of several numbers the first is used, or
        one for each rank of torchrun.

    Returns
    -------
    torch.device
    """
    import torch

    try:
        numbers = [int(part) for part in str(gpus).split(",")]
    except ValueError as error:
        raise OptionError(
            f"--gpus {gpus!r} is not a number, such as 0 or -1"
        ) from error
    if numbers[0] < 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if ranks.is_main:
            print("no GPU found: running on the CPU", flush=True)
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False  # float32 stays float32
    number = numbers[0]
    if ranks.world > 1:
        local = whole_number(os.environ.get("LOCAL_RANK", ""))
        local = ranks.rank if local is None else local
        number = numbers[local] if len(numbers) > local else local
    if number >= torch.cuda.device_count():
        raise OptionError(
            f"--gpus {gpus}: this machine has GPUs 0 to {torch.cuda.device_count() - 1}"
        )
    try:
        torch.cuda.set_device(number)
        torch.cuda.mem_get_info(number)  # the first call that uses the GPU
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ResourceError(
            f"--gpus {gpus}: GPU {number} cannot be used ({reason}); it may be full or "
            "held by another program: see nvidia-smi, and name another GPU or -1"
        ) from error
    return torch.device("cuda", number)


@contextmanager
def enough_memory(device, advice):
    """Raise a user error if a device runs out of memory in the block.

    Parameters
    ----------
    device : torch.device or str
    advice : str
        What needs the memory and what to do; ends the message.

    Raises
    ------
    ResourceError
        In place of torch.OutOfMemoryError.
    """
    if str(device) == "cpu":  # do not import torch if it is not needed
        yield
        return
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(f"{device} has too little memory {advice}") from error


def install_signal_handlers(ranks):
    """Let signals that end a job interrupt the run as Ctrl-C does.

    What is ignored or handled already, such as SIGHUP under nohup, stays so. Other
    ranks than the main one ignore all, so that collectives work until the main rank
    has written its checkpoints.
    """
    signal.signal(signal.SIGTERM, _terminate)
    for number in WARNINGS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)
    if not ranks.is_main:
        for number in INTERRUPTIONS:
            signal.signal(number, signal.SIG_IGN)


def _terminate(number, _frame):
    raise Interrupted(number=number)


@contextmanager
def signals_deferred():
    """Ignore the signals that interrupt a run in the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS]
    try:
        yield
    finally:
        for number, handler in zip(INTERRUPTIONS, before, strict=True):
            signal.signal(number, handler)


def seed_everything(seed):
    """Seed all random number generators of this process."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(seed)


def choose_precision(wanted, device):
    """Return the precision in which the network runs on a device.

    Parameters
    ----------
    wanted : {"auto", "fp32", "bf16"}
        "auto" is bf16 if the hardware supports it, see `has_fast_bf16`.
    device : torch.device

    Returns
    -------
    {"fp32", "bf16"}
    """
    if wanted != "auto":
        return wanted
    return "bf16" if has_fast_bf16(device) else "fp32"


def has_fast_bf16(device):
    """Return whether a device computes faster in bf16 than in float32.

    Of processors, those with AMX do, and those of AMD with the bf16 instructions of
    AVX-512: a training step took a third and less than half of the time. An Intel
    processor that was told not to use its AMX was slower with those instructions
    (benchmarks/RESULTS.md). The features decide, not a race, so that a run can be
    repeated.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Instruction sets that oneDNN is told not to use count as missing.
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() or "DEFAULT"
    everything = allowed in ("DEFAULT", "ALL")
    has = getattr(torch.cpu, "get_capabilities", dict)()
    if has.get("amx_bf16", False) and (everything or "AMX" in allowed):
        return True
    products = has.get("avx512_bf16", False) and processor_vendor() == AMD
    return products and (everything or allowed.startswith(BF16_AND_LATER))


def autocast(device, precision):
    """Return the autocast context of the network.

    Parameters
    ----------
    device : torch.device
    precision : {"fp32", "bf16"}
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
