"""Train a network to tell the simulated kinds apart, and write its weights.

The loss is the normalized softmax (Zhai & Wu 2019): the cosines of projection and
prediction with a learned direction of each kind. A kind at another voxel size is
another class.
"""

import json
import time

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.pretrain_data import LabeledPatches
from benchmarks.pretrain_patches import BACKGROUND, BOX, VIEWS
from benchmarks.quality_metrics import knn_accuracy
from lib.artifacts import atomic_write
from lib.modes import MODES
from lib.system.runtime import autocast, choose_precision
from lib.training.builtin import BUILTIN, load_builtin
from lib.training.encoding import encode, recalibrate
from lib.training.models import build_model
from lib.training.recipes import CONTRASTIVE, Schedule, learning_rate
from lib.training.transforms import Augmentation, apply_transforms, sample_transforms

BOXES = (24, 30, 36)  # one for each step: people cut patches of different sizes
BATCH = 256
PER_KIND = 2
PER_DIRECTION = 8  # patches that the direction of a kind begins with
SHARE_OF_BACKGROUND = 0.12
SCALE = 16.0  # of the cosines in the softmax
LR = 1.5e-3
AUGMENTATION = Augmentation(rotation=180, crop=(0.85, 1.0), contrast=0.2)
PLAIN = Augmentation()
REPORT_EVERY, KEEP_EVERY, EVALUATE_EVERY = 20, 100, 500
# Which stored views stand for the views of a mode; one of them is chosen at random.
STORED = {
    "tilt": ("tilt", "tilt", "tilt_odd", "tilt_even"),
    "slab": ("slab",),
    "thick_slab": ("thick_slab",),
}
DEVICE = torch.device("cpu")


