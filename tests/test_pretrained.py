import sys

import pytest
import torch

from lib.errors import ArtifactError, ResourceError
from lib.training.models import build_model
from lib.training.pretrained import init_small, load_pretrained_trunk


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("simsiam2d_18", mode="simsiam3d")


def test_small_initialization_is_the_peers(model):
    small = build_model("simsiam2d_18", mode="simsiam3d")
    init_small(small)
    assert small.fc.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert small.pred[3].bias.unique().item() == pytest.approx(0.001)


def test_trunk_starts_from_a_resnet_checkpoint(model, tmp_path):
    weights = {
        k: torch.full_like(v, 2) for k, v in model.state_dict().items() if "layer1" in k
    }
    weights["conv1.weight"] = torch.randn(64, 3, 7, 7)
    torch.save(weights, tmp_path / "resnet.pth")
    fresh = build_model("simsiam2d_18", mode="simsiam3d")
    load_pretrained_trunk(fresh, str(tmp_path / "resnet.pth"))
    torch.testing.assert_close(
        fresh.conv1.weight, weights["conv1.weight"].sum(1, keepdim=True)[..., 2:5, 2:5]
    )
    key = "layer1.0.conv1.weight"
    torch.testing.assert_close(fresh.state_dict()[key], weights[key])


def test_file_that_is_no_resnet_is_rejected(model, tmp_path):
    torch.save({"something": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ArtifactError, match="not a ResNet-18"):
        load_pretrained_trunk(model, str(tmp_path / "other.pth"))
    with pytest.raises(ArtifactError, match="does not exist"):
        load_pretrained_trunk(model, str(tmp_path / "nowhere.pth"))


def test_weights_that_were_asked_for_and_cannot_be_had_are_no_random_ones(
    monkeypatch, model
):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ResourceError, match="cannot be downloaded here; fetch"):
        load_pretrained_trunk(model, "imagenet")
