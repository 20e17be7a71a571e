"""The network: a small ResNet over the views of a candidate, projector and predictor.

The architecture is that of SimSiam (Chen & He 2021) as MiLoPYP uses it; the losses
are in `lib.training.losses`. Names of parameters are those of MiLoPYP's
checkpoints, so that they load here.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lib.errors import ArtifactError, OptionError, ResourceError
from lib.modes import MODES
from lib.training.blocks import blocks_of, imagenet_weights

STAGES = ((64, 1), (128, 2), (256, 2))  # width and stride of layer1, 2, 3

# What the backward pass needs, in maps of the full resolution and first width.
KEPT_MAPS = {18: 17, 34: 29, 50: 88}


class SimSiam(nn.Module):
    """Trunk shared by all views, projector and predictor.

    Parameters
    ----------
    depth : {18, 34, 50}
        Of the ResNet.
    views : int
        Images of a candidate, whose features are concatenated.
    dim : int
        Length of the embedding.
    shortcut_norm : bool
        Whether the shortcuts have a batch norm.

    Attributes
    ----------
    recompute : bool
        Whether the full-resolution layers are computed again in the backward pass
        (Chen et al. 2016), to the same result with less memory.
    """

    def __init__(self, depth, views, dim=128, shortcut_norm=True):
        super().__init__()
        self.depth = depth
        self.recompute = False
        block, counts = blocks_of(depth)
        width = STAGES[0][0]
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for number, (planes, stride) in enumerate(STAGES, start=1):
            layers = []
            for step in range(counts[number - 1]):
                stride = stride if step == 0 else 1
                shortcut = _shortcut(
                    width, planes * block.expansion, stride, shortcut_norm
                )
                layers.append(block(width, planes, stride, shortcut))
                width = planes * block.expansion
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.fc = nn.Linear(views * width, dim)
        self.proj = nn.Sequential(
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim, affine=False),
        )
        self.pred = nn.Sequential(
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim),
        )

    def trunk(self, views):
        """Map views (N, V, H, W) to features (N, V x width)."""
        n, v, h, w = views.shape
        x = views.transpose(0, 1).reshape(v * n, 1, h, w)
        for step in (self._stem, *self.layer1):
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(step, x, use_reentrant=False)
            else:
                x = step(x)
        x = self.layer3(self.layer2(x))
        x = x.mean(dim=(2, 3)).view(v, n, -1)
        return x.transpose(0, 1).reshape(n, -1)

    def _stem(self, x):
        return F.relu(self.bn1(self.conv1(x)), inplace=True)

    def activation_bytes(self, batch, views, box):
        """Return about what a training step keeps of `batch` pairs [bytes]."""
        full_resolution = 4 * STAGES[0][0] * box**2
        return 2 * batch * views * full_resolution * KEPT_MAPS[self.depth]

    def encode(self, views):
        """Map views (N, V, H, W) to projection z and prediction p, both (N, dim)."""
        features = self.trunk(views).float()
        # The heads are cheap, and bf16 would cost them the third digit.
        with torch.autocast(views.device.type, enabled=False):
            z = self.proj(self.fc(features))
            return z, self.pred(z)

    def forward(self, views1, views2):
        """Return p1, p2, z1, z2 of a batch of positive pairs."""
        z1, p1 = self.encode(views1)
        z2, p2 = self.encode(views2)
        return p1, p2, z1, z2


def build_model(arch, *, mode, dim=128):
    """Return the untrained network of ``--arch``.

    Parameters
    ----------
    arch : str
        One of `lib.modes.Mode.architectures`.
    mode : str
        Key of `lib.modes.MODES`.
    dim : int
        Length of the embedding.
    """
    mode = MODES[mode]
    depth = mode.depth(arch)
    if depth is None:
        *others, last = mode.architectures
        raise OptionError(f"--arch {arch} is not {', '.join(others)} or {last}")
    return SimSiam(
        depth, views=len(mode.views), dim=dim, shortcut_norm=mode.shortcut_norm
    )


def arch_of(state_dict, mode):
    """Return the ``--arch`` whose blocks a state dict has, for peers' checkpoints.

    Parameters
    ----------
    state_dict : dict of str to Tensor
    mode : str
        Key of `lib.modes.MODES`.

    Returns
    -------
    str
        With 18 layers where the names tell nothing.
    """
    depth = 18
    if "layer1.0.conv3.weight" in state_dict:  # three convolutions a block
        depth = 50
    elif "layer1.2.conv1.weight" in state_dict:  # three blocks
        depth = 34
    return MODES[mode].architecture(depth)


def init_small(model, std=0.001):
    """Initialize the linear layers as MiLoPYP does: std 0.001, bias 0.001."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.constant_(module.bias, std)


