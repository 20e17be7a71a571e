"""Imports point one way, and ``--help`` brings in nothing heavy."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted((ROOT / "lib").rglob("*.py"))
}
LIBRARY = {name.removesuffix(".__init__"): path for name, path in LIBRARY.items()}
SCRIPTS = (
    "simsiam_main.py",
    "simsiam_test_hm_2d3d.py",
    "simsiam_test_hm_3d.py",
    "plot_2d.py",
    "visualize_3dhm.py",
    "phoenix_visualization.py",
    "interactive_to_training_coords.py",
)
PLOTTING = (
    "lib.maps.clustering",
    "lib.maps.mapping",
    "lib.maps.figures",
    "lib.maps.patch_pictures",
    "lib.maps.heatmap",
    "lib.coordinates",
)
HEAVY = {"torch", "torchvision", "numpy", "scipy", "sklearn", "umap", "numba"}
HEAVY |= {"pandas", "pyarrow", "matplotlib", "phoenix", "mrcfile", "PIL"}


def imported_modules(path):
    """Yield the names of all modules a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {name: set(imported_modules(path)) for name, path in LIBRARY.items()}


def below(name):
    """Return the library modules that `name` reaches, itself included."""
    reached, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += IMPORTS[module] & set(LIBRARY)
    return reached


def packages(modules):
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("name", LIBRARY)
def test_library_knows_neither_command_line_nor_scripts(name):
    scripts = {Path(script).stem for script in SCRIPTS}
    forbidden = {"opts", "argparse", "benchmarks", "tests", "sample_data"} | scripts
    assert not forbidden & packages(IMPORTS[name])


@pytest.mark.parametrize("name", LIBRARY)
def test_no_import_cycle_in_the_library(name):
    for module in IMPORTS[name] & set(LIBRARY):
        assert name not in below(module), f"{name} and {module} import each other"


@pytest.mark.parametrize("name", PLOTTING)
def test_plotting_never_imports_torch(name):
    for module in below(name):
        assert not {"torch", "torchvision"} & packages(IMPORTS[module]), module


def test_the_options_import_nothing_heavy():
    opts = set(imported_modules(ROOT / "opts.py"))
    reached = opts.union(*(IMPORTS[m] for n in opts & set(LIBRARY) for m in below(n)))
    assert not HEAVY & packages(reached)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_answers_without_the_heavy_imports(script, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / script, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr[-500:]
    assert answer.stdout.startswith("usage: ")
    loaded = re.findall(r"^import time:.*\| +(\S+)$", answer.stderr, re.MULTILINE)
    assert "argparse" in loaded
    assert not HEAVY & packages(loaded)


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_turns_refusals_into_one_message(script):
    *_, last = ast.parse((ROOT / script).read_text(encoding="utf-8")).body
    assert ast.unparse(last).startswith("if __name__ == '__main__':\n    run_script(")
