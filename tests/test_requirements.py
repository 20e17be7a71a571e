"""The core set is the complete set without Phoenix, but for the server."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NEWER = {"starlette", "uvicorn"}  # Phoenix needs old ones
PYTHONS = ("3.10", "3.11", "3.12")
# Imported by the project, and by the tests; the rest is what these need.
IMPORTED = {"torch", "numpy", "umap-learn", "pyarrow", "mrcfile", "pytest", "httpx"}


def pins(file, python):
    """Return the version of each package, by name, on one version of Python."""
    found = {}
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        text = re.sub(r"#.*", "", line).strip()
        if not text:
            continue
        asked = Requirement(text)
        if asked.marker is None or asked.marker.evaluate({"python_version": python}):
            name = canonicalize_name(asked.name)
            assert name not in found, f"{file} names {name} twice for {python}"
            assert re.fullmatch(r"==[\w.]+", str(asked.specifier)), f"{line}: no pin"
            found[name] = str(asked.specifier)
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_the_core_is_part_of_the_complete_set_but_for_the_server(python):
    core = pins("requirements-core.txt", python)
    complete = pins("requirements.txt", python)
    assert set(core) >= NEWER | IMPORTED
    assert {n: core[n] for n in set(core) - NEWER}.items() <= complete.items()
    assert {n for n in NEWER if core[n] == complete.get(n)} == set()


def test_the_core_has_nothing_of_phoenix():
    left = set(pins("requirements-core.txt", "3.11"))
    assert not {n for n in left if "phoenix" in n or "telemetry" in n}
    assert not left & {"fastapi", "sqlalchemy", "strawberry-graphql", "grpcio"}