def load_pretrained_trunk(model, source):
    """Start the trunk from ImageNet weights or a ResNet checkpoint.

    Parameters
    ----------
    model : SimSiam
    source : str
        ``"imagenet"``, ``"none"`` or a path. The three input channels are summed.

    Returns
    -------
    str
        What the trunk starts from, for the log.
    """
    if source == "none":
        return "random weights"
    if source == "imagenet":
        weights = imagenet_weights(model.depth)
        if weights is None:
            raise ResourceError(
                "--pretrained_model imagenet: the weights cannot be downloaded here; "
                f"fetch torchvision's resnet{model.depth} where there is a network and "
                "give its path, or leave the option out for random weights"
            )
    else:
        weights = read_state_dict(source)
    weights = dict(weights)
    stem = weights.get("conv1.weight")
    if stem is not None and stem.shape[1] == 3:
        weights["conv1.weight"] = _stem_of_one_channel(stem)
    own = model.state_dict()
    trunk = {
        name: value
        for name, value in weights.items()
        if name.startswith(("conv1.", "bn1.", "layer1.", "layer2.", "layer3."))
        and name in own
        and own[name].shape == value.shape
    }
    if "conv1.weight" not in trunk:
        raise ArtifactError(
            f"--pretrained_model {source} is no ResNet-{model.depth} checkpoint"
        )
    model.load_state_dict({**own, **trunk})
    return f"{source} ({len(trunk)} of the trunk's tensors)"


def read_state_dict(path):
    """Return the tensors of a checkpoint, whoever wrote it, executing nothing."""
    from lib.training.checkpoints import read_torch_file

    content = read_torch_file(path)
    state = content.get("state_dict", content)
    return {re.sub(r"^module\.", "", name): value for name, value in state.items()}


def _stem_of_one_channel(weight):
    """Sum the input channels of a stem; its 7x7 kernel is cut to the middle 3x3."""
    summed = weight.sum(dim=1, keepdim=True)
    edge = (summed.shape[-1] - 3) // 2
    return summed[..., edge : edge + 3, edge : edge + 3].contiguous()


def _shortcut(width, out, stride, norm):
    if stride == 1 and width == out:
        return None
    layers = [nn.Conv2d(width, out, 1, stride=stride, bias=False)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(out)] if norm else []))


def effective_rank(embeddings):
    """Return how many dimensions the embeddings really use.

    The exponential of the entropy of the covariance spectrum (Roy & Vetterli 2007);
    it sees the dimensional collapse that `output_std` misses.

    Parameters
    ----------
    embeddings : Tensor, shape (N, D)

    Returns
    -------
    float
        1 to D.
    """
    centered = embeddings.double() - embeddings.double().mean(0)
    return spectrum_rank(centered.T @ centered)


def spectrum_rank(covariance):
    """Return the effective rank of a covariance (D, D); see `effective_rank`."""
    # On the CPU: for a hundred numbers a GPU would have to load its solver first.
    spectrum = torch.linalg.eigvalsh(covariance.double().cpu()).clamp(min=0)
    share = spectrum / spectrum.sum().clamp(min=1e-300)
    return float(torch.exp(-(share * share.clamp(min=1e-300).log()).sum()))


def output_std(embeddings):
    """Return the collapse monitor of SimSiam (Chen & He 2021, fig. 2).

    Mean over dimensions of the std of the normalized embeddings (N, D); healthy is
    1 / sqrt(D), towards 0 is collapse.
    """
    return float(F.normalize(embeddings.float(), dim=1).std(0).mean())
