"""How a run trains: optimiser, schedule, augmentation and loss, as data."""

from dataclasses import dataclass, replace

from lib.training.augment import Augmentation


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not data, network or length.

    Attributes
    ----------
    optimizer : {"sgd", "adamw"}
    momentum : float
        Of SGD.
    weight_decay : float
    small_init : bool
        Linear layers start at std 0.001, as MiLoPYP's.
    cosine : bool
        The rate falls along a cosine to zero.
    steps : tuple of int
        Epochs at which the rate falls to a tenth.
    warm : float
        Share of the epochs over which the rate rises linearly.
    temperature : float
        Of the contrastive loss (Chen et al. 2020, SimCLR, eq. 1); 0 for SimSiam's
        loss alone.
    cosine_weight : float
        Of SimSiam's loss beside the contrastive one; it trains the predictor.
    augmentations : dict
        Of each mode, for view 1 and view 2.
    patching : dict
        Of each mode, what the patches need otherwise than `PatchOptions` has it.
    """

    optimizer: str
    momentum: float
    weight_decay: float
    small_init: bool
    cosine: bool
    steps: tuple
    warm: float
    temperature: float
    cosine_weight: float
    augmentations: dict
    patching: dict

    def adapted(self, *, cosine=None, steps=None, warm=None):
        """Return the recipe with what the user asked for otherwise."""
        changes = {"cosine": cosine, "steps": steps, "warm": warm}
        return replace(self, **{k: v for k, v in changes.items() if v is not None})


VARIED = Augmentation(rotation=180, crop=(0.8, 1.0), contrast=0.2)
RECIPES = {
    # The public implementation's, for comparison.
    "milopyp": Recipe(
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        small_init=True,
        cosine=False,
        steps=(200, 400, 600),
        warm=0.0,
        temperature=0.0,
        cosine_weight=1.0,
        augmentations={
            "simsiam2d3d": (
                Augmentation(rotation=30, erase=0.5),
                Augmentation(erase=0.5),
            ),
            "simsiam3d": (
                Augmentation(crop=(0.8, 1.0), brightness=0.5, contrast=0.2),
                Augmentation(crop=(0.9, 1.0), brightness=0.5, contrast=0.2),
            ),
        },
        patching={"simsiam2d3d": {}, "simsiam3d": {}},
    ),
    # Chosen on simulated proteins of another seed and dose than those reported: see
    # benchmarks/RESULTS.md for what was tried.
    "default": Recipe(
        optimizer="adamw",
        momentum=0.0,
        weight_decay=1e-4,
        small_init=False,
        cosine=True,
        steps=(),
        warm=0.05,
        temperature=0.2,
        cosine_weight=0.1,
        augmentations=dict.fromkeys(("simsiam2d3d", "simsiam3d"), (VARIED, VARIED)),
        patching={
            "simsiam2d3d": {"tilt_range": 40.0, "disjoint_tilts": True},
            "simsiam3d": {},
        },
    ),
}
