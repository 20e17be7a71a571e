"""The residual blocks of a ResNet, and the ImageNet weights from torchvision."""

import socket

import torch.nn.functional as F
from torch import nn
from torch.library import Library

DOWNLOAD_SECONDS = 20
COUNTS = {18: (2, 2, 2), 34: (3, 4, 6), 50: (3, 4, 6)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, fig. 5, left).

    Names, order and initialization of the parameters are torchvision's, so that its
    weights load and a seed gives the same network. Torchvision itself is asked for
    the ImageNet weights only: many GPU machines have torch alone.

    Parameters
    ----------
    width, planes : int
        Channels that come in, and those of the convolutions.
    stride : int
    shortcut : torch.nn.Module or None
        Brings the input to the shape of the output; None where it has that shape.
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
    """1x1, 3x3 and 1x1 convolutions and a shortcut; else as `BasicBlock`.

    The stride is that of the 3x3 convolution, as in torchvision ("ResNet V1.5").
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


def blocks_of(depth):
    """Return the residual block of a ResNet, and how many each layer has."""
    return (Bottleneck if depth == 50 else BasicBlock), COUNTS[depth]


def imagenet_weights(depth):
    """Return the ImageNet state dict of a ResNet, or None where it is out of reach."""
    try:
        models = _torchvision().models
    except ImportError:
        return None
    weights = models.get_model_weights(f"resnet{depth}").DEFAULT
    waited = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)  # a firewall may never answer
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except OSError:
        return None
    finally:
        socket.setdefaulttimeout(waited)


def _torchvision():
    """Import torchvision; where its binary does not fit, declare its operators.

    A torchvision built for CUDA cannot load its compiled operators beside a CPU
    build of torch, and then fails to import when it describes them. We use none of
    them, so that their schema is enough.
    """
    try:
        import torchvision
    except RuntimeError:
        import sys

        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        _torchvision.declared = Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _torchvision.declared.define(operator + schema)
        import torchvision
    return torchvision
