"""Files are opened once a run, and what a check found is not measured again."""

import json
import os
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest

from lib.errors import GeometryError
from lib.geometry import check, contrast_check, stored_findings
from lib.geometry.check import check_tomograms
from lib.inputs import mrc
from lib.inputs import tomogram as tomogram_files
from lib.inputs.image_list import read_image_list
from lib.inputs.tomogram import Tomogram
from lib.patches.preparation import prepare_store
from sample_data.make_synthetic import make_tomogram
from sample_data.simulation import write_tomogram
from tests.data_sets import small_options


def read(listed, needs_tilts=True):
    return read_image_list(
        listed, project=listed.parent, needs_tilts=needs_tilts, order="zxy"
    )


def count(monkeypatch, module, name, calls):
    """Count the calls of a function by its name."""
    original = getattr(module, name)

    def counted(*args, **kwargs):
        calls[name] += 1
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)


@pytest.fixture
def calls(monkeypatch):
    """How often headers and angles were read, and tomograms measured."""
    calls = Counter()
    count(monkeypatch, mrc, "decode_header", calls)
    count(monkeypatch, tomogram_files, "read_tilt_angles", calls)
    count(monkeypatch, check, "examine", calls)
    count(monkeypatch, contrast_check, "measure_contrast", calls)
    return calls


@pytest.fixture(scope="module")
def made():
    return make_tomogram(5, (32, 96, 96), noise=1.0)


@pytest.fixture
def write(tmp_path, made):
    """Return a function that writes a tomogram, perhaps inverted, and opens it."""

    def to_disk(sign=1):
        files = made.tomogram * sign, made.tilts, made.angles
        write_tomogram(tmp_path, "t", *files, "xzy", 10.0)
        return open_it(tmp_path)

    return to_disk


def open_it(folder, name="t"):
    rec, ali, tlt = (folder / f"t.{end}" for end in ("rec", "ali", "tlt"))
    return Tomogram.from_files(rec, name=name, tilt_path=ali, angle_path=tlt)


@pytest.mark.parametrize("mode", ["simsiam2d3d", "simsiam3d"])
def test_every_header_is_read_once_in_a_run(data_set, tmp_path, calls, mode):
    tilted = mode == "simsiam2d3d"
    tomograms = read(data_set, needs_tilts=tilted)
    check_tomograms(tomograms, force=True, cache=tmp_path)
    store = prepare_store(tomograms, small_options(mode), cache=tmp_path, workers=0)
    for tomogram in tomograms:
        tomogram.map_voxels()
    assert len(store)
    assert calls["decode_header"] == (4 if tilted else 2)
    assert calls["read_tilt_angles"] == (2 if tilted else 0)


def test_the_next_run_uses_the_finding_and_says_so(write, tmp_path, calls, capsys):
    cache = tmp_path / "cache"
    check_tomograms([write()], cache=cache)
    first = capsys.readouterr().out
    check_tomograms([open_it(tmp_path, name="renamed")], cache=cache)
    second = capsys.readouterr().out
    assert calls["examine"] == 1
    assert "geometry: 1 of 1 tomograms were checked before" in second
    last = [text.splitlines()[-1].split()[1:] for text in (first, second)]
    assert last[0] == last[1]
    assert second.splitlines()[-1].startswith("renamed")
    check_tomograms([open_it(tmp_path)])  # no cache: as --check_geometry does
    assert calls["examine"] == 2


def test_what_is_made_of_a_finding_depends_on_the_options_of_today(
    write, tmp_path, calls, capsys
):
    tomogram, cache = write(sign=-1), tmp_path / "cache"
    for _ in range(2):
        with pytest.raises(GeometryError, match="opposite contrast"):
            check_tomograms([tomogram], cache=cache)
    check_tomograms([tomogram], cache=cache, bright=True)
    check_tomograms([tomogram], cache=cache, force=True)
    assert "warning: geometry: t: tomogram and tilt" in capsys.readouterr().err
    assert calls["examine"] == 1


def touch(folder, ending):
    stat = (folder / f"t.{ending}").stat()
    os.utime(folder / f"t.{ending}", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def rewrite(path, content):
    """Replace a file by one of the same size and time, as disks without times do."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def reverse_lines(path):
    rewrite(path, b"".join(reversed(path.read_bytes().splitlines(keepends=True))))


def change_mean_in_header(path):
    content = bytearray(path.read_bytes())
    content[84:88] = np.float32(0.125).tobytes()
    rewrite(path, bytes(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder, _: reverse_lines(folder / "t.tlt"),
        lambda folder, _: change_mean_in_header(folder / "t.rec"),
        lambda folder, _: touch(folder, "rec"),
        lambda folder, _: touch(folder, "ali"),
        lambda folder, _: touch(folder, "tlt"),
        lambda _, patch: patch.setattr(stored_findings, "code_digest", lambda _: "new"),
    ],
    ids=["angles in place", "header", "tomogram", "tilts", "angles", "code"],
)
def test_a_change_is_measured(write, tmp_path, monkeypatch, calls, change):
    cache = tmp_path / "cache"
    check_tomograms([write()], cache=cache)
    change(tmp_path, monkeypatch)
    # Angles in the other order are rejected, after they were measured.
    with suppress(GeometryError):
        check_tomograms([open_it(tmp_path)], cache=cache)
    assert calls["examine"] == 2


def test_other_options_are_measured(write, tmp_path, calls):
    cache = tmp_path / "cache"
    check_tomograms([write()], cache=cache)
    with pytest.raises(GeometryError, match="flip_tilt_angles"):
        check_tomograms([open_it(tmp_path)], cache=cache, flip_tilt_angles=True)
    assert calls["examine"] == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"name": "t"})])
def test_a_damaged_finding_is_measured_again(write, tmp_path, calls, content):
    cache = tmp_path / "cache"
    check_tomograms([write()], cache=cache)
    (path,) = cache.iterdir()
    whole = path.read_text()
    path.write_text(content)
    check_tomograms([open_it(tmp_path)], cache=cache)
    assert calls["examine"] == 2
    assert path.read_text() == whole


def test_a_cache_that_cannot_be_written_is_no_obstacle(write, tmp_path, calls):
    (tmp_path / "cache").write_text("a file")
    check_tomograms([write()], cache=tmp_path / "cache")
    assert calls["examine"] == 1


def test_contrast_without_tilt_series_is_stored_too(write, tmp_path, calls, capsys):
    write(sign=-1)
    tomogram = Tomogram.from_files(tmp_path / "t.rec")
    said = []
    for _ in range(2):
        check_tomograms([tomogram], cache=tmp_path / "cache")
        said.append(capsys.readouterr())
    assert calls["measure_contrast"] == 1
    assert said[0].err == said[1].err
    assert "contrast: 1 of 1 tomograms were checked before" in said[1].out
