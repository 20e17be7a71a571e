import os
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from lib.errors import InputError, OptionError, ResourceError, run_script
from lib.inputs.image_list import read_image_list
from lib.patches import preparation
from lib.patches.cache import cache_folder
from lib.patches.options import PatchOptions
from lib.patches.preparation import (
    prepare_store,
    warn_of_small_box,
)
from lib.patches.resources import LIBRARY_BYTES
from lib.patches.tomogram_data import load_tomogram
from lib.patches.views import cut_views
from lib.system.ranks import Ranks
from tests.data_sets import small_options, write_blobs, write_data_set


def rows_of(listed, needs_tilts=False):
    return read_image_list(
        listed, project=listed.parent, needs_tilts=needs_tilts, order="zxy"
    )


def prepare(listed, cache, mode="simsiam3d", **changes):
    rows = rows_of(listed, mode == "simsiam2d3d")
    return prepare_store(rows, small_options(mode, **changes), cache=cache, workers=0)


def entries_in(cache):
    return {path.parent: path.stat().st_mtime_ns for path in cache.glob("*/entry.json")}


@pytest.mark.parametrize("mode", ["simsiam2d3d", "simsiam3d"])
def test_store_equals_direct_cutting(stores, data_set, mode):
    store = stores[mode]
    row = rows_of(data_set, mode == "simsiam2d3d")[1]
    scene = load_tomogram(row, store.options)
    here = np.flatnonzero(store.names == row.name)
    direct = cut_views(
        scene,
        store.coords[here],
        box=store.options.box,
        context=store.options.context,
        mode=mode,
    )
    for place in range(direct.shape[1]):
        gathered = store.gather(here, np.full_like(here, place))
        np.testing.assert_array_equal(gathered, direct[:, place])


