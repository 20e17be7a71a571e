"""From a checkpoint and an image list to ``all_output_info.npz``."""

import tempfile
from dataclasses import replace

import numpy as np

from lib.artifacts import EmbeddingTable
from lib.candidates.particle_size import ParticleSize
from lib.coordinates.given import OwnCoordinates
from lib.errors import ArtifactError, user_files, warn
from lib.patches.options import PatchOptions
from lib.run.config import given_values
from lib.run.history import EMBEDDING
from lib.run.options import RunOptions, named
from lib.run.record import Normalization
from lib.system.runtime import enough_memory
from lib.training.builtin import BUILTIN, load_builtin
from lib.training.checkpoints import load_checkpoint, restore_weights
from lib.training.encoding import encode_store
from lib.training.models import arch_of, build_model
from lib.training.recipes import CONTRASTIVE
from lib.training.resume import agreed_options, as_typed, check_diameter
from lib.training.run_notes import embedding_record
from lib.training.transforms import center_crop

ROWS_AT_ONCE = 1024
CHOICES = ("mask_side", "mask_distance", "search_in")  # may differ from training


class TrainedRun:
    """A checkpoint, and the options of its run that inference needs.

    Parameters
    ----------
    path : path-like
        Checkpoint of ours or of MiLoPYP, or ``"builtin"``.
    mode : str
        Key of `lib.modes.MODES`.
    given : dict
        Patch options of the command line, and ``particle_diameter``; only those that
        were given.
    arch : str or None
        As given.
    voxel_size : float or None
        As given, of all tomograms [Angstrom].

    Raises
    ------
    ArtifactError
        When the checkpoint is of another mode or shape.
    OptionError
        When an option was given otherwise than in training.
    """

    def __init__(self, path, *, mode, given, arch=None, voxel_size=None):
        self.path = path
        self.is_builtin = path == BUILTIN
        if self.is_builtin:
            checkpoint = load_builtin(mode)
            given = {**CONTRASTIVE.patching[mode], **given}
        else:
            checkpoint = load_checkpoint(path)
        self.record = checkpoint.record
        trained = self.record.options
        # Which candidates there are changes no patch.
        chosen = {key: given[key] for key in CHOICES if key in given}
        given = {key: given[key] for key in given if key not in CHOICES}
        trained_mode = trained.patches.mode or mode
        if trained_mode != mode:
            raise ArtifactError(
                f"{path} was trained in mode {trained_mode}; embed with its script, or "
                f"name a checkpoint of {mode} with --load_model"
            )
        self.voxel_size = voxel_size or trained.voxel_size
        # Of a checkpoint that does not say, the order is a mere default.
        self.order_was_told = bool(given.get("order") or trained.patches.order)
        weights = checkpoint.state_dict
        if trained.model.arch is None:
            model = replace(trained.model, arch=arch_of(weights, mode))
            self.record = replace(self.record, options=replace(trained, model=model))
        if arch is not None:
            given = {**given, "arch": arch}
        check_diameter(given, self.record, path)
        agreed = RunOptions.of(agreed_options(given, self.record, path))
        self.given = given
        self.particle_diameter = agreed.particle_diameter
        wanted = {"mode": mode, **given_values(agreed.patches), **chosen}
        self.patching = PatchOptions(**wanted)
        self.arch = agreed.model.arch
        dim = len(weights["fc.bias"]) if "fc.bias" in weights else 128
        self.model = build_model(self.arch, mode=mode, dim=dim)
        restore_weights(self.model, weights, path)

    def fit_to_particle(self, tomograms):
        """Set what follows from the diameter of particles, was it not for training.

        Parameters
        ----------
        tomograms : list of lib.inputs.tomogram.Tomogram
            Whose voxel size counts.

        Returns
        -------
        str or None
            What was set, to be shown; None if nothing was.
        """
        decided = self.record.options.patches.box is not None
        if decided or self.particle_diameter is None:
            return None
        diameters = self.particle_diameter
        size = ParticleSize.in_tomograms(
            diameters, tomograms, voxel_size=self.voxel_size
        )
        found = size.settings()
        left = {key: value for key, value in found.items() if key not in self.given}
        self.patching = replace(self.patching, **left)
        given = {named(key): as_typed(self.given[key]) for key in found.keys() - left}
        return size.describe(as_typed(diameters), given)

    def normalization_for(self, store):
        """Return mean and std of training; of these patches in a peer's checkpoint."""
        if self.record.normalization is None:
            if not self.is_builtin:
                warn(
                    f"{self.path} remembers no normalization (not made here): taken "
                    "from the patches to embed, as MiLoPYP does"
                )
            return Normalization(*store.normalization())
        return self.record.normalization


def embed(run, store, path, *, batch_size, device, precision, ranks, exp_id, own=None):
    """Embed a store and write the table; the main rank writes.

    Parameters
    ----------
    run : TrainedRun
    store : lib.patches.store.PatchStore
    path : path-like
        Of the npz.
    own : lib.coordinates.given.OwnCoordinates, optional
        Where the candidates come from, other than the search.

    Returns
    -------
    EmbeddingTable or None
        None on ranks that do not write.
    """
    normalization = vars(run.normalization_for(store))
    with enough_memory(device, f"for --batch_size {batch_size}; give a smaller one"):
        proj, pred = encode_store(
            run.model,
            store,
            batch_size=batch_size,
            device=device,
            precision=precision,
            ranks=ranks,
            **normalization,
        )
    if not ranks.is_main:
        return None
    if not np.isfinite(pred).all():
        raise ArtifactError(
            f"{run.path} gives embeddings that are not finite; name another "
            "--load_model, such as model_best.pth"
        )
    if run.is_builtin and len(pred) > 1:
        # What all candidates have in common, in data that the network has not seen,
        # says nothing about them and would make all of them alike.
        proj, pred = (values - values.mean(axis=0) for values in (proj, pred))
    with user_files(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The patches of a large data set go through the disk, not through memory.
        scratch = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed below
    own = own or OwnCoordinates()
    given = own.columns_of(store.names, store.coords)
    measures = store.measures() | given.pop("measures")
    with scratch:
        views = _normalized_patches(store, scratch, **normalization)
        table = EmbeddingTable(
            name=store.names,
            coords=store.coords.astype(np.int64),
            pred=pred,
            proj=proj,
            subvol=views[-1],
            subvols_2d=views[0] if len(views) == 2 else None,
            measures=measures,
            record=embedding_record(run, store, exp_id, own.record(EMBEDDING)),
            **given,
        )
        table.save(path)
    return table


def _normalized_patches(store, scratch, *, mean, std):
    """Return the views (V, N, 1, box, box) as float32 in a mapped scratch file."""
    import torch

    box = store.options.box
    shape = (store.options.views, len(store), 1, box, box)
    views = np.memmap(scratch, np.float32, mode="w+", shape=shape)
    mean, std = torch.tensor(mean), torch.tensor(std)
    for start in range(0, len(store), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(store)))
        patches = torch.from_numpy(store.gather(rows, 0 * rows))
        cropped = center_crop(patches, box=box, mean=mean, std=std)
        views[:, rows, 0] = cropped.transpose(0, 1).numpy()
    return views
