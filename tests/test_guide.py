"""The commands in docs/your_data.md parse, and its links lead somewhere."""

import re
import shlex

import pytest

import opts
from lib.candidates.particle_size import ParticleSize

GUIDE = opts.PROJECT / "docs" / "your_data.md"
TEXT = GUIDE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ *python simsiam_main\.py (.+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_guide_parses(command, tmp_path):
    words = shlex.split(command)
    if "--config" in words:
        config = tmp_path / "opts.yaml"
        config.write_text("mode: simsiam3d\nbbox: 36\n")
        words[words.index("--config") + 1] = str(config)
    parse = opts.list_options if "--make_list" in words else opts.train_options
    assert parse(words).task in ("simsiam2d3d", "simsiam3d")


def test_line_that_the_guide_shows_is_what_follows():
    size = ParticleSize((250.0,), 10.0)
    line = " ".join(f"--{name} {value}" for name, value in size.options().items())
    assert f"particle diameter 250 A at 10 A/voxel: {line}" in TEXT


def test_links_of_the_guide_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        page = GUIDE.parent / path if path else GUIDE
        assert page.exists(), target
        if anchor and page.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
            anchors = [
                re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                for title in titles
            ]
            assert anchor in anchors, target
