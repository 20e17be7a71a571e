"""What we take from torchvision, on matched installs and beside a CPU torch."""

import socket

from torch.library import Library

DOWNLOAD_SECONDS = 20
COUNTS = {18: (2, 2, 2), 34: (3, 4, 6), 50: (3, 4, 6)}


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


def blocks_of(depth):
    """Return the residual block of a ResNet, and how many each layer has."""
    resnet = _torchvision().models.resnet
    return (resnet.Bottleneck if depth == 50 else resnet.BasicBlock), COUNTS[depth]


def imagenet_weights(depth):
    """Return the ImageNet state dict of a ResNet, or None where it is out of reach."""
    models = _torchvision().models
    weights = models.get_model_weights(f"resnet{depth}").DEFAULT
    waited = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)  # a firewall may never answer
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except OSError:
        return None
    finally:
        socket.setdefaulttimeout(waited)
