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
    "lib.maps.layout",
    "lib.pictures.map_pictures",
    "lib.pictures.patch_pictures",
    "lib.overlay.paint",
    "lib.export.picks",
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


def test_library_knows_neither_command_line_nor_scripts():
    scripts = {Path(script).stem for script in SCRIPTS}
    forbidden = {"opts", "argparse", "benchmarks", "tests", "sample_data"} | scripts
    known = {name: forbidden & packages(IMPORTS[name]) for name in LIBRARY}
    assert not {name: found for name, found in known.items() if found}


def test_no_import_cycle_in_the_library():
    reached = {name: below(name) for name in LIBRARY}
    pairs = {tuple(sorted((a, b))) for a in LIBRARY for b in reached[a] - {a}}
    assert not [(a, b) for a, b in pairs if b in reached[a] and a in reached[b]]


def test_folders_use_those_below_them_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    table = readme.split("| folder | content |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    folder = {name: name.split(".")[1] for name in LIBRARY if "." in name}
    assert set(folder.values()) == set(rows)
    edges = {(folder[a], folder[b]) for a in folder for b in IMPORTS[a] & set(folder)}
    assert not {(a, b) for a, b in edges if rows.index(a) > rows.index(b)}


def test_files_that_the_documents_name_exist():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text() for path in documents)
    named = set(re.findall(r"\b(?:lib|tests|benchmarks)/[\w/]+\.\w+", text))
    assert not {name for name in named if not (ROOT / name).exists()}


def test_plotting_never_imports_torch():
    reached = set().union(*map(below, PLOTTING))
    assert not [m for m in reached if {"torch", "torchvision"} & packages(IMPORTS[m])]


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
    )
    assert answer.returncode == 0, answer.stderr[-500:]
    assert answer.stdout.startswith("usage: ")
    loaded = re.findall(r"^import time:.*\| +(\S+)$", answer.stderr, re.MULTILINE)
    assert "argparse" in loaded
    assert not HEAVY & packages(loaded)
