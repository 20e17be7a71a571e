import pytest
import torch
from torch import nn

from lib.errors import OptionError
from lib.system.runtime import autocast
from lib.training import models
from lib.training.compute import activation_bytes
from lib.training.losses import simsiam_loss
from lib.training.models import build_model
from lib.training.pretrained import _torchvision

WEIGHT = ("weight",)
AFFINE = ("weight", "bias")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
NORM = (*AFFINE, *STATISTICS)


def peers_names(mode):
    """Return the name of every tensor in a checkpoint of MiLoPYP, 18 layers deep."""
    layers = {"conv1": WEIGHT, "bn1": NORM, "fc": AFFINE}
    for block in (
        "layer1.0",
        "layer1.1",
        "layer2.0",
        "layer2.1",
        "layer3.0",
        "layer3.1",
    ):
        for number in (1, 2):
            layers[f"{block}.conv{number}"] = WEIGHT
            layers[f"{block}.bn{number}"] = NORM
    for block in ("layer2.0", "layer3.0"):
        layers[f"{block}.downsample.0"] = WEIGHT
        if mode == "simsiam2d3d":
            layers[f"{block}.downsample.1"] = NORM
    layers |= {"proj.0": WEIGHT, "proj.1": NORM, "proj.3": WEIGHT, "proj.4": NORM}
    layers |= {"proj.6": WEIGHT, "proj.7": STATISTICS}
    layers |= {"pred.0": WEIGHT, "pred.1": NORM, "pred.3": AFFINE}
    return {f"{name}.{part}" for name, parts in layers.items() for part in parts}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("simsiam2d_18", mode="simsiam3d")


@pytest.mark.parametrize(
    ("arch", "mode", "features"),
    [("simsiam2d3d_18", "simsiam2d3d", 512), ("simsiam2d_18", "simsiam3d", 256)],
)
def test_tensors_have_the_names_of_the_peers_checkpoints(arch, mode, features):
    tensors = build_model(arch, mode=mode).state_dict()
    assert set(tensors) == peers_names(mode)
    assert tensors["fc.weight"].shape == (128, features)


def test_features_of_the_views_are_concatenated_in_their_order():
    torch.manual_seed(0)
    both = build_model("simsiam2d3d_18", mode="simsiam2d3d").eval()
    views = torch.randn(3, 2, 8, 8)
    features = both.trunk(views)
    for v in range(2):
        twice = views[:, v : v + 1].expand(-1, 2, -1, -1)
        expected = both.trunk(twice)[:, 256 * v : 256 * (v + 1)]
        torch.testing.assert_close(features[:, 256 * v : 256 * (v + 1)], expected)


@pytest.mark.parametrize(
    ("arch", "features"), [("simsiam2d_34", 256), ("simsiam2d_50", 1024)]
)
def test_deeper_trunks_exist(arch, features):
    deep = build_model(arch, mode="simsiam3d")
    assert deep.trunk(torch.randn(2, 1, 8, 8)).shape == (2, features)


@pytest.mark.parametrize(
    ("arch", "mode"),
    [
        ("simsiam2d3d_18", "simsiam3d"),
        ("simsiam2d3d_19", "simsiam2d3d"),
        ("", "simsiam3d"),
    ],
)
def test_unknown_architecture_is_rejected(arch, mode):
    with pytest.raises(OptionError, match="--arch"):
        build_model(arch, mode=mode)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_computed_twice_change_nothing(precision):
    torch.manual_seed(0)
    model = build_model("simsiam2d3d_18", mode="simsiam2d3d", dim=16)
    views = torch.randn(2, 6, 2, 16, 16)
    gradients = []
    for model.recompute in (False, True):
        model.zero_grad()
        with autocast(torch.device("cpu"), precision):
            p1, p2, z1, z2 = model(*views)
        loss = simsiam_loss(p1, p2, z1, z2)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    for kept, recomputed in zip(*gradients, strict=True):
        assert torch.equal(kept, recomputed)


def test_layers_computed_twice_keep_less():
    """Count what the backward pass saves."""
    model = build_model("simsiam2d_18", mode="simsiam3d", dim=16)
    views = torch.randn(4, 1, 16, 16)

    def kept():
        sizes = {}

        def keep(tensor):
            if not isinstance(tensor, torch.nn.Parameter):
                sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.encode(views)
        return sum(sizes.values())

    plain = kept()
    model.recompute = True
    assert kept() < 0.7 * plain


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_what_a_step_keeps_is_estimated(depth, precision):
    model = models.SimSiam(depth, 1).to(memory_format=torch.channels_last)
    sizes = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            sizes[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with (
        autocast(torch.device("cpu"), precision),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        model.encode(torch.randn(16, 1, 24, 24))
    estimate = activation_bytes(depth, batch=16, views=1, box=24, precision=precision)
    weights = (
        0 if precision == "fp32" else 2 * sum(p.numel() for p in model.parameters())
    )
    assert sum(sizes.values()) - weights == pytest.approx(estimate / 2, rel=0.25)


@pytest.mark.parametrize("name", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
def test_blocks_are_torchvisions_bit_for_bit(name, stride):
    resnet = _torchvision().models.resnet

    def made(block):
        torch.manual_seed(0)
        width = 8 * block.expansion
        shortcut = nn.Conv2d(width, width, 1, stride=2) if stride == 2 else None
        return block(width, 8, stride, shortcut)

    ours, theirs = made(getattr(models, name)), made(getattr(resnet, name))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for own, peer in zip(
        ours.state_dict().values(), theirs.state_dict().values(), strict=True
    ):
        assert torch.equal(own, peer)
    x = torch.randn(3, ours.conv1.in_channels, 6, 6)
    results = []
    for block in (ours, theirs):
        y = block(x)
        y.square().sum().backward()
        results.append([y, *(p.grad for p in block.parameters())])
    for own, peer in zip(*results, strict=True):
        assert torch.equal(own, peer)
