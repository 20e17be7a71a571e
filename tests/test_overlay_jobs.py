import os

import mrcfile
import numpy as np
import pytest

from lib.artifacts import ExperimentDir, fingerprint_path, write_fingerprint
from lib.errors import ArtifactError, InputError, OptionError, ResourceError
from lib.inputs.noted_files import note_file
from lib.overlay.checks import check_job, is_paired
from lib.overlay.jobs import check_disk, find_overlay_jobs, load_colors
from tests.plot_tables import SIZE, make_table, write_shown_tomogram
from tests.records import make_record


@pytest.fixture
def folder(tmp_path):
    """Two tomograms with different endings."""
    write_shown_tomogram(tmp_path / "tomo1.rec")
    write_shown_tomogram(tmp_path / "tomo2.mrc")
    return tmp_path


def paths(jobs):
    return [job.path.name for job in jobs]


def test_tomograms_are_found_by_name_and_either_ending(folder):
    jobs = find_overlay_jobs(make_table(), rec_dir=folder)
    assert paths(jobs) == ["tomo1.rec", "tomo2.mrc"]
    assert [job.tomogram.order for job in jobs] == ["xzy", "xzy"]
    np.testing.assert_array_equal(jobs[1].rows, np.arange(1, 60, 2))


@pytest.mark.parametrize("ext", [".mrc", "mrc"])
def test_ending_can_be_chosen(folder, ext):
    write_shown_tomogram(folder / "tomo1.mrc")
    found = find_overlay_jobs(make_table(), rec_dir=folder, ext=ext)
    assert paths(found) == ["tomo1.mrc", "tomo2.mrc"]


def test_what_the_run_knew_finds_files_of_other_names_and_their_order(folder):
    known = {
        "tomo1": {"rec_path": str(folder / "tomo2.mrc"), "order": "zxy"},
        "tomo2": {"rec_path": "/gone/tomo1.rec", "order": "zxy"},
    }
    (folder / "tomo2.mrc").rename(folder / "other.mrc")
    known["tomo1"]["rec_path"] = str(folder / "other.mrc")
    known["tomo2"]["rec_path"] = "/gone/other.mrc"
    table = make_table(record=make_record(known))
    assert paths(find_overlay_jobs(table, only=["tomo1"])) == ["other.mrc"]
    in_folder = find_overlay_jobs(table, rec_dir=folder, only=["tomo2"])
    assert paths(in_folder) == ["other.mrc"]
    assert in_folder[0].tomogram.order == "zxy"
    assert (
        find_overlay_jobs(table, rec_dir=folder, order="xyz")[0].tomogram.order == "xyz"
    )


def test_tomograms_not_found_are_named_together(folder):
    (folder / "tomo1.rec").unlink()
    with pytest.raises(InputError, match=r"tomo1 \(.*tomo1\.rec.*\); tomo2 \(no path"):
        find_overlay_jobs(
            make_table(record=make_record({"tomo1": {"rec_path": "tomo1.rec"}}))
        )
    with pytest.raises(InputError, match=r"tomo2 \(no path recorded\)"):
        find_overlay_jobs(make_table(), listed={"tomo1": folder / "tomo1.rec"})


def test_names_that_leave_the_folder_are_rejected(folder):
    table = make_table()
    table.name[0] = "../x"
    (folder / "sub").mkdir()
    write_shown_tomogram(folder / "x.rec")
    with pytest.raises(InputError, match=r"'\.\./x' is not a file name"):
        find_overlay_jobs(table, rec_dir=folder / "sub")


def test_only_what_the_table_has_can_be_painted(folder):
    with pytest.raises(OptionError, match="no candidates in tomo9; .* tomo1, tomo2"):
        find_overlay_jobs(make_table(), rec_dir=folder, only=["tomo9"])


def deep_table(folder, **facts):
    """Return a table whose run read tomo1, deeper than high, as zxy."""
    in_file = np.random.default_rng(0).integers(-99, 99, (60, 24, 50), np.int8)
    with mrcfile.new(folder / "deep.rec", in_file, overwrite=True) as mrc:
        mrc.voxel_size = 10
    known = {"rec_path": str(folder / "deep.rec"), "order": "zxy", **facts}
    table = make_table(record=make_record({"tomo1": known}))
    table.coords[:] = table.coords[:, [1, 2, 0]]
    return table


def test_a_deep_tomogram_is_painted_as_the_run_read_it(folder, capsys):
    table = deep_table(folder, shape=[60, 24, 50])
    for order in (None, "auto"):  # auto would guess another one
        (job,) = find_overlay_jobs(table, order=order, only=["tomo1"])
        check_job(job, table)
        assert job.tomogram.map_voxels().shape == (60, 24, 50)
    assert "z is not the shortest axis" in capsys.readouterr().err


