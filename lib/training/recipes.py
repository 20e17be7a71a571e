"""How a run trains: loss, optimizer, transforms, length and learning rate."""

import math
from dataclasses import dataclass, replace

from lib.errors import OptionError
from lib.modes import SIMSIAM2D3D, SIMSIAM3D
from lib.training.transforms import Augmentation


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not data, network or length.

    Attributes
    ----------
    name : str
        Key of `RECIPES`.
    loss : {"nt_xent", "simsiam"}
        See `lib.training.losses.training_loss`.
    temperature, simsiam_weight : float
        Of NT-Xent, and of the SimSiam loss beside it; ``"simsiam"`` has neither.
    optimizer : {"sgd", "adamw"}
    momentum : float
        Of SGD.
    weight_decay : float
    small_init : bool
        Linear layers start at std 0.001, as in MiLoPYP.
    cosine : bool
        The learning rate falls along a cosine to zero.
    steps : tuple of int
        Epochs at which the learning rate falls to a tenth.
    warm : float
        Share of the epochs over which the learning rate rises linearly.
    augmentations : dict
        By the name of the mode, for view 1 and view 2.
    patching : dict
        By the name of the mode, options of the patches whose default differs from
        that of `PatchOptions`.
    """

    name: str
    loss: str
    optimizer: str
    weight_decay: float
    small_init: bool
    cosine: bool
    steps: tuple
    warm: float
    augmentations: dict
    patching: dict
    temperature: float | None = None
    simsiam_weight: float | None = None
    momentum: float = 0.0

    def adapted(self, *, cosine=None, steps=None, warm=None):
        """Return the recipe with the schedule that the user asked for instead."""
        changes = {"cosine": cosine, "steps": steps, "warm": warm}
        return replace(self, **{k: v for k, v in changes.items() if v is not None})


VARIED = Augmentation(rotation=180, crop=(0.8, 1.0), contrast=0.2)

# Chosen on simulated proteins of another seed and dose than those reported: see
# benchmarks/RESULTS.md for what was tried.
CONTRASTIVE = Recipe(
    name="contrastive",
    loss="nt_xent",
    temperature=0.2,
    simsiam_weight=0.1,
    optimizer="adamw",
    weight_decay=1e-4,
    small_init=False,
    cosine=True,
    steps=(),
    warm=0.05,
    augmentations=dict.fromkeys((SIMSIAM2D3D.name, SIMSIAM3D.name), (VARIED, VARIED)),
    patching={
        SIMSIAM2D3D.name: {"tilt_range": 40.0, "disjoint_tilts": True},
        SIMSIAM3D.name: {},
    },
)
# As the public implementation of MiLoPYP trains, for comparison.
SIMSIAM = Recipe(
    name="simsiam",
    loss="simsiam",
    optimizer="sgd",
    weight_decay=0.0,
    small_init=True,
    cosine=False,
    steps=(200, 400, 600),
    warm=0.0,
    augmentations={
        SIMSIAM2D3D.name: (
            Augmentation(rotation=30, erase=0.5),
            Augmentation(erase=0.5),
        ),
        SIMSIAM3D.name: (
            Augmentation(crop=(0.8, 1.0), brightness=0.5, contrast=0.2),
            Augmentation(crop=(0.9, 1.0), brightness=0.5, contrast=0.2),
        ),
    },
    patching={SIMSIAM2D3D.name: {}, SIMSIAM3D.name: {}},
)
RECIPES = {recipe.name: recipe for recipe in (CONTRASTIVE, SIMSIAM)}
ALIASES = {"default": "contrastive", "milopyp": "simsiam"}


def find_recipe(name):
    """Return the recipe of a name or of its alias (``default``, ``milopyp``)."""
    known = ALIASES.get(name, name)
    if known not in RECIPES:
        raise OptionError(
            f"--recipe {name}: expected {', '.join([*RECIPES, *ALIASES])}"
        )
    return RECIPES[known]


@dataclass(frozen=True)
class Schedule:
    """Length and rate of a run.

    Attributes
    ----------
    epochs : int
    batch_size : int
        Candidates a step, over all ranks; no rate depends on the number of ranks.
    lr : float
    keep_every : int
        Epochs between two health checks and, with `keep_all`, kept checkpoints.
    keep_all : bool
    """

    epochs: int
    batch_size: int
    lr: float
    keep_every: int = 20
    keep_all: bool = False


def learning_rate(lr, progress, recipe, schedule):
    """Return the rate after `progress` epochs (a fraction within the epoch).

    Warm-up first, then steps or a cosine; a function of progress alone, so that a
    resumed run needs no scheduler state.
    """
    warm = recipe.warm * schedule.epochs
    if progress < warm:
        return lr * (progress + 1 / 50) / (warm + 1 / 50)
    lr *= 0.1 ** sum(progress >= step for step in recipe.steps)
    if recipe.cosine:
        done = (progress - warm) / max(schedule.epochs - warm, 1e-9)
        lr *= (1 + math.cos(math.pi * min(done, 1))) / 2
    return lr
