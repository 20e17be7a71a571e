"""Initial weights: MiLoPYP's small ones, ImageNet, or a ResNet checkpoint.

Torchvision is needed for the ImageNet weights only; many GPU machines have PyTorch
alone.
"""

import re
import socket

from torch import nn
from torch.library import Library

from lib.errors import ArtifactError, ResourceError
from lib.training.checkpoints import read_torch_file

DOWNLOAD_SECONDS = 20


def init_small(model, std=0.001):
    """Initialize the linear layers as MiLoPYP does: std 0.001, bias 0.001."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.constant_(module.bias, std)


def load_pretrained_trunk(model, source):
    """Initialize the trunk with ImageNet weights or a ResNet checkpoint.

    Parameters
    ----------
    model : SimSiam
    source : str
        ``"imagenet"``, ``"none"`` or a path. The three input channels are summed.

    Returns
    -------
    str
        The source of the weights, for the log.
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
            f"--pretrained_model {source} is not a ResNet-{model.depth} checkpoint"
        )
    model.load_state_dict({**own, **trunk})
    return f"{source} ({len(trunk)} of the trunk's tensors)"


def read_state_dict(path):
    """Return the tensors of a checkpoint of any program, without executing code."""
    content = read_torch_file(path)
    state = content.get("state_dict", content)
    return {re.sub(r"^module\.", "", name): value for name, value in state.items()}


def _stem_of_one_channel(weight):
    """Sum the input channels of a stem and crop its 7x7 kernel to the central 3x3."""
    summed = weight.sum(dim=1, keepdim=True)
    edge = (summed.shape[-1] - 3) // 2
    return summed[..., edge : edge + 3, edge : edge + 3].contiguous()


def imagenet_weights(depth):
    """Return the ImageNet weights of a ResNet, or None if they cannot be loaded."""
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
    """Import torchvision; declare its compiled operators if they do not load.

    A torchvision built for CUDA cannot load its compiled operators beside a CPU
    build of torch, and its import then fails. The operators are not used here, so
    declaring their schemas is enough.
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
