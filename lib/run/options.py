"""The options of a run: the command line is made from them, the record keeps them.

A value of None is not known: not given, or not noted by the program that wrote a file.
"""

from dataclasses import dataclass, field

from lib.run.candidate_options import PatchSettings
from lib.run.config import given_values, option, options_of, take
from lib.run.limits import MOST, Numbers, Real, Whole


@dataclass(frozen=True)
class ModelOptions:
    """The network, and what it starts from."""

    arch: str | None = option(
        None,
        "backbone: simsiam2d3d_18 or simsiam2d_18 (34 and 50 too: slower, rarely "
        "better on patches this small)",
        otherwise="18 layers",
    )
    head_conv: int = option(128, "length of the embedding", limits=Whole(2, 4096))
    pretrained_model: str | None = option(
        None,
        "initial weights: builtin for those that come with the project, trained on "
        "simulated tomograms; none for random weights; imagenet (the backbone's, "
        "downloaded by torchvision; never measured here); or the path of a ResNet "
        "checkpoint",
        otherwise="builtin, and none with --recipe simsiam",
    )


@dataclass(frozen=True)
class TrainingOptions:
    """How the network is trained.

    Attributes
    ----------
    steps, cosine, warm : tuple of int, bool, float
        The schedule, see `lib.training.recipes.Recipe`; None where the recipe decides.
    """

    recipe: str = option(
        "contrastive",
        "contrastive (alias default): NT-Xent loss with a tenth of SimSiam's, AdamW, "
        "cosine schedule. simsiam (alias milopyp): SimSiam's loss alone, SGD with "
        "steps, small initial weights, and MiLoPYP's own transforms, tilt range and "
        "pairs, to compare with",
        limits=("contrastive", "simsiam", "default", "milopyp"),
    )
    num_epochs: int = option(
        100,
        "passes over all candidates; use 100 to 300, after fewer than 20 the map shows "
        "little",
        limits=Whole(1, MOST),
    )
    # Batches are equal within one candidate: three candidates in batches of two are
    # two and one, and batch norm cannot do with one.
    batch_size: int = option(
        256,
        "candidates per step, over all GPUs; below 64 batch norm gets noisy",
        limits=Whole(3, MOST),
    )
    lr: float = option(
        1e-3,
        "learning rate; not scaled by the batch size",
        limits=Real(0, 1000, above=True),
    )
    steps: tuple | None = option(
        None,
        "epochs at which the learning rate is divided by ten, such as 200,400,600",
        name="lr_step",
        limits=Numbers(Whole(1, MOST)),
        otherwise="by the recipe",
    )
    cosine: bool | None = option(
        None,
        "decrease the learning rate along a cosine",
        kind="switch",
        otherwise="by the recipe",
    )
    warm: float | None = option(
        None,
        "increase the learning rate linearly over the first epochs",
        kind="switch",
        otherwise="by the recipe",
    )
    val_intervals: int = option(
        20, "epochs between two saved models and health checks", limits=Whole(1, MOST)
    )
    save_all: bool = option(
        False, "keep model_N.pth at each of these epochs", kind="switch"
    )
    precision: str = option(
        "auto",
        "auto: train in bf16 where the GPU, or the processor, multiplies in it, "
        "embed in fp32",
        limits=("auto", "fp32", "bf16"),
    )

    def __post_init__(self):
        if self.steps is not None:
            object.__setattr__(self, "steps", tuple(self.steps))


@dataclass(frozen=True)
class RunOptions:
    """The options of a run that its record keeps.

    Attributes
    ----------
    seed : int
    voxel_size : float or None
        Of all tomograms, instead of what their headers say [Angstrom].
    particle_diameter : tuple of float or None
        What the options of the candidates were derived from [Angstrom].
    patches : PatchSettings
    model : ModelOptions
    training : TrainingOptions
    """

    seed: int = option(42, "random seed", limits=Whole(0, 2**32 - 1))
    voxel_size: float | None = option(
        None,
        "voxel size of all tomograms of the list in Angstrom, instead of that in their "
        "headers; the run records it for exports",
        limits=Real(0, 10_000, above=True),
        otherwise="by the headers, or as noted in training",
    )
    particle_diameter: tuple | None = option(
        None,
        "diameter of the particles in Angstrom, or several such as 120,250: --bbox, "
        "--dog, --dog_diameter and --dog_boundary follow from it and the voxel size "
        "(and --dog_std_multiplier, where several differ); those that you give stand",
        limits=Numbers(
            Real(1, 100_000),
            expected="Angstrom from 1 to 100,000, several with commas, such as 120,250",
        ),
    )
    patches: PatchSettings = field(default_factory=PatchSettings)
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self):
        if self.particle_diameter is not None:
            diameters = tuple(self.particle_diameter)
            object.__setattr__(self, "particle_diameter", diameters)

    @classmethod
    def of(cls, values):
        """Return the options in a flat dict, by field; what it lacks is None."""
        return cls(
            values.get("seed"),
            values.get("voxel_size"),
            values.get("particle_diameter"),
            take(PatchSettings, values),
            take(ModelOptions, values),
            take(TrainingOptions, values),
        )

    def given_values(self):
        """Return the values that are known, by field, as one flat dict."""
        values = given_values(self)
        parts = (values.pop(name) for name in ("patches", "model", "training"))
        return values | {k: v for part in parts for k, v in given_values(part).items()}


def named(field_name):
    """Return the option of the command line that sets a field of `RunOptions`."""
    for part in (RunOptions, PatchSettings, ModelOptions, TrainingOptions):
        for name, found in options_of(part).items():
            if found.name == field_name:
                return name
    return field_name
