"""The network: ResNet trunk, projector and predictor of SimSiam.

The architecture is that of SimSiam (Chen & He 2021) as MiLoPYP uses it; the losses
are in `lib.training.losses`. Parameters have the names of MiLoPYP's checkpoints, so
that these load here.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lib.errors import OptionError
from lib.modes import MODES

STAGES = ((64, 1), (128, 2), (256, 2))  # width and stride of layer1, 2, 3


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, fig. 5, left).

    Names, order and initialization of the parameters are those of torchvision, so
    that its weights load and a seed gives the same network.

    Parameters
    ----------
    width, planes : int
        Channels of the input and of the convolutions.
    stride : int
    shortcut : torch.nn.Module or None
        Maps the input to the shape of the output; None if the shapes are equal.
    """

    expansion = 1

    def __init__(self, width, planes, stride=1, shortcut=None):
        super().__init__()
        self.conv1 = _conv(width, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut

    def forward(self, x):
        """Map (N, width, H, W) to (N, planes, H / stride, W / stride)."""
        kept = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += kept
        return F.relu(x, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; otherwise as `BasicBlock`.

    The 3x3 convolution has the stride, as in torchvision ("ResNet V1.5").
    """

    expansion = 4

    def __init__(self, width, planes, stride=1, shortcut=None):
        super().__init__()
        self.conv1 = _conv(width, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = _conv(planes, planes * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.downsample = shortcut

    def forward(self, x):
        """Map (N, width, H, W) to (N, 4 x planes, H / stride, W / stride)."""
        kept = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = self.bn3(self.conv3(x))
        x += kept
        return F.relu(x, inplace=True)


def _conv(width, planes, kernel, stride=1):
    return nn.Conv2d(
        width, planes, kernel, stride=stride, padding=kernel // 2, bias=False
    )


# Residual block of a ResNet by its depth, and the number of blocks in each stage.
BLOCKS = {
    18: (BasicBlock, (2, 2, 2)),
    34: (BasicBlock, (3, 4, 6)),
    50: (Bottleneck, (3, 4, 6)),
}


class SimSiam(nn.Module):
    """Trunk shared by all views, projector and predictor.

    Parameters
    ----------
    depth : {18, 34, 50}
        Layers of the ResNet; its last stage is left out.
    views : int
        Views of a candidate; their features are concatenated.
    dim : int
        Length of the embedding.
    shortcut_norm : bool
        Whether the shortcuts have a batch norm.

    Attributes
    ----------
    recompute : bool
        Whether the backward pass computes the full-resolution layers again (Chen et
        al. 2016): the result is the same and needs less memory.
    """

    def __init__(self, depth, views, dim=128, shortcut_norm=True):
        super().__init__()
        self.depth = depth
        self.recompute = False
        block, counts = BLOCKS[depth]
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

    def encode(self, views):
        """Map views (N, V, H, W) to projection z and prediction p, both (N, dim)."""
        features = self.trunk(views).float()
        # The heads are cheap, and bf16 would lose their third digit.
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
    """Return the ``--arch`` of a state dict, judging by the names of its tensors.

    For checkpoints of MiLoPYP, which do not store it.

    Parameters
    ----------
    state_dict : dict of str to Tensor
    mode : str
        Key of `lib.modes.MODES`.

    Returns
    -------
    str
        With 18 layers by default.
    """
    depth = 18
    if "layer1.0.conv3.weight" in state_dict:  # three convolutions per block
        depth = 50
    elif "layer1.2.conv1.weight" in state_dict:  # three blocks
        depth = 34
    return MODES[mode].architecture(depth)


def _shortcut(width, out, stride, norm):
    if stride == 1 and width == out:
        return None
    layers = [nn.Conv2d(width, out, 1, stride=stride, bias=False)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(out)] if norm else []))
