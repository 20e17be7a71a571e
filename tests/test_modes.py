"""The modes are data, and nothing else decides by their names."""

import re
from pathlib import Path

import pytest

from lib.modes import MODES
from lib.patches.views import VIEWS
from lib.training.models import build_model
from lib.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_mode_fits_what_is_built_from_it(mode):
    assert set(mode.views) <= set(VIEWS)
    assert mode.needs_tilts == ("tilt" in mode.views)
    assert [mode.depth(arch) for arch in mode.architectures] == [18, 34, 50]
    assert mode.depth(f"{mode.arch_stem}_19") is None
    model = build_model(mode.architectures[0], mode=mode.name, dim=16)
    assert model.fc.in_features == 256 * len(mode.views)
    assert ("layer2.0.downsample.1.weight" in model.state_dict()) == mode.shortcut_norm
    for recipe in RECIPES.values():
        assert mode.name in recipe.augmentations
        assert mode.name in recipe.patching


def test_no_module_compares_with_the_name_of_a_mode():
    paths = [path for path in (ROOT / "lib").rglob("*.py") if path.name != "modes.py"]
    name = '"simsiam(2d)?3d"'
    found = [
        path.name
        for path in [*paths, *ROOT.glob("*.py")]
        if re.search(rf"[=!]= {name}|{name}:", path.read_text())
    ]
    assert not found
