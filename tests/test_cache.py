"""What the cache of candidates and patches keeps, finds again, lists and frees."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

import opts
from lib.artifacts import claim, fingerprints
from lib.candidates import dog
from lib.geometry.stored_findings import MEASURING
from lib.inputs.image_list import read_image_list
from lib.inputs.tomogram import Tomogram
from lib.patches import keys, making
from lib.patches.cache import clear_cache, list_cache, print_cache
from lib.patches.entries import NOTE_USE_AFTER, find_entries, last_use
from lib.patches.keys import CUTTING, FINDING, candidates_folder
from lib.patches.preparation import prepare_candidates, prepare_store
from lib.pictures.candidate_picture import draw_candidates
from tests.data_sets import small_options, write_data_set
from tests.scripts import PROJECT
from tests.test_layering import below


@pytest.fixture
def searched(monkeypatch):
    """The tomograms that are searched, a name each time."""
    names = []
    search = making._search

    def note_and_search(tomogram, *arguments):
        names.append(tomogram.name)
        return search(tomogram, *arguments)

    monkeypatch.setattr(making, "_search", note_and_search)
    return names


def tomograms_of(listed, mode="simsiam2d3d"):
    return read_image_list(
        listed, project=listed.parent, needs_tilts=mode == "simsiam2d3d", order="zxy"
    )


def prepare(listed, cache, mode="simsiam2d3d", embedded_only=False, **changes):
    options = small_options(mode, **changes)
    return prepare_store(
        tomograms_of(listed, mode),
        options,
        cache=cache,
        workers=0,
        embedded_only=embedded_only,
    )


def entries_in(cache, kind):
    return sorted(cache.glob(f"{kind}-*"))


def test_dry_run_writes_candidates_only_and_training_uses_them(
    data_set, tmp_path, searched
):
    found = prepare_candidates(
        tomograms_of(data_set), small_options("simsiam2d3d"), cache=tmp_path, workers=0
    )
    assert searched == ["tomo1", "tomo2"]
    assert all(entry.patches is None for entry in found)
    assert len(entries_in(tmp_path, "candidates")) == 2
    assert not list(tmp_path.rglob("patches.u8"))
    store = prepare(data_set, tmp_path)
    assert searched == ["tomo1", "tomo2"]
    left_out = sum(entry.metadata.left_out for entry in store.entries)
    assert len(store) + left_out == sum(len(entry.coords) for entry in found)


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("simsiam2d3d", {"box": 10}),
        ("simsiam2d3d", {"tilt_range": 15.0}),
        ("simsiam2d3d", {"disjoint_tilts": True}),
        ("simsiam3d", {}),
    ],
)
def test_what_only_cuts_does_not_search_again(
    data_set, tmp_path, searched, mode, changes
):
    prepare(data_set, tmp_path)
    assert searched == ["tomo1", "tomo2"]
    prepare(data_set, tmp_path, mode, **changes)
    assert searched == ["tomo1", "tomo2"]
    assert len(entries_in(tmp_path, "candidates")) == 2
    assert len(entries_in(tmp_path, "patches")) == 4


def test_a_box_that_widens_the_margins_searches_again(data_set, tmp_path, searched):
    prepare(data_set, tmp_path)
    prepare(data_set, tmp_path, box=16)
    assert len(searched) == 4


def test_inference_cuts_what_it_reads_and_takes_what_training_cut(data_set, tmp_path):
    trained = prepare(data_set, tmp_path / "trained")
    embedded = prepare(data_set, tmp_path / "new", embedded_only=True)
    assert [entry.patches.shape[1] for entry in embedded.entries] == [1, 1]
    rows = np.arange(len(trained))
    np.testing.assert_array_equal(embedded.coords, trained.coords)
    np.testing.assert_array_equal(
        embedded.gather(rows, 0 * rows), trained.gather(rows, 0 * rows)
    )
    assert embedded.normalization() == trained.normalization()
    before = sorted((tmp_path / "trained").iterdir())
    again = prepare(data_set, tmp_path / "trained", embedded_only=True)
    assert sorted((tmp_path / "trained").iterdir()) == before
    assert [entry.patches.shape for entry in again.entries] == [
        entry.patches.shape for entry in trained.entries
    ]


def test_patches_are_stored_by_strength_whatever_the_order_of_cutting(
    data_set, tmp_path, monkeypatch
):
    whole = prepare(data_set, tmp_path / "one")
    monkeypatch.setattr(making, "CUT_AT_ONCE", 3)
    chunks = prepare(data_set, tmp_path / "many")
    for one, other in zip(whole.entries, chunks.entries, strict=True):
        np.testing.assert_array_equal(one.patches, other.patches)
        assert one.metadata == other.metadata


def test_device_and_code_are_in_the_name_of_an_entry(data_set, tmp_path, monkeypatch):
    (tomogram, _), options = tomograms_of(data_set), small_options("simsiam2d3d")

    def name(device):
        return candidates_folder(tmp_path, tomogram, options, device).name

    assert len({name("cpu"), name("cpu:0"), name("cuda:0")}) == 3
    assert name("cuda:0") == name("cuda:1")
    before = name("cpu")
    monkeypatch.setattr(keys, "code_digest", lambda _: "changed")
    assert name("cpu") != before


def test_entry_is_not_taken_for_another_file_of_the_same_size_and_time(tmp_path):
    listed = write_data_set(tmp_path)
    (tomogram, other), options = tomograms_of(listed), small_options("simsiam2d3d")
    before = candidates_folder(tmp_path, tomogram, options, "cpu")
    times = tomogram.rec_path.stat()
    tomogram.rec_path.write_bytes(other.rec_path.read_bytes())
    os.utime(tomogram.rec_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert candidates_folder(tmp_path, tomogram, options, "cpu") != before


def test_a_changed_line_of_code_changes_its_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "LIBRARY", tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    before = fingerprints.code_digest.__wrapped__(("*.py",))
    assert fingerprints.code_digest.__wrapped__(("*.py",)) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert fingerprints.code_digest.__wrapped__(("*.py",)) != before


@pytest.mark.parametrize(
    ("patterns", "modules"),
    [
        (FINDING, ("lib.patches.tomogram_data", dog.__name__)),
        (CUTTING, ("lib.patches.tomogram_data", "lib.patches.views")),
        # Beside the record of runs, which the modules of files import.
        (
            (*MEASURING, "run/*.py"),
            ("lib.geometry.verdict", "lib.geometry.contrast_check"),
        ),
    ],
)
def test_digests_hold_all_code_that_they_stand_for(patterns, modules):
    """Beside errors, files and the machine, which change no voxel."""
    held = {path for text in patterns for path in fingerprints.LIBRARY.glob(text)}
    needed = {name for module in modules for name in below(module)}
    for name in needed:
        if name.count(".") < 1 or name.split(".")[1] in (
            "errors",
            "streams",
            "system",
            "artifacts",
        ):
            continue
        path = PROJECT / f"{name.replace('.', '/')}.py"
        assert path in held or path.with_suffix("").is_dir(), name


def test_cache_is_listed_and_freed(data_set, tmp_path, capsys):
    prepare(data_set, tmp_path)
    foreign = [tmp_path / "notes.txt", tmp_path / "f00d" / "x"]
    (tmp_path / "f00d").mkdir()
    for path in foreign:
        path.write_text("mine")
    earlier = tmp_path / ("0" * 24)
    earlier.mkdir()
    np.save(earlier / "coords.npy", np.zeros((7, 3), np.int32))
    (earlier / "facts.json").write_text('{"name": "old"}')
    listed = {(e.tomogram, e.kind): e for e in list_cache(tmp_path)}
    both = [(t, k) for t in ("tomo1", "tomo2") for k in ("candidates", "patches")]
    assert listed.keys() == {*both, ("old", "earlier version")}
    assert [e.is_current for e in listed.values()].count(False) == 1
    assert listed["old", "earlier version"].candidates == 7
    print_cache(tmp_path)
    told = capsys.readouterr().out
    assert "earlier version" in told
    assert "5 entries in" in told
    clear_cache(tmp_path, outdated_only=True)
    assert "removed 1 entry " in capsys.readouterr().out
    clear_cache(tmp_path, unused_days=1)
    assert len(list_cache(tmp_path)) == 4
    with claim(listed["tomo1", "patches"].folder):
        clear_cache(tmp_path)
    assert "not removed: 1 entry," in capsys.readouterr().out
    assert [(e.tomogram, e.kind) for e in list_cache(tmp_path)] == [
        ("tomo1", "patches")
    ]
    clear_cache(tmp_path)
    assert all(path.read_text() == "mine" for path in foreign)
    assert len(list(tmp_path.iterdir())) == 2


def test_use_is_noted(data_set, tmp_path):
    import os

    prepare(data_set, tmp_path)
    folder = entries_in(tmp_path, "patches")[0]
    long_ago = time.time() - 10 * NOTE_USE_AFTER
    os.utime(folder / "entry.json", (long_ago, long_ago))
    find_entries([folder])
    assert time.time() - last_use(folder) < NOTE_USE_AFTER


def test_command_lists_and_frees(data_set, tmp_path):
    def command(*more):
        arguments = ["simsiam_main.py", "cache", "--exp_dir", tmp_path, *more]
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=PROJECT,
            text=True,
            capture_output=True,
            check=True,
            timeout=300,
        ).stdout

    prepare(data_set, tmp_path / ".patches")
    assert "4 entries in" in command()
    assert "removed 4 entries" in command("--clear")
    assert "0 entries in" in command()


def test_what_to_clear_needs_clear(capsys):
    with pytest.raises(SystemExit):
        opts.cache_options(["--unused_days", "3"])
    assert "--clear" in capsys.readouterr().err


def test_kill_while_an_entry_is_written_leaves_no_half(tmp_path):
    listed = write_data_set(tmp_path / "data", names=("tomo1",))
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, pathlib, signal, sys\n"
        "from lib.patches import making\n"
        "from tests.test_cache import prepare\n"
        "def cut(*_, **__):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "making.cut_views = cut\n"
        "prepare(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
    )
    cache = tmp_path / "cache"
    command = [sys.executable, script, listed, cache]
    environment = {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        list(map(str, command)), cwd=PROJECT, env=environment, check=False, timeout=300
    )
    assert killed.returncode == -9
    assert len(entries_in(cache, "candidates")) == 1  # whole: the search was done
    assert not entries_in(cache, "patches")
    store = prepare(listed, cache)
    assert len(store) > 0
    assert all(
        path.name.startswith(("candidates-", "patches-")) for path in cache.iterdir()
    )


def test_a_picture_that_shows_the_same_is_not_drawn_again(tmp_path):
    listed = write_data_set(tmp_path, names=("tomo1",))
    (tomogram,) = tomograms_of(listed)
    assert isinstance(tomogram, Tomogram)
    about = {"box": 8, "diameter": 8, "sigmas": (1.5, 3)}
    coords, path = np.array([[30, 30, 12]], np.int32), tmp_path / "candidates.png"
    assert draw_candidates(path, tomogram, coords, **about)
    assert not draw_candidates(path, tomogram, coords, **about)
    assert draw_candidates(path, tomogram, coords + 1, **about)
    assert draw_candidates(path, tomogram, coords + 1, **{**about, "box": 10})
    path.write_bytes(b"not a picture")
    assert draw_candidates(path, tomogram, coords, **about)


def test_findings_of_checks_are_freed_with_the_cache_and_nothing_else(tmp_path):
    finding = tmp_path / f"geometry-{'0' * 24}.json"
    others = tmp_path / "geometry-notes.json", tmp_path / "notes.txt"
    for path in (finding, *others):
        path.write_text("{}")
    for kept in ({"outdated_only": True}, {"unused_days": 1}):
        clear_cache(tmp_path, **kept)
        assert finding.exists()
    clear_cache(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
