"""The network on a GPU otherwise than it is trained: layout, precision, compiled."""

import importlib.util
import shutil
import statistics
import tempfile

from benchmarks.gpu_floors import (
    BOX,
    BareStep,
    fitting_batch,
    fitting_count,
    new_model,
    new_trainer,
    noise_store,
    precision_name,
    seconds,
)
from benchmarks.gpu_stage import Row

MODE = "simsiam2d3d"
VARIANTS = {  # layout, cudnn.benchmark
    "contiguous": ("contiguous_format", False),
    "with cudnn.benchmark": ("channels_last", True),
    "contiguous, with cudnn.benchmark": ("contiguous_format", True),
}


def network(device, smoke):
    """Yield a step and a forward pass in other layouts than ours."""
    for precision in ("auto", "fp32"):
        if precision == "fp32" and precision_name(device) == "float32":
            continue  # "auto" was that
        told = precision_name(device) if precision == "auto" else "float32"
        ours = _timed(device, smoke, precision, "channels_last", False)
        for name, (layout, search) in list(VARIANTS.items())[: 1 if smoke else None]:
            other = _timed(device, smoke, precision, layout, search)
            for what, own, its in zip(("step", "forward"), ours, other, strict=True):
                yield Row(
                    f"a {what}, {told}",
                    f"as trained {1e3 * own:.2f} ms",
                    f"{name} {1e3 * its:.2f} ms",
                    its / own,
                )


def _timed(device, smoke, precision, layout, search):
    """Return the time of a step and of a forward pass."""
    import torch

    from lib.training.encoding import encode

    box = 8 if smoke else BOX
    batch_size = fitting_batch(8 if smoke else 256, MODE, device, box)
    torch.backends.cudnn.benchmark = search
    model = new_model(MODE, device).to(memory_format=getattr(torch, layout))
    step = BareStep(model, MODE, batch_size, device, precision=precision, box=box)

    def forward():
        encode(model, step.views[0], device=device, precision=step.precision)

    step()
    times = [seconds(step, device, repeats=1 if smoke else 15)]
    forward()
    times.append(seconds(forward, device, repeats=1 if smoke else 15))
    torch.backends.cudnn.benchmark = False
    return times


def compile(device, smoke):
    """Yield what ``--compile`` gains, or why it cannot be had."""
    missing = _missing_for_compile(device)
    if missing:
        yield Row("--compile", f"not run: {missing}")
        return
    mode, box = MODE, 8 if smoke else BOX
    batch_size = fitting_batch(8 if smoke else 256, mode, device, box)
    step = BareStep(new_model(mode, device), mode, batch_size, device, box=box)
    step()
    once = seconds(step, device, repeats=1 if smoke else 5)
    steps = 2 if smoke else fitting_count(once, 1, 4, 40)
    store = noise_store(mode, steps * batch_size, box)
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for compiled in (False, True):
            trainer = new_trainer(
                store,
                folder,
                device=device,
                epochs=2 if smoke else 4,
                batch_size=batch_size,
                compiled=compiled,
            )
            trainer.run()
            times[compiled] = [entry["time"] for entry in trainer.state.history]
    plain, own = (statistics.median(times[compiled][1:]) for compiled in (False, True))
    yield Row(
        f"{mode}, box {box}, batch {batch_size}: the steps of an epoch"
        + (" (nothing compiled in a smoke run)" if smoke else ""),
        f"compiled {own:.2f} s, the first epoch {times[True][0]:.0f} s",
        f"not compiled {plain:.2f} s",
        plain / own,
    )


def _missing_for_compile(device):
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "no C compiler"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "no triton"
    return ""