def test_gather_keeps_the_order_of_rows_across_tomograms(stores):
    store = stores["simsiam3d"]
    rows = np.array([len(store) - 1, 0, len(store) // 2, 0])
    batch = store.gather(rows, np.array([0, 1, 2, 1]))
    for patch, row, place in zip(batch, rows, [0, 1, 2, 1], strict=True):
        alone = store.gather(np.array([row]), np.array([place]))[0]
        np.testing.assert_array_equal(patch, alone)


def test_normalization_is_that_of_the_candidates_own_boxes(stores):
    store = stores["simsiam2d3d"]
    context, rows = store.options.context, np.arange(len(store))
    boxes = store.gather(rows, 0 * rows)[..., context:-context, context:-context] / 255
    mean, std = store.normalization()
    np.testing.assert_allclose(mean, boxes.mean((0, 2, 3)))
    np.testing.assert_allclose(std, boxes.std((0, 2, 3)))


def test_second_preparation_finds_everything(data_set, tmp_path, capsys):
    prepare(data_set, tmp_path)
    before = entries_in(tmp_path)
    assert "preparing 2 of 2 tomograms" in capsys.readouterr().out
    prepare(data_set, tmp_path)
    assert entries_in(tmp_path) == before
    assert capsys.readouterr().out == ""


def test_changed_file_is_prepared_again_and_no_other(tmp_path, capsys):
    listed = write_data_set(tmp_path / "data")
    first = prepare(listed, tmp_path / "cache")
    write_blobs(tmp_path / "data" / "tomo2.rec", seed=9)
    os.utime(tmp_path / "data" / "tomo2.rec", ns=(1, 1))
    capsys.readouterr()
    second = prepare(listed, tmp_path / "cache")
    assert "preparing 1 of 2 tomograms" in capsys.readouterr().out
    same = second.coords[second.names == "tomo1"]
    np.testing.assert_array_equal(same, first.coords[first.names == "tomo1"])
    other = second.coords[second.names == "tomo2"]
    assert not np.array_equal(other, first.coords[first.names == "tomo2"])


@pytest.mark.parametrize("change", [{"gauss": 1.1}, {"box": 16}, {"bright": True}])
def test_changed_option_is_prepared_again(data_set, tmp_path, change):
    prepare(data_set, tmp_path)
    before = len(entries_in(tmp_path))
    prepare(data_set, tmp_path, **change)
    assert len(entries_in(tmp_path)) == 2 * before


def test_the_voxel_size_is_that_of_the_list_at_hand(data_set, tmp_path):
    for given in (7.5, None):  # the second finds the entries of the first
        rows = read_image_list(
            data_set,
            project=data_set.parent,
            needs_tilts=False,
            order="zxy",
            voxel_size=given,
        )
        store = prepare_store(rows, small_options(), cache=tmp_path, workers=0)
        noted = {entry.metadata.voxel_size for entry in store.entries}
        assert noted == {given or rows[0].info.voxel_size}


def test_several_processes_give_the_same_store(data_set, stores, tmp_path):
    rows = rows_of(data_set)
    both = prepare_store(rows, small_options(), cache=tmp_path, workers=2)
    alone = stores["simsiam3d"]
    np.testing.assert_array_equal(both.coords, alone.coords)
    everything = np.arange(len(alone))
    np.testing.assert_array_equal(
        both.gather(everything, 0 * everything),
        alone.gather(everything, 0 * everything),
    )


def test_preparation_leaves_the_environment_alone(data_set, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = dict(os.environ)
    prepare(data_set, tmp_path)
    assert dict(os.environ) == before


@pytest.mark.parametrize("workers", [0, 1])
def test_one_process_filters_on_all_cores(data_set, tmp_path, monkeypatch, workers):
    used = []

    def note(threads):
        used.append(threads)
        return ThreadPoolExecutor(threads)

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr("lib.patches.preparation.cores", lambda: 6)
    for module in ("scale_space", "dog"):
        monkeypatch.setattr(f"lib.candidates.{module}.ThreadPoolExecutor", note)
    options = small_options()
    prepare_store(rows_of(data_set), options, cache=tmp_path, workers=workers)
    assert set(used) == {6}


def test_compressed_tomogram_has_half_the_depth(data_set, tmp_path):
    store = prepare(data_set, tmp_path, compress=True)
    assert store.coords[:, 2].max() < 12
    assert store.entries[0].metadata.shape == [24, 72, 72]


def test_full_disk_is_rejected_before_anything_is_written(
    data_set, tmp_path, monkeypatch
):
    nearly_full = SimpleNamespace(total=10, used=9, free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly_full)
    with pytest.raises(ResourceError, match="GB free.*--cache_dir"):
        prepare(data_set, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_failed_preparation_leaves_no_entry(tmp_path):
    listed = write_data_set(tmp_path / "data", names=("tomo1",))
    with (tmp_path / "data" / "tomo1.rec").open("r+b") as stream:
        stream.seek(5000)
        stream.write(np.full(7, np.nan, np.float32).tobytes())
    with pytest.raises(InputError, match="tomo1.rec"):
        prepare(listed, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_tomogram_that_vanishes_meanwhile_is_named(tmp_path, capsys):
    listed = write_data_set(tmp_path / "data")
    rows = rows_of(listed)
    rows[1].rec_path.unlink()
    options = small_options()
    with pytest.raises(SystemExit) as stopped:
        run_script(
            lambda: prepare_store(rows, options, cache=tmp_path / "c", workers=0)
        )
    assert stopped.value.code == 2
    assert "tomo2.rec: No such file" in capsys.readouterr().err
    assert not list((tmp_path / "c").glob("*"))


def test_pairs_of_different_tilts_need_two(tmp_path, data_set):
    wanted = {"disjoint_tilts": True, "tilt_range": 5.0}
    with pytest.raises(InputError, match=r"one image within \+-5 degrees"):
        prepare(data_set, tmp_path, "simsiam2d3d", **wanted)
    assert not entries_in(tmp_path)


def test_store_holds_pairs_of_different_tilts(tmp_path, data_set, stores):
    store = prepare(data_set, tmp_path, "simsiam2d3d", disjoint_tilts=True)
    same = stores["simsiam2d3d"]
    rows = np.arange(5)
    all_tilts, first, second = (
        store.gather(rows, np.full_like(rows, place))
        for place in (0, store.options.pairing.first, store.options.pairing.second[0])
    )
    np.testing.assert_array_equal(all_tilts, same.gather(rows, 0 * rows))
    np.testing.assert_array_equal(second[:, 1], same.gather(rows, 0 * rows + 1)[:, 1])
    assert not np.array_equal(first[:, 0], all_tilts[:, 0])
    assert store.nbytes == len(store) * np.prod(store.options.patch_shape)


def test_data_without_candidates_is_rejected(tmp_path, data_set):
    with pytest.raises(InputError, match="no candidates in any tomogram.*--bright"):
        prepare(data_set, tmp_path, dog_std_multiplier=1e6)


def test_margins_that_leave_hardly_anything_are_named(tmp_path, data_set):
    listed = read_image_list(data_set, project=tmp_path, needs_tilts=False, order="zxy")
    boundary = (min(listed[0].shape[1:]) - 2) // 2
    with pytest.raises(InputError) as told:
        prepare(data_set, tmp_path, dog_std_multiplier=1e6, dog_boundary=boundary)
    assert f"--dog_boundary {boundary} and --bbox" in str(told.value)
    assert "--order" not in str(told.value)


def test_several_processes_need_a_folder_that_stays(tmp_path):
    with (
        pytest.raises(OptionError, match="--no_cache makes a folder for one process"),
        cache_folder(tmp_path, no_cache=True, ranks=Ranks(0, 2)),
    ):
        pass


def test_entries_that_another_node_hides_are_missed(data_set, tmp_path, monkeypatch):
    monkeypatch.setattr(Ranks, "barrier", lambda _: None)
    with pytest.raises(ResourceError, match="lacks 1 of 2 tomograms.*--cache_dir"):
        prepare_store(
            rows_of(data_set),
            small_options(),
            cache=tmp_path,
            workers=0,
            ranks=Ranks(0, 2),
        )


def test_store_without_cache_goes_with_the_run(tmp_path):
    with cache_folder(tmp_path, no_cache=True) as folder:
        (folder / "patches").write_text("x")
    assert not folder.exists()
    with cache_folder(tmp_path, cache_dir=tmp_path / "fast") as folder:
        assert folder == tmp_path / "fast"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"box": 35}, "--bbox 35: expected an even number from 8 to"),
        ({"box": 4}, "--bbox 4"),
        ({"gauss": -1}, "--gauss -1"),
        ({"tilt_range": 120}, "--tilt_range 120"),
        ({"sigmas": (3,)}, "--dog"),
        ({"sigmas": (5, 3)}, "--dog"),
    ],
)
def test_impossible_options_are_rejected_by_name(change, words):
    with pytest.raises(OptionError, match=words):
        small_options(**change)


def test_context_lets_a_box_turn_without_empty_corners():
    for box in range(8, 130, 2):
        options = PatchOptions("simsiam3d", box, (3, 5), 0.8)
        assert options.edge >= box * np.sqrt(2)


@pytest.mark.parametrize(
    ("sigmas", "narrow", "enough"), [((3.1, 5), 12, 14), ((2.1, 3, 4.5, 7, 10), 22, 24)]
)
def test_a_box_narrower_than_the_widest_blob_is_warned_of(
    sigmas, narrow, enough, capsys
):
    warn_of_small_box(PatchOptions("simsiam3d", enough, sigmas, 0.8))
    assert capsys.readouterr().err == ""
    warn_of_small_box(PatchOptions("simsiam3d", narrow, sigmas, 0.8))
    assert f"give --bbox {enough} or more" in capsys.readouterr().err


@pytest.mark.parametrize("sigmas", [(1.5, 3), (1.5, 2, 3, 4)])
def test_a_tomogram_takes_no_more_memory_than_announced(tmp_path, monkeypatch, sigmas):
    write_blobs(tmp_path / "a.rec", 0, (64, 128, 128))
    (tmp_path / "list.txt").write_text("image_name rec_path\na a.rec\n")
    announce, told = preparation.announce, []
    monkeypatch.setattr(
        preparation, "announce", lambda *a, **k: told.append(announce(*a, **k))
    )
    tracemalloc.start()
    try:
        prepare(tmp_path / "list.txt", tmp_path / "cache", sigmas=sigmas)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    copy = 4 * 64 * 128 * 128
    assert 2 * copy < peak < told[0] - LIBRARY_BYTES + copy / 4  # small buffers
