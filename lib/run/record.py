"""The record of a run: what it was trained with and on, in every file of it.

Checkpoints, ``all_output_info.npz``, the interactive table and its exports carry it
as json. What an earlier version or another program did not note is None.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real

from lib.run.candidate_options import PatchSettings
from lib.run.config import take
from lib.run.history import take_given
from lib.run.options import ModelOptions, RunOptions, TrainingOptions

SCHEMA_VERSION = 2

# Of what is known of a tomogram, in files that were read; its shape is a tuple.
KINDS = {
    "rec_path": str,
    "rec_even": str,
    "rec_odd": str,
    "mask_path": str,
    "view_path": str,
    "order": str,
    "voxel_size": Real,
    "file_bytes": Integral,
    "file_time": Integral,
}


@dataclass(frozen=True)
class TomogramRecord:
    """A tomogram as a run read it.

    Attributes
    ----------
    rec_path : str
    order : str
        Axes of the file, see `lib.axis_orders`.
    shape : tuple of int
        (Z, Y, X) of the whole tomogram [voxels].
    voxel_size : float
        [Angstrom].
    file_bytes : int
    file_time : int
        Of its last change [ns].
    rec_even, rec_odd, mask_path, view_path : str
        Further volumes, see `lib.inputs.companions`.
    """

    rec_path: str | None = None
    order: str | None = None
    shape: tuple | None = None
    voxel_size: float | None = None
    file_bytes: int | None = None
    file_time: int | None = None
    rec_even: str | None = None
    rec_odd: str | None = None
    mask_path: str | None = None
    view_path: str | None = None

    def __post_init__(self):
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each view of the training set, of 0 to 1."""

    mean: tuple
    std: tuple

    def __post_init__(self):
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))


@dataclass(frozen=True)
class HealthRecord:
    """The newest verdict on a model; see `lib.training.metrics.Health`."""

    verdict: str | None = None
    message: str | None = None
    output_std: float | None = None
    effective_rank: float | None = None
    agreement: float | None = None
    chance: float | None = None

    @property
    def is_good(self):
        """Whether nothing is known against the model."""
        return self.verdict in (None, "healthy")


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from.

    Attributes
    ----------
    start : str
        Weights that its training started from, in words.
    exp_id : str
        Of its training.
    checkpoint : str
        File that an embedding was made with.
    epoch : int
        Of that file.
    given : tuple of lib.run.history.GivenFile
        Files of coordinates that decided the candidates.
    """

    start: str | None = None
    exp_id: str | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    given: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "given", take_given(self.given))


@dataclass(frozen=True)
class PickedFrom:
    """The table that an export was picked from, see `lib.artifacts.fingerprints`."""

    fingerprint: str
    rows: int


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run.

    Attributes
    ----------
    exp_id : str
        Of the run that wrote the file.
    options : lib.run.options.RunOptions
    normalization : Normalization or None
    health : HealthRecord
    tomograms : dict of str to TomogramRecord, or None
        By name: those of the training, or of the embedding.
    n_candidates : int
        In these tomograms.
    orders : tuple of str
        Axes of all files that the training read.
    lineage : Lineage
    picked_from : PickedFrom or None
        In exports.
    """

    exp_id: str | None = None
    options: RunOptions = field(default_factory=lambda: RunOptions.of({}))
    normalization: Normalization | None = None
    health: HealthRecord = field(default_factory=HealthRecord)
    tomograms: dict | None = None
    n_candidates: int | None = None
    orders: tuple | None = None
    lineage: Lineage = field(default_factory=Lineage)
    picked_from: PickedFrom | None = None

    def tomogram(self, name):
        """Return what is known of a tomogram, perhaps nothing."""
        return (self.tomograms or {}).get(name, TomogramRecord())

    def plain(self):
        """Return the record in the types of json."""
        content = {"schema": SCHEMA_VERSION, **asdict(self)}
        return json.loads(json.dumps(content))


def read_record(content):
    """Return the record in plain types, of this version.

    Parameters
    ----------
    content : dict
        As of `RunRecord.plain`.
    """
    options = part(content, "options")
    tomograms = content.get("tomograms")
    return RunRecord(
        exp_id=content.get("exp_id"),
        options=RunOptions(
            seed=options.get("seed"),
            voxel_size=options.get("voxel_size"),
            particle_diameter=options.get("particle_diameter"),
            patches=take(PatchSettings, part(options, "patches")),
            model=take(ModelOptions, part(options, "model")),
            training=take(TrainingOptions, part(options, "training")),
        ),
        normalization=take_all(Normalization, content.get("normalization")),
        health=take(HealthRecord, part(content, "health")),
        tomograms=None if tomograms is None else take_tomograms(tomograms),
        n_candidates=content.get("n_candidates"),
        orders=as_tuple(content.get("orders")),
        lineage=take(Lineage, part(content, "lineage")),
        picked_from=take_all(PickedFrom, content.get("picked_from")),
    )


def part(content, key):
    """Return the mapping under a key, an empty one where there is none."""
    return content.get(key) or {}


def take_all(cls, values):
    """Return a dataclass whose values are all there, or None without any."""
    return take(cls, values) if values else None


def take_tomograms(values):
    """Return the tomograms of a mapping, by name.

    Raises
    ------
    ValueError
        If a value is of another kind than a run writes.
    """
    found = {name: take(TomogramRecord, one) for name, one in values.items()}
    for name, one in found.items():
        for key, kind in KINDS.items():
            value = getattr(one, key)
            if not (value is None or isinstance(value, kind)):
                raise ValueError(f"{key} of tomogram {name} is {value!r}")
        shape, size = one.shape or (1, 1, 1), one.voxel_size or 0.0
        if len(shape) != 3 or not all(isinstance(n, Integral) for n in shape):
            raise ValueError(f"shape of tomogram {name} is {one.shape!r}")
        if not math.isfinite(size):
            raise ValueError(f"voxel_size of tomogram {name} is {size}")
    return found


def as_tuple(values):
    """Return a list as a tuple; None stays."""
    return None if values is None else tuple(values)
