"""What the environment says of the ranks that a launcher started.

torchrun, and job scripts that follow PyTorch's convention, set RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT. Other job scripts and notebooks leave some of them behind.
"""

import os
from dataclasses import dataclass

from lib.errors import warn_once

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """How many processes train together.

    Attributes
    ----------
    rank, world : int
        Number of this process, and how many there are.
    by_torchrun : bool
        Whether torchrun started them, so that all of them come, or none.
    host : str
        Where they meet.
    """

    rank: int = 0
    world: int = 1
    by_torchrun: bool = False
    host: str = ""


def find_launch():
    """Return the launch that the environment describes; one process otherwise.

    Variables that do not fit each other are named in a warning and not heeded: who
    believed them would wait for processes that nobody started.
    """
    said = {name: os.environ.get(name, "").strip() for name in NEEDED}
    world, rank = whole_number(said["WORLD_SIZE"]), whole_number(said["RANK"])
    if world == 1 or not said["WORLD_SIZE"]:
        return Launch()
    wrong = [name for name in NEEDED if not said[name]]
    if not wrong and (world is None or rank is None or rank >= world):
        wrong = ["RANK", "WORLD_SIZE"]
    if not wrong and whole_number(said["MASTER_PORT"]) is None:
        wrong = ["MASTER_PORT"]
    if wrong:
        found = ", ".join(f"{name}={said[name] or '(not set)'}" for name in wrong)
        warn_once(
            f"WORLD_SIZE={said['WORLD_SIZE']} is ignored ({found}): this process works "
            "alone; start several with torchrun, see docs/cluster.md"
        )
        return Launch()
    return Launch(
        rank,
        world,
        by_torchrun="TORCHELASTIC_RUN_ID" in os.environ,
        host=said["MASTER_ADDR"],
    )


def whole_number(text):
    """Return the number that a variable holds, or None where it holds none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() else None
