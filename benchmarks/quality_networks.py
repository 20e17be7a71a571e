"""Trunk features, random weights and the supervised ceiling, on patches of an npz.

Views are (N, V, box, box) float32, normalized, in the order of the mode.
"""

import numpy as np
import torch
from torch import nn

from lib.system.runtime import autocast, choose_precision
from lib.training.encoding import recalibrate
from lib.training.inference import TrainedRun
from lib.training.models import build_model
from lib.training.transforms import Augmentation, apply_transforms, sample_transforms

BATCH = 256  # of inference
CEILING_BATCH = 64  # a labeled set is small: more, smaller steps


def views_of(table):
    """Return the views (N, V, box, box) of a `lib.artifacts.EmbeddingTable`."""
    slab = table.subvol[:, 0]
    if table.subvols_2d is None:
        return slab[:, None]
    return np.stack([table.subvols_2d[:, 0], slab], axis=1)


def trained_features(checkpoint, mode, views, device):
    """Return trunk, proj and pred of a trained network, by name."""
    run = TrainedRun(checkpoint, mode=mode, given={})
    return network_features(run.model.to(device), views, device)


def random_features(arch, mode, views, device, seed):
    """Return trunk, proj and pred of the untrained network, by name."""
    torch.manual_seed(seed)
    model = build_model(arch, mode=mode).to(device)
    _settle(model, views, device)
    return network_features(model, views, device)


def _settle(network, views, device):
    """Set the batch-norm statistics, as training does before a checkpoint."""
    views = torch.from_numpy(views).to(device)
    recalibrate(network, views, device=device, precision="fp32")


@torch.no_grad()
def network_features(model, views, device):
    """Return trunk, proj and pred (N, D) of a network in evaluation mode, by name."""
    model.eval()
    parts = {"trunk": [], "proj": [], "pred": []}
    for batch in torch.from_numpy(views).split(BATCH):
        trunk = model.trunk(batch.to(device))
        proj = model.proj(model.fc(trunk))
        for name, value in (
            ("trunk", trunk),
            ("proj", proj),
            ("pred", model.pred(proj)),
        ):
            parts[name].append(value.float().cpu().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


class Supervised(nn.Module):
    """The network of the pipeline up to its embedding, and a linear classifier."""

    def __init__(self, network, n_classes):
        super().__init__()
        self.network = network
        self.classify = nn.Linear(network.fc.out_features, n_classes)

    def embed(self, views):
        """Map views to the embedding (N, D)."""
        return torch.relu(self.network.fc(self.network.trunk(views)))

    def forward(self, views):
        """Map views to class scores (N, K)."""
        return self.classify(self.embed(views))


def ceiling(views, labels, folds, *, arch, mode, device, seed, epochs):
    """Train the network with the labels; predict every fold from the others.

    Parameters
    ----------
    views : ndarray of float32, shape (N, V, box, box)
    labels : array-like of str, shape (N,)
    folds : ndarray of int, shape (N,)
        As from `quality_metrics.particle_folds`.
    arch : str
    mode : str
    device : torch.device
    seed : int
    epochs : int

    Returns
    -------
    predicted : ndarray of str, shape (N,)
    embeddings : list of (fold, ndarray of shape (N, D))
        Of all rows, by the network that has not seen that fold.
    """
    names, index = np.unique(labels, return_inverse=True)
    predicted = np.empty(len(labels), names.dtype)
    embeddings = []
    for fold in np.unique(folds):
        torch.manual_seed(seed)
        model = Supervised(build_model(arch, mode=mode), len(names)).to(device)
        train = folds != fold
        _fit(model, views[train], index[train], device, seed, epochs)
        _settle(model.network, views[train], device)
        scores, features = _apply(model, views, device)
        predicted[folds == fold] = names[scores.argmax(axis=1)][folds == fold]
        embeddings.append((fold, features))
    return predicted, embeddings


def _fit(model, views, labels, device, seed, epochs):
    """Train with AdamW, one cosine, and the augmentation of the pipeline."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    steps = epochs * -(-len(views) // CEILING_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    pixels, mean, std = (value.to(device) for value in _as_bytes(views))
    labels = torch.from_numpy(labels).to(device)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(views), generator=generator).split(
            CEILING_BATCH
        ):
            varied = _varied(pixels[rows], mean, std, generator)
            with autocast(device, choose_precision("auto", device)):
                scores = model(varied)
            loss = nn.functional.cross_entropy(
                scores.float(), labels[rows.to(device)], label_smoothing=0.1
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _as_bytes(views):
    """Return bytes (N, V, box, box), mean and std (V,), as `augment` takes them."""
    views = torch.from_numpy(views)
    low = views.amin(dim=(0, 2, 3))
    span = views.amax(dim=(0, 2, 3)) - low
    unit = (views - low[:, None, None]) / span[:, None, None]
    return (unit * 255).round().to(torch.uint8), -low / span, 1 / span


def _varied(pixels, mean, std, generator):
    box = pixels.shape[-1]
    variation = Augmentation(rotation=180, crop=(0.8, 1.0), contrast=0.2, erase=0.5)
    transforms = sample_transforms(variation, len(pixels), box, generator).to(
        pixels.device
    )
    return apply_transforms(pixels, transforms, box=box, mean=mean, std=std)


@torch.no_grad()
def _apply(model, views, device):
    model.eval()
    scores, features = [], []
    for batch in torch.from_numpy(views).split(BATCH):
        embedding = model.embed(batch.to(device))
        features.append(embedding.cpu().numpy())
        scores.append(model.classify(embedding).cpu().numpy())
    return np.concatenate(scores), np.concatenate(features)
