"""From a checkpoint and an image list to ``all_output_info.npz``."""

import json
import tempfile
from dataclasses import asdict

import numpy as np

from lib.artifacts import EmbeddingTable
from lib.errors import ArtifactError, user_files, warn
from lib.patches.options import PatchOptions
from lib.system.runtime import enough_memory
from lib.training.checkpoints import (
    agree,
    comparable_orders,
    load_checkpoint,
    restore_weights,
)
from lib.training.encoding import encode_store
from lib.training.models import arch_of, build_model
from lib.training.transforms import center_crop

ROWS_AT_ONCE = 1024


class TrainedRun:
    """A checkpoint, and the options of its run that inference needs.

    Parameters
    ----------
    path : path-like
        Checkpoint of ours or of MiLoPYP.
    mode : str
        Key of `lib.modes.MODES`.
    given : dict
        Patch options of the command line, only those that were given.
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
        content = load_checkpoint(path)
        remembered = content.get("options", {})
        trained_mode = remembered.get("mode", mode)
        if trained_mode != mode:
            raise ArtifactError(
                f"{path} was trained in mode {trained_mode}; embed with its script, or "
                f"name a checkpoint of {mode} with --load_model"
            )
        self.normalization = content.get("normalization")
        self.health = content.get("health", {})
        self.data = content.get("data", {})
        self.recipe = {
            k: remembered[k] for k in ("recipe", "exp_id") if k in remembered
        }
        self.epoch = content.get("epoch")
        self.voxel_size = voxel_size or remembered.get("voxel_size")
        # Of a checkpoint that does not say, the order is a mere default.
        self.order_was_told = bool(given.get("order") or remembered.get("order"))
        comparable = comparable_orders(given, remembered, content)
        self.patching = _patch_options(mode, *comparable, path)
        weights = content["state_dict"]
        known = {"arch": remembered.get("arch") or arch_of(weights, mode)}
        self.arch = agree({"arch": arch}, known, path)["arch"]
        dim = len(weights["fc.bias"]) if "fc.bias" in weights else 128
        self.model = build_model(self.arch, mode=mode, dim=dim)
        restore_weights(self.model, weights, path)

    def normalization_for(self, store):
        """Return mean and std of training; of these patches in a peer's checkpoint."""
        if self.normalization is None:
            warn(
                f"{self.path} remembers no normalization (not made here): taken from "
                "the patches to embed, as MiLoPYP does"
            )
            mean, std = store.normalization()
            return {"mean": mean, "std": std}
        return self.normalization


def _patch_options(mode, given, remembered, path):
    names = [name for name in PatchOptions.__dataclass_fields__ if name != "mode"]
    agreed = agree({name: given.get(name) for name in names}, remembered, path)
    known = {name: value for name, value in agreed.items() if value is not None}
    return PatchOptions(mode=mode, **known)


def embed(run, store, path, *, batch_size, device, precision, ranks, exp_id):
    """Embed a store and write the table; the main rank writes.

    Parameters
    ----------
    run : TrainedRun
    store : lib.patches.store.PatchStore
    path : path-like
        Of the npz.

    Returns
    -------
    EmbeddingTable or None
        None on ranks that do not write.
    """
    normalization = run.normalization_for(store)
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
    with user_files(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The patches of a large data set go through the disk, not through memory.
        scratch = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed below
    with scratch:
        views = _normalized_patches(store, scratch, **normalization)
        table = EmbeddingTable(
            name=store.names,
            coords=store.coords.astype(np.int64),
            pred=pred,
            proj=proj,
            subvol=views[-1],
            subvols_2d=views[0] if len(views) == 2 else None,
            provenance=_provenance(run, store, exp_id),
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


def _provenance(run, store, exp_id):
    keys = ("rec_path", "order", "shape", "voxel_size", "file_bytes", "file_time")
    # What the user typed stands above the header.
    typed = {"voxel_size": run.voxel_size} if run.voxel_size else {}
    provenance = {
        "mode": store.options.mode,
        "exp_id": exp_id,
        "checkpoint": str(run.path),
        "epoch": run.epoch,
        "options": {**asdict(store.options), "arch": run.arch, **run.recipe},
        "tomograms": {
            shard.facts["name"]: {key: shard.facts[key] for key in keys} | typed
            for shard in store.shards
        },
        "health": run.health,
    }
    return json.loads(json.dumps(provenance))