def test_a_deep_tomogram_of_which_nobody_said_the_order_is_rejected(folder):
    table = make_table()
    in_file = np.random.default_rng(0).integers(-99, 99, (24, 60, 50), np.int8)
    with mrcfile.new(folder / "tomo1.rec", in_file, overwrite=True) as mrc:
        mrc.voxel_size = 10
    with pytest.raises(InputError, match="use --order zxy, or give --order xzy"):
        find_overlay_jobs(table, rec_dir=folder)


def test_another_tomogram_of_the_same_name_is_rejected(folder, capsys):
    table = deep_table(folder, shape=[120, 48, 100])
    (job,) = find_overlay_jobs(table, only=["tomo1"])
    with pytest.raises(InputError, match="had x, y, z = 100, 48, 120: .* 50, 24, 60"):
        check_job(job, table)
    table = deep_table(folder, shape=[60, 24, 50], voxel_size=20)
    (job,) = find_overlay_jobs(table, only=["tomo1"])
    check_job(job, table)
    assert "voxels of 10 Angstrom, 20 when the run" in capsys.readouterr().err
    # The very file: the run had its voxel size from the user, or the tilt images.
    noted = note_file(folder / "deep.rec")
    table = deep_table(folder, shape=[60, 24, 50], voxel_size=20, **noted)
    os.utime(folder / "deep.rec", ns=(noted["file_time"],) * 2)
    (job,) = find_overlay_jobs(table, only=["tomo1"])
    check_job(job, table)
    assert "Angstrom" not in capsys.readouterr().err


def test_the_file_the_run_read_comes_before_one_called_like_the_tomogram(folder):
    table = deep_table(folder, rec_path="/elsewhere/deep.rec")
    assert paths(find_overlay_jobs(table, rec_dir=folder, only=["tomo1"])) == [
        "deep.rec"
    ]


def test_candidates_outside_the_tomogram_are_rejected_with_both_sizes(folder):
    table = make_table()
    table.coords[0] = SIZE
    job = find_overlay_jobs(table, rec_dir=folder)[0]
    with pytest.raises(InputError, match="1 of 30 .* 60, 50, 24 .* reach 60, 50, 24"):
        check_job(job, table)


def test_paired_slices_are_known_from_the_run(folder):
    table = make_table(record=make_record(compress=True))
    job = find_overlay_jobs(table, rec_dir=folder)[0]
    with pytest.raises(InputError, match="60, 50, 12 "):
        check_job(job, table)
    table.coords[:, 2] //= 2
    check_job(job, table)
    assert is_paired(table)
    assert job.tomogram.shape == tuple(SIZE[::-1].tolist())


def test_disk_is_counted_before_anything_is_written(folder, monkeypatch):
    jobs = find_overlay_jobs(make_table(), rec_dir=folder)
    experiment = ExperimentDir(folder / "out")
    size = 2 * 2 * 3 * int(SIZE.prod())
    assert check_disk(jobs, experiment) == size

    class Usage:
        free = size - 1

    monkeypatch.setattr("lib.overlay.jobs.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(ResourceError, match="make room"):
        check_disk(jobs, experiment)
    experiment.gray_volume("tomo1").write_bytes(bytes(1000))
    assert check_disk(jobs, experiment) == size


def write_colors(path, rows=60, dtype=np.uint8):
    colors = np.random.default_rng(0).integers(0, 256, (rows, 3)).astype(dtype)
    np.save(path, colors)
    return colors


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_colors_of_a_peer_are_read(tmp_path, dtype):
    colors = write_colors(tmp_path / "all_colors.npy", dtype=dtype)
    found = load_colors(tmp_path / "all_colors.npy", make_table(), "table")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, colors)


def test_colors_of_another_run_are_rejected(tmp_path):
    path = tmp_path / "all_colors.npy"
    with pytest.raises(ArtifactError, match="does not exist; run plot_2d"):
        load_colors(path, make_table(), "table.npz")
    write_colors(path, rows=59)
    with pytest.raises(ArtifactError, match=r"59 colors, but table\.npz has 60"):
        load_colors(path, make_table(), "table.npz")
    write_colors(path)
    other = make_table(seed=1).fingerprint
    write_fingerprint(fingerprint_path(path), fingerprint=other, rows=60)
    with pytest.raises(ArtifactError, match="belongs to another run"):
        load_colors(path, make_table(), "table.npz")


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((60, 4), np.uint8), r"array of shape \(60, 4\)"),
        (np.full((60, 3), 256), "from 0 to 255"),
        (np.full((60, 3), np.nan), "from 0 to 255"),
        (np.full((60, 3), "red"), "from 0 to 255"),
    ],
)
def test_what_is_no_color_is_rejected(tmp_path, array, message):
    np.save(tmp_path / "all_colors.npy", array)
    with pytest.raises(ArtifactError, match=message):
        load_colors(tmp_path / "all_colors.npy", make_table(), "table.npz")


def test_colors_with_something_to_execute_are_rejected(tmp_path):
    path = tmp_path / "all_colors.npy"
    np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="not an array of colors"):
        load_colors(path, make_table(), "table.npz")
