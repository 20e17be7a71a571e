"""plot_2d.py and visualize_3dhm.py by their command lines, from another folder."""

import sys

import numpy as np
import pytest
from PIL import Image

import plot_2d
from lib.artifacts import (
    Columns,
    EmbeddingTable,
    ExperimentDir,
    InteractiveTable,
    TableFooter,
    open_packed,
)
from lib.inputs.noted_files import note_file
from lib.picking.likeness import unit_float16
from lib.pictures.colormap import plane_colors
from lib.pictures.patch_pictures import gray_levels
from tests.mrc_files import write_mrc
from tests.plot_tables import SIZE, make_table, write_shown_tomogram
from tests.records import make_record
from tests.scripts import call

RECORD = make_record(
    {name: {"order": "zxy"} for name in ("tomo1", "tomo2")},
    exp_id="test_sample",
    health={"verdict": "undertrained", "message": "the model is undertrained: 0.1"},
    mode="simsiam3d",
    compress=False,
)


def plot(table, *options, cwd, code=0):
    """Plot by t-SNE, which needs no compilation."""
    options = ("--mode", "tsne", "--n_cluster", 6, *options)
    return call("plot_2d.py", "--input", table, *options, cwd=cwd, code=code)


@pytest.fixture(scope="module")
def plotted(tmp_path_factory):
    """A run plotted by the documented command, and what was said."""
    folder = tmp_path_factory.mktemp("exp") / "simsiam3d/test_sample"
    folder.mkdir(parents=True)
    make_table(60, record=RECORD).save(folder / "all_output_info.npz")
    done = call(
        *("plot_2d.py", "--input", folder / "all_output_info.npz"),
        *("--n_cluster", 8, "--num_neighbor", 40, "--mode", "umap"),
        *("--path", f"{folder}/", "--min_dist_vis", "1.3e-3", "--host", 7123),
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    return folder, done


def test_plot_writes_all_that_is_documented_and_nothing_else(plotted):
    folder, done = plotted
    assert {path.name for path in folder.iterdir()} >= {
        "2d_visualization_out.png",
        "2d_visualization_labels.png",
        "all_colors.npy",
        "interactive_info_parquet.gzip",
        "neighbors.npz",
        "imgs",
    }
    assert not list(folder.glob(".*"))
    assert "60 candidates in 8 clusters" in done.stdout
    for name in ("2d_visualization_out.png", "2d_visualization_labels.png"):
        assert f"look at {folder / name}" in done.stdout
        assert Image.open(folder / name).convert("RGB").size[0] > 1500


def test_what_training_said_of_its_health_is_repeated(plotted):
    assert "warning: the model is undertrained: 0.1" in plotted[1].stderr


def test_rows_of_all_artifacts_are_those_of_the_npz(plotted):
    folder, _ = plotted
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    found = InteractiveTable.load(folder / "interactive_info_parquet.gzip")
    np.testing.assert_array_equal(found.name, table.name)
    np.testing.assert_array_equal(found.coord, table.coords)
    np.testing.assert_array_equal(found.embeddings, table.pred)
    assert found.fingerprint == table.fingerprint
    assert found.record == table.record == RECORD
    assert set(found.label.tolist()) == set(range(8))
    assert found.image[7] == "http://localhost:7123/imgs/7.png"
    colors = np.load(folder / "all_colors.npy")
    assert (colors.shape, colors.dtype) == ((60, 3), np.uint8)
    for row, gray in enumerate(gray_levels(table.subvol)):
        with Image.open(folder / f"imgs/{row}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), gray)


def test_colors_follow_the_groups_of_the_embedding(plotted):
    colors = np.load(plotted[0] / "all_colors.npy").astype(float)
    group = np.arange(60) % 3
    within = np.mean([colors[group == g].std(axis=0).mean() for g in range(3)])
    assert colors.std(axis=0).mean() > 1.5 * within


def test_table_columns_and_colors_hold_one_map(plotted):
    folder, _ = plotted
    found = InteractiveTable.load(folder / "interactive_info_parquet.gzip")
    facts = TableFooter.of(folder / "interactive_info_parquet.gzip")
    columns = Columns.load(folder / "session_columns", layout_id=facts.layout_id)
    colors = np.load(folder / "all_colors.npy")
    np.testing.assert_array_equal(plane_colors(found.map_xy), colors)
    np.testing.assert_array_equal(columns.map_xy, found.map_xy)
    np.testing.assert_array_equal(columns.cloud, found.cloud)
    assert np.ptp(columns.cloud, axis=0).tolist() == [1, 1, 1]
    names = np.array(columns.names)[columns.tomogram]
    np.testing.assert_array_equal(names, found.name)
    numbers = np.array(columns.numbers)[columns.cluster]
    np.testing.assert_array_equal(numbers, found.label)
    np.testing.assert_array_equal(columns.unit, unit_float16(found.embeddings)[0])
    with Image.open(folder / "imgs/5.png") as picture:
        np.testing.assert_array_equal(columns.patches["slab"][5], np.asarray(picture))
    assert Columns.load(folder / "session_columns", layout_id="other") is None


def paint(folder, *options, code=0):
    options = ("--input", folder / "all_output_info.npz", *options)
    return call("visualize_3dhm.py", *options, cwd=folder.parent, code=code)


@pytest.fixture(scope="module")
def tomograms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tomograms")
    write_shown_tomogram(folder / "tomo1.rec", order="zxy")
    write_shown_tomogram(folder / "tomo2.mrc", order="zxy")
    return folder


def test_painting_as_documented(plotted, tomograms):
    folder, _ = plotted
    done = paint(
        *(folder, "--color", folder / "all_colors.npy"),
        *("--dir_simsiam", f"{folder}/", "--rec_dir", f"{tomograms}/"),
    )
    table = EmbeddingTable.load(folder / "all_output_info.npz")
    colors = np.load(folder / "all_colors.npy")
    for name in ("tomo1", "tomo2"):
        gray = np.load(folder / f"{name}_rec3d.npy")
        painted = np.load(folder / f"{name}_hm3d_simsiam.npy")
        for volume in (gray, painted):
            assert volume.shape == (*SIZE[::-1].tolist(), 3)
            assert volume.dtype == np.uint8
        assert (gray == gray[..., :1]).all()
        rows = table.name == name
        x, y, z = table.coords[rows].T
        np.testing.assert_array_equal(painted[z, y, x], colors[rows])
        assert (folder / f"{name}_blend.png").is_file()
        layers = f"{folder}/{name}_rec3d.npy {folder}/{name}_hm3d_simsiam.npy"
        assert f"napari {layers} --blending=additive" in done.stdout
    assert "GB in" in done.stdout


def test_painting_by_image_list_into_another_folder(plotted, tomograms, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(
        "image_name rec_path\n"
        f"tomo1 {tomograms}/tomo1.rec\ntomo2 {tomograms}/tomo2.mrc\n"
    )
    options = ("--image_txt", listed, "--only", "tomo2", "--blend", 0.3, "--radius", 5)
    paint(plotted[0], "--dir_simsiam", tmp_path / "out", *options)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "tomo2_blend.png",
        "tomo2_hm3d_simsiam.npy",
        "tomo2_rec3d.npy",
    ]


def test_painting_other_files_than_the_run_read_is_reported(tomograms, tmp_path):
    facts = {"order": "zxy", "voxel_size": 10.0, "shape": SIZE[::-1].tolist()}
    known = {
        name: {**facts, **note_file(tomograms / f"{name}.{ending}")}
        for name, ending in (("tomo1", "rec"), ("tomo2", "mrc"))
    }
    table = make_table(60, record=make_record(known))
    table.save(tmp_path / "all_output_info.npz")
    np.save(tmp_path / "all_colors.npy", np.zeros((60, 3), np.uint8))
    assert "note: " not in paint(tmp_path).stdout
    other = tmp_path / "other"
    other.mkdir()
    volume = np.zeros(SIZE[::-1], np.float32)
    volume[0, 0] = 1
    for name in ("tomo1.rec", "tomo2.mrc"):
        write_mrc(other / name, volume, voxel_size=12.0)
    done = paint(tmp_path, "--rec_dir", other)
    note = next(line for line in done.stdout.splitlines() if line.startswith("note: "))
    assert "2 of 2 tomograms" in note
    assert f"{other}/tomo1.rec instead of {tomograms}/tomo1.rec" in note
    assert "12 Angstrom, 10 when the run read it" in done.stderr
    for painted in tmp_path.glob("*_rec3d.npy"):
        painted.unlink()
    write_mrc(other / "tomo2.mrc", np.concatenate([volume, volume]))  # the last one
    done = paint(tmp_path, "--rec_dir", other, code=2)
    assert "tomo2.mrc is not the tomogram tomo2 of this run" in done.stderr
    assert not list(tmp_path.glob("*_rec3d.npy"))


def test_painting_needs_the_tomograms_and_the_colors_of_this_run(
    plotted, tomograms, tmp_path
):
    folder, _ = plotted
    done = paint(folder, "--rec_dir", tmp_path, code=2)
    assert f"tomo1 ({tmp_path}/tomo1.rec" in done.stderr
    done = paint(folder, "--rec_dir", tomograms, "--order", "xyz", code=2)
    assert "zxy" in done.stderr
    other = tmp_path / "all_output_info.npz"
    make_table(60, seed=1).save(other)
    done = paint(
        *(tmp_path, "--color", folder / "all_colors.npy", "--rec_dir", tomograms),
        code=2,
    )
    assert "belongs to another run" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["all_output_info.npz"]


def test_a_peers_table_has_only_its_five_keys_and_is_plotted(tmp_path):
    table = make_table(20)
    np.savez(
        tmp_path / "all_output_info.npz",
        **{key: getattr(table, key) for key in ("proj", "pred", "name", "subvol")},
        coords=table.coords.astype(np.int32),
    )
    done = plot(tmp_path / "all_output_info.npz", cwd=tmp_path)
    assert "--num_neighbor is reduced to 19: there are 20 candidates" in done.stdout
    assert len(np.load(tmp_path / "all_colors.npy")) == 20


def test_same_seed_same_bytes(tmp_path):
    make_table(25).save(tmp_path / "all_output_info.npz")
    for name in ("a", "b"):
        plot(tmp_path / "all_output_info.npz", "--path", tmp_path / name, cwd=tmp_path)
    first, second = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b")
    )
    assert len(first) == 25 + 1 + 5 + 1 + 10  # patches, maps, neighbors, columns
    assert first == second


def test_very_many_patches_go_into_one_file_unless_asked(tmp_path, monkeypatch, capsys):
    table = make_table(30)
    table.save(tmp_path / "all_output_info.npz")
    monkeypatch.setattr(plot_2d, "MOST_PICTURES", 20)
    command = ["plot_2d.py", "--input", str(tmp_path / "all_output_info.npz")]
    command += ["--n_cluster", "3", "--num_workers", "0"]
    monkeypatch.setattr(sys, "argv", command)
    plot_2d.main()
    assert "30 patches go into one file" in capsys.readouterr().out
    pictures = ExperimentDir(tmp_path).patch_pictures
    np.testing.assert_array_equal(open_packed(pictures), gray_levels(table.subvol))
    assert len(list(pictures.iterdir())) == 2
    monkeypatch.setattr(sys, "argv", [*command, "--png"])
    plot_2d.main()
    assert len(list(pictures.glob("*.png"))) == 30
    assert open_packed(pictures) is None


def test_a_collapsed_embedding_is_plotted_and_called_meaningless(tmp_path):
    table = make_table(12)
    table.pred[:] = 0.5
    table.save(tmp_path / "all_output_info.npz")
    done = plot(tmp_path / "all_output_info.npz", cwd=tmp_path)
    assert "warning: all embeddings are equal" in done.stderr
    assert "12 candidates in 1 clusters" in done.stdout
    assert (tmp_path / "2d_visualization_labels.png").is_file()


def spoil_pred(table):
    table.pred[3] = np.nan
    return vars(table)


def without_subvol(table):
    return {key: value for key, value in vars(table).items() if key != "subvol"}


def no_rows(table):
    keys = ("name", "coords", "pred", "proj", "subvol")
    return {key: getattr(table, key)[:0] for key in keys}


@pytest.mark.parametrize(
    "spoil, options, message",
    [
        (
            vars,
            ("--n_cluster", 31),
            "--n_cluster 31 is larger than the number of candidates, 30",
        ),
        (spoil_pred, (), "embeddings of 1 of 30 candidates are not finite"),
        (without_subvol, (), "lacks subvol"),
        (no_rows, (), "has no candidates"),
    ],
)
def test_what_cannot_be_plotted_is_rejected_and_nothing_written(
    tmp_path, spoil, options, message
):
    columns = {
        key: value
        for key, value in spoil(make_table(30)).items()
        if isinstance(value, np.ndarray)
    }
    np.savez(tmp_path / "all_output_info.npz", **columns)
    done = plot(tmp_path / "all_output_info.npz", *options, cwd=tmp_path, code=2)
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["all_output_info.npz"]