def sample_batch(patches, rows_of, rng):
    """Return rows of a batch: two of each of some kinds, and background."""
    background = patches.names.index(BACKGROUND)
    count = round(BATCH * SHARE_OF_BACKGROUND)
    rows = [rng.choice(rows_of[background], count)]
    others = [kind for kind in range(len(rows_of)) if kind != background]
    for kind in rng.choice(others, (BATCH - count) // PER_KIND, replace=False):
        rows.append(rng.choice(rows_of[kind], PER_KIND))
    return np.concatenate(rows)


def prepare_views(stored, box, augmentation, generator):
    """Return normalized views (B, V, box, box) of stored patches.

    Each spans 0 to 1 within its box before it is normalized, as the patches of the
    project do.
    """
    nothing = torch.zeros(stored.shape[1]), torch.ones(stored.shape[1])
    transforms = sample_transforms(augmentation, len(stored), box, generator)
    views = apply_transforms(
        stored, transforms, box=box, mean=nothing[0], std=nothing[1]
    )
    low, high = views.amin((2, 3), True), views.amax((2, 3), True)
    views = (views - low) / (high - low).clamp_min(1e-3)
    mean, std = views.mean((0, 2, 3), True), views.std((0, 2, 3), keepdim=True)
    return (views - mean) / std


def train_kinds(work, *, mode, steps, seed, until, held_out_from, start=None):
    """Train, from the last checkpoint on, to a number of steps or until a time.

    Parameters
    ----------
    work : pathlib.Path
        Holds ``patches/``; gets ``<mode>.pth`` and ``<mode>.jsonl``.
    mode : str
    steps, seed : int
    until : float
        Of `time.monotonic`.
    held_out_from : int
        Tomograms of this number or greater are not trained on.
    start : path-like, optional
        Checkpoint of the other mode to begin with, or ``builtin``: the weights that
        the project has of this mode.
    """
    numbers = sorted(int(path.stem) for path in (work / "patches").glob("*.npz"))
    trained = [number for number in numbers if number < held_out_from]
    patches = LabeledPatches.open(work / "patches", trained)
    held_out = LabeledPatches.open(
        work / "patches", [number for number in numbers if number >= held_out_from]
    )
    training = KindTraining(work, patches, mode=mode, steps=steps, seed=seed)
    training.resume_or(start)
    losses, hits, began = [], [], time.monotonic()
    while training.step < steps and time.monotonic() < until:
        loss, right = training.take_step()
        losses.append(loss)
        hits.append(right)
        step, last = training.step, training.step == steps
        if step % REPORT_EVERY == 0:
            seconds = (time.monotonic() - began) / len(losses)
            print(
                f"step {step}/{steps}, loss {np.mean(losses[-100:]):.3f}, right "
                f"{np.mean(hits[-100:]):.3f}, {seconds:.2f} s a step",
                flush=True,
            )
        if last or step % KEEP_EVERY == 0:
            training.keep()
        if last or step % EVALUATE_EVERY == 0:
            found = evaluate(training.model, mode, held_out, training.precision, seed)
            print(found, flush=True)
            with (work / f"{mode}.jsonl").open("a") as stream:
                line = {"step": step, "loss": float(np.mean(losses[-100:])), **found}
                stream.write(json.dumps(line) + "\n")


class KindTraining:
    """Network, directions of the kinds and optimizer, at some step.

    Parameters
    ----------
    work, mode, steps, seed
        See `train_kinds`.
    patches : LabeledPatches
    """

    def __init__(self, work, patches, *, mode, steps, seed):
        self.mode, self.steps, self.seed, self.step = mode, steps, seed, 0
        self.patches, self.checkpoint = patches, work / f"{mode}.pth"
        order = np.argsort(patches.kind, kind="stable")
        ends = np.cumsum(np.bincount(patches.kind))[:-1]
        self.rows_of = np.split(order, ends)
        classes = len(self.rows_of)
        print(f"{len(patches.kind):,} patches of {classes:,} classes", flush=True)
        torch.manual_seed(seed)
        model = build_model(MODES[mode].architectures[0], mode=mode)
        self.model = model.to(memory_format=torch.channels_last)
        self.directions = torch.nn.Parameter(
            torch.randn(classes, model.fc.out_features)
        )
        self.optimizer = torch.optim.AdamW(
            [*model.parameters(), self.directions], lr=LR, weight_decay=1e-4, fused=True
        )
        self.precision = choose_precision("auto", DEVICE)
        self.schedule = Schedule(epochs=1, batch_size=BATCH, lr=LR)

    def resume_or(self, start):
        """Go on from the checkpoint, or else begin with one of the other mode."""
        if self.checkpoint.is_file():
            kept = torch.load(self.checkpoint, weights_only=True)
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.step = kept["step"]
        elif str(start) == BUILTIN:
            known = load_builtin(self.mode).state_dict
            self.model.load_state_dict({**self.model.state_dict(), **known})
            self.directions.data.copy_(self._mean_directions())
            return
        elif start is not None:
            kept = torch.load(start, weights_only=True)
            _start_from(self.model, kept["model"])
        else:
            return
        self.directions.data.copy_(kept["directions"])

    def _mean_directions(self):
        """Return the mean direction of a few patches of each kind."""
        rng = np.random.default_rng(self.seed)
        rows = [rng.permutation(rows)[:PER_DIRECTION] for rows in self.rows_of]
        kinds = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        total = torch.zeros_like(self.directions.data)
        for part in np.array_split(np.arange(len(kinds)), -(-len(kinds) // BATCH)):
            chosen = np.concatenate(rows)[part]
            views = _choose_views(self.mode, len(chosen), rng)
            stored = self.patches.gather(chosen, views)
            nothing = torch.Generator().manual_seed(self.seed)
            batch = prepare_views(stored, BOX, PLAIN, nothing)
            z, p = encode(self.model, batch, device=DEVICE, precision=self.precision)
            unit = F.normalize(z, dim=1) + F.normalize(p, dim=1)
            total.index_add_(0, torch.from_numpy(kinds[part]), unit)
        return F.normalize(total, dim=1)

    def take_step(self):
        """Take a step; return its loss, and the share of rows named right."""
        rng = np.random.default_rng([self.seed, self.step])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        rows = sample_batch(self.patches, self.rows_of, rng)
        stored = self.patches.gather(rows, _choose_views(self.mode, len(rows), rng))
        views = prepare_views(stored, int(rng.choice(BOXES)), AUGMENTATION, generator)
        lr = learning_rate(LR, self.step / self.steps, CONTRASTIVE, self.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.train()
        with autocast(DEVICE, self.precision):
            z, p = self.model.encode(views)
        target = torch.from_numpy(self.patches.kind[rows])
        toward = F.normalize(self.directions, dim=1).T
        cosines = [F.normalize(output, dim=1) @ toward for output in (z, p)]
        loss = sum(F.cross_entropy(SCALE * cosine, target) for cosine in cosines)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        right = (cosines[0].argmax(1) == target).float().mean()
        return loss.item(), right.item()

    def keep(self):
        """Write the checkpoint."""
        kept = {
            "model": self.model.state_dict(),
            "directions": self.directions.data,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        with atomic_write(self.checkpoint) as stream:
            torch.save(kept, stream)


def _start_from(model, weights):
    """Begin with the weights of a network of as many layers, of another mode.

    The trunk is the same for every view; each view gets an equal share in the head.
    """
    own = model.state_dict()
    views = own["fc.weight"].shape[1] // weights["fc.weight"].shape[1]
    weights = {**weights, "fc.weight": weights["fc.weight"].repeat(1, views) / views}
    fitting = {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    model.load_state_dict({**own, **fitting})


def _choose_views(mode, count, rng):
    columns = [
        [VIEWS.index(name) for name in STORED[view]] for view in MODES[mode].views
    ]
    return np.stack([rng.choice(column, count) for column in columns], axis=1)


def evaluate(model, mode, held_out, precision, seed, count=3000):
    """Return how well kinds that were not trained on are told apart."""
    rng = np.random.default_rng(seed)
    known = model.state_dict()
    copy = build_model(MODES[mode].architectures[0], mode=mode)
    copy.load_state_dict(known)
    copy.to(memory_format=torch.channels_last)
    found = {}
    rows = rng.permutation(np.unique(held_out.particle, return_index=True)[1])[:count]
    first = [VIEWS.index(view) for view in MODES[mode].views]
    for box in (24, BOX):
        stored = held_out.gather(rows, np.tile(first, (len(rows), 1)))
        views = prepare_views(stored, box, PLAIN, torch.Generator().manual_seed(seed))
        where = {"device": DEVICE, "precision": precision}
        recalibrate(copy, views[:1024], **where)
        parts = [encode(copy, batch, **where) for batch in views.split(256)]
        folds = np.arange(len(rows)) % 5
        for name, features in zip(
            ("proj", "pred"), zip(*parts, strict=True), strict=True
        ):
            features = torch.cat(features).numpy()
            accuracy = knn_accuracy(features, held_out.kind[rows], folds, k=10)
            found[f"{name} {box}"] = round(accuracy, 4)
    return found


def write_weights(work, *, mode, seed):
    """Write the weights of the last checkpoint into the project, with their card."""
    from lib.training.builtin import save_builtin

    kept = torch.load(work / f"{mode}.pth", weights_only=True)
    *_, last = (work / f"{mode}.jsonl").read_text().splitlines()
    counts = [len(np.load(p)["kind"]) for p in (work / "patches").glob("*.npz")]
    card = {
        "made_by": "benchmarks/pretrain.py",
        "data": f"{sum(counts):,} patches of {len(counts)} simulated tomograms, the "
        "held-out ones included; no reported protein among them",
        "loss": "normalized softmax over kinds, of projection and prediction",
        "classes": len(kept["directions"]),
        "steps": kept["step"],
        "batch_size": BATCH,
        "seed": seed,
        "held_out_10nn": json.loads(last),
    }
    save_builtin(kept["model"], mode, card)
