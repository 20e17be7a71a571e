"""What is found below folders as the field's programs leave them."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.find_files import find_files
from lib.inputs.found_list import list_text, table_of, tomograms_for
from lib.inputs.image_list import read_image_list
from tests import program_files as made


def names(found):
    return [one.name for one in found.tomograms]


def by_name(found):
    return {one.name: one for one in found.tomograms}


def reasons(found):
    return {Path(path).name: why for path, why in found.left_out}


def listed(found, folder, *, needs_tilts, optional=()):
    """Write the list of what was found, and read it as a run does."""
    path = folder / "list.txt"
    chosen = tomograms_for(found, needs_tilts=needs_tilts)
    path.write_text(list_text(found, chosen))
    return read_image_list(
        path,
        project=folder,
        needs_tilts=needs_tilts,
        order="auto",
        order_is_given=True,
        optional=optional,
    )


@pytest.mark.parametrize("old_style", [False, True])
def test_etomo_gives_the_trimmed_tomogram_and_the_aligned_series(tmp_path, old_style):
    for name in ("TS_01", "TS_02"):
        made.etomo(tmp_path / name, name, old_style=old_style)
    found = find_files([tmp_path])
    first, _ = listed(found, tmp_path, needs_tilts=True)
    rec, ali = (".rec", ".ali") if old_style else ("_rec.mrc", "_ali.mrc")
    assert names(found) == ["TS_01", "TS_02"]
    assert first.rec_path == tmp_path / "TS_01" / f"TS_01{rec}"
    assert first.tilt_path == tmp_path / "TS_01" / f"TS_01{ali}"
    assert first.angles == tuple(value + 0.5 for value in made.ANGLES)  # the aligned


def test_aretomo3_without_an_aligned_series_is_for_3d(tmp_path):
    made.aretomo3(tmp_path, "Position_1")
    found = find_files([tmp_path])
    (one,) = found.tomograms
    assert one.path.name == "Position_1_Vol.mrc"
    assert not one.has_series
    assert [half.name for half in one.halves] == [
        "Position_1_EVN_Vol.mrc",
        "Position_1_ODD_Vol.mrc",
    ]
    with pytest.raises(InputError, match=r"none with an aligned(?s:.*)simsiam3d"):
        tomograms_for(found, needs_tilts=True)


@pytest.mark.parametrize(
    ("transforms", "is_aligned"), [(made.IDENTITY, True), (made.ROTATED, False)]
)
def test_series_that_aretomo_writes_for_imod_is_aligned_if_nothing_moves_it(
    tmp_path, transforms, is_aligned
):
    made.aretomo3(tmp_path, "p1", transforms=transforms)
    (one,) = find_files([tmp_path]).tomograms
    assert one.has_series == is_aligned
    if is_aligned:
        assert one.tilt_path == tmp_path / "p1_Imod" / "p1_st.mrc"
        assert one.angle_path.name == "p1_st.tlt"


def test_aretomo2_output_named_by_hand(tmp_path):
    made.volume(tmp_path / "out" / "ts7.mrc")  # -OutMrc out/ts7.mrc
    (tmp_path / "out" / "ts7.aln").write_text("# AreTomo Alignment\n")
    made.series(tmp_path / "out" / "ts7_ali.mrc")  # -VolZ 0
    made.angles(tmp_path / "out" / "ts7_Imod" / "ts7_st.tlt")
    made.series(tmp_path / "raw" / "ts7.mrc")
    made.angles(tmp_path / "raw" / "ts7.rawtlt")
    (one,) = find_files([tmp_path]).tomograms
    assert one.path == tmp_path / "out" / "ts7.mrc"
    assert one.tilt_path == tmp_path / "out" / "ts7_ali.mrc"


@pytest.mark.parametrize("transforms", [made.IDENTITY, made.ROTATED])
def test_aretomo2_names_the_series_by_the_tomogram(tmp_path, transforms):
    made.volume(tmp_path / "ts7_rec.mrc")  # -OutMrc ts7_rec.mrc -OutImod 3, or 2
    for_imod = tmp_path / "ts7_rec_Imod"
    made.series(for_imod / "ts7_rec_st.mrc")
    made.angles(for_imod / "ts7_rec_st.tlt")
    (for_imod / "ts7_rec_st.xf").write_text(transforms * len(made.ANGLES))
    (one,) = find_files([tmp_path]).tomograms
    assert one.path == tmp_path / "ts7_rec.mrc"
    assert one.has_series == (transforms == made.IDENTITY)
    if one.has_series:
        assert one.tilt_path == for_imod / "ts7_rec_st.mrc"


def test_warp_is_for_3d_although_raw_stacks_lie_there(tmp_path):
    for name in ("TS_1", "TS_2"):
        made.warp(tmp_path / "warp_tiltseries", name)
    found = find_files([tmp_path])
    assert names(found) == ["TS_1", "TS_2"]
    assert all("tiltstack is raw" in one.missing for one in found.tomograms)
    assert {one.path.parent.name for one in found.tomograms} == {"reconstruction"}
    (first, _) = listed(
        found, tmp_path, needs_tilts=False, optional=("rec_even", "rec_odd")
    )
    even, odd = first.companions.halves
    assert even.path.parent.name == "even"
    assert odd.path.parent.name == "odd"
    assert "processed copy" in reasons(found)["TS_1_10.00Apx.mrc"]


def test_of_several_samplings_the_commonest_is_taken(tmp_path):
    for name, size in (("a", 10), ("b", 10), ("a", 5)):
        made.volume(tmp_path / f"{name}_{size}.00Apx.mrc", voxel_size=size)
    found = find_files([tmp_path])
    assert [one.path.name for one in found.tomograms] == [
        "a_10.00Apx.mrc",
        "b_10.00Apx.mrc",
    ]
    assert "another sampling" in reasons(found)["a_5.00Apx.mrc"]


def test_of_aretomos_volumes_the_first_is_taken(tmp_path):
    made.aretomo3(tmp_path, "p1")
    found = find_files([tmp_path])
    assert [one.path.name for one in found.tomograms] == ["p1_Vol.mrc"]
    assert "another sampling" in reasons(found)["p1_2ND_Vol.mrc"]


def test_what_programs_work_with_is_no_tomogram(tmp_path):
    made.etomo(tmp_path / "imod", "TS_01")
    made.warp(tmp_path / "warp", "TS_02")
    found = find_files([tmp_path])
    assert names(found) == ["TS_01", "TS_02"]
    why = reasons(found)
    assert "sample" in why["top_rec.mrc"]
    assert "sample" in why["TS_01_3dfind_rec.mrc"]
    assert "name does not say" in why["TS_02_0000001_10.00A.mrc"]
    assert "name does not say" in why["TS_02_10.00Apx_emd_15854_corr.mrc"]


def test_plain_names_are_tomograms_in_a_folder_that_has_no_others(tmp_path):
    made.volume(tmp_path / "sure" / "a.rec")
    made.volume(tmp_path / "sure" / "b.mrc")
    made.volume(tmp_path / "plain" / "c.mrc")
    made.volume(tmp_path / "plain" / "top.rec")  # no sample where it is the only one
    assert names(find_files([tmp_path / "sure"])) == ["a"]
    assert names(find_files([tmp_path / "plain" / "."])) == ["top"]
    (tmp_path / "plain" / "top.rec").unlink()
    found = find_files([tmp_path / "sure", tmp_path / "plain"])
    assert names(found) == ["a", "c"]


def test_relion_names_its_tomograms_and_keeps_no_series(tmp_path):
    made.relion(tmp_path, ["TS_01", "TS_03"])
    made.volume(tmp_path / "Refine3D" / "job020" / "run_class001.mrc")
    found = find_files([tmp_path])
    assert names(found) == ["TS_01", "TS_03"]
    assert "not in RELION's list" in reasons(found)["run_class001.mrc"]
    assert [one.program for one in found.tomograms] == ["RELION 5"] * 2
    assert "RELION keeps no aligned series" in "\n".join(
        table_of(found, found.tomograms)
    )
    assert len(listed(found, tmp_path, needs_tilts=False)) == 2


def test_relion_list_without_tomograms_is_named(tmp_path):
    star = made.relion(tmp_path, ["TS_01"])
    star.write_text("data_global\nloop_\n_rlnTomoName #1\nTS_01\n")
    found = find_files([tmp_path])  # by the names of the files
    assert names(found) == ["TS_01"]
    assert "Reconstruct tomograms" in reasons(found)["tomograms.star"]


def test_tomogram_that_relion_lost_is_named_where_it_should_be(tmp_path):
    made.relion(tmp_path, ["TS_01", "TS_02"])
    lost = tmp_path / "Tomograms" / "job006" / "tomograms" / "rec_TS_02.mrc"
    lost.unlink()
    found = find_files([tmp_path / "Tomograms" / "job006"])
    assert names(found) == ["TS_01"]
    assert (str(lost), "does not exist; expected an MRC file") in found.left_out


def test_relion_halves_alone_are_no_tomograms(tmp_path):
    made.relion(tmp_path, ["TS_01"], split=True)
    with pytest.raises(InputError, match=r"only halves(?s:.*)Denoise(?s:.*)half1"):
        find_files([tmp_path])


def test_relion_denoised_tomograms_are_taken_where_there_are_no_others(tmp_path):
    made.relion(tmp_path, ["TS_01"])
    made.relion_denoised(tmp_path, ["TS_01", "TS_02"])
    found = by_name(find_files([tmp_path]))
    assert set(found) == {"TS_01", "TS_02"}
    assert not found["TS_01"].is_copy
    assert found["TS_02"].is_copy


def test_nextpyp_has_all(tmp_path):
    made.nextpyp(tmp_path, "tilt_03")
    found = find_files([tmp_path])
    (one,) = listed(found, tmp_path, needs_tilts=True)
    assert one.rec_path.name == "tilt_03.rec"
    assert one.tilt_path.name == "tilt_03_bin.ali"
    assert one.angle_path == tmp_path / "ali" / "tilt_03.tlt"
    assert "processed" in reasons(found)["tilt_03_den.rec"]
    assert "mask" in reasons(found)["tilt_03_seg.rec"]


# --- names ---------------------------------------------------------------------------


def test_names_may_differ_behind_the_first_dot(tmp_path):
    for name in ("lam8.01", "lam8.02"):
        made.etomo(tmp_path, name, old_style=True)
    found = by_name(find_files([tmp_path]))
    assert set(found) == {"lam8.01", "lam8.02"}
    assert found["lam8.02"].tilt_path.name == "lam8.02.ali"
    assert found["lam8.02"].angle_path.name == "lam8.02.tlt"


def test_equal_names_get_their_folder_and_their_own_series(tmp_path):
    for grid in ("grid1", "grid2"):
        made.etomo(tmp_path / grid / "etomo", "TS_01")
    found = find_files([tmp_path])
    assert names(found) == ["grid1_TS_01", "grid2_TS_01"]
    for one in found.tomograms:
        assert one.tilt_path.parent == one.path.parent
    assert "a folder is put before" in "\n".join(table_of(found, found.tomograms))


def test_equal_name_never_takes_the_series_of_the_other(tmp_path):
    made.etomo(tmp_path / "grid1", "TS_01")
    made.volume(tmp_path / "grid2" / "TS_01.rec")
    found = by_name(find_files([tmp_path]))
    assert found["grid1_TS_01"].has_series
    assert not found["grid2_TS_01"].has_series


def test_new_names_do_not_meet_others(tmp_path):
    made.volume(tmp_path / "a" / "x.rec")
    made.volume(tmp_path / "b" / "x.rec")
    made.volume(tmp_path / "a_x.rec")
    assert len(set(names(find_files([tmp_path])))) == 3


def test_links_are_followed_and_counted_once(tmp_path):
    real = tmp_path / "disk" / "t1.rec"
    made.volume(real)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "t1.rec").symlink_to(real)
    (tmp_path / "work" / "lost.rec").symlink_to(tmp_path / "nowhere.rec")
    (tmp_path / "work" / "again").symlink_to(tmp_path)  # a circle
    found = find_files([tmp_path, tmp_path / "work"])
    assert [one.path for one in found.tomograms] == [real]
    assert "link to nothing" in reasons(found)["lost.rec"]


def test_linked_folder_alone_is_enough(tmp_path):
    made.etomo(tmp_path / "disk", "t1")
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    (one,) = find_files([tmp_path / "link"]).tomograms
    assert one.has_series


def test_blanks_and_hash_signs_in_paths_are_listed_so_that_they_are_read(tmp_path):
    folder = tmp_path / "my data 2 x" / "#4 it's"
    made.etomo(folder, "TS 01")
    made.volume(folder / "#2.rec")
    found = find_files([tmp_path])
    chosen = listed(found, tmp_path, needs_tilts=False)
    assert [one.name for one in chosen] == ["#2", "TS 01"]
    assert chosen[1].rec_path == folder / "TS 01_rec.mrc"
    (one,) = listed(found, tmp_path, needs_tilts=True)
    assert one.tilt_path == folder / "TS 01_ali.mrc"


@pytest.mark.parametrize("name", ["tab\t1.rec", "line\n1.rec", "cost$HOME.rec"])
def test_name_that_a_list_cannot_hold_is_left_out(tmp_path, name):
    made.volume(tmp_path / name)
    made.volume(tmp_path / "good.rec")
    found = find_files([tmp_path])
    assert names(found) == ["good"]
    assert len(found.left_out) == 1


def test_gzipped_files(tmp_path):
    made.etomo(tmp_path, "t1")
    for name in ("t1_rec.mrc", "t1_ali.mrc"):
        packed = gzip.compress((tmp_path / name).read_bytes())
        (tmp_path / f"{name}.gz").write_bytes(packed)
        (tmp_path / name).unlink()
    (tmp_path / "t1_full_rec.mrc").unlink()
    (one,) = listed(find_files([tmp_path]), tmp_path, needs_tilts=True)
    assert one.rec_path.name == "t1_rec.mrc.gz"
    assert one.tilt_path.name == "t1_ali.mrc.gz"


# --- what is no further tomogram -----------------------------------------------------


def test_denoised_copy_is_taken_only_where_there_is_no_other(tmp_path):
    made.volume(tmp_path / "tomos" / "a.rec")
    made.volume(tmp_path / "denoised" / "a_denoised.mrc")
    made.volume(tmp_path / "denoised" / "b_denoised.mrc")
    found = by_name(find_files([tmp_path]))
    assert found["a"].path.suffix == ".rec"
    assert found["b"].is_copy


@pytest.mark.parametrize("clue", ["angles", "mdoc", "size"])
def test_raw_series_named_like_a_tomogram_is_none(tmp_path, clue, monkeypatch):
    made.series(tmp_path / "ts1.mrc")
    if clue == "angles":
        made.angles(tmp_path / "ts1.tlt")
    if clue == "mdoc":
        (tmp_path / "ts1.mrc.mdoc").touch()
    if clue == "size":
        monkeypatch.setattr("lib.inputs.find_files.STACK_WIDTH", 10)
    with pytest.raises(InputError, match=r"no tomogram found(?s:.*)ts1.mrc"):
        find_files([tmp_path])


def test_raw_stack_beside_the_tomogram_never_becomes_its_series(tmp_path):
    for ending in (".st", "_preali.mrc", "_raw.mrc", ".mrc", "_bin.mrc"):
        made.series(tmp_path / f"t1{ending}")
    made.angles(tmp_path / "t1.tlt")
    made.volume(tmp_path / "t1.rec")
    (one,) = find_files([tmp_path]).tomograms
    assert not one.has_series
    assert "only a raw series" in one.missing


# --- series that do not fit ----------------------------------------------------------


def test_series_of_another_size_is_explained(tmp_path):
    made.volume(tmp_path / "t1.rec")
    made.series(tmp_path / "t1.ali", shape=(80, 96))
    made.angles(tmp_path / "t1.tlt")
    (one,) = find_files([tmp_path]).tomograms
    assert "bin the tilt images by 4" in one.missing


def test_angle_file_with_another_count_is_passed_over(tmp_path):
    made.volume(tmp_path / "t1.rec")
    made.series(tmp_path / "t1.ali")
    made.angles(tmp_path / "t1.tlt", [-40, 0, 40])
    (one,) = find_files([tmp_path]).tomograms
    assert "3 angles, the tilt series 5 images" in one.missing
    made.angles(tmp_path / "t1.rawtlt")
    (one,) = find_files([tmp_path]).tomograms
    assert one.angle_path.name == "t1.rawtlt"


def test_two_series_equally_near_are_not_chosen_from(tmp_path):
    made.volume(tmp_path / "rec" / "t1.rec")
    for folder in ("try1", "try2"):
        made.series(tmp_path / folder / "t1.ali")
        made.angles(tmp_path / folder / "t1.tlt")
    (one,) = find_files([tmp_path]).tomograms
    assert "equally near" in one.missing


# --- what cannot be read -------------------------------------------------------------


def test_damaged_tomogram_is_left_out_with_its_fault(tmp_path):
    made.volume(tmp_path / "good.rec")
    (tmp_path / "cut.rec").write_bytes((tmp_path / "good.rec").read_bytes()[:2000])
    (tmp_path / "empty.rec").touch()
    found = find_files([tmp_path])
    assert names(found) == ["good"]
    assert "truncated" in reasons(found)["cut.rec"]
    assert "0 bytes" in reasons(found)["empty.rec"]


def test_folder_that_may_not_be_read_is_noted(tmp_path, monkeypatch):
    made.volume(tmp_path / "good.rec")
    (tmp_path / "private").mkdir()
    scan = os.scandir

    def forbid(path):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", forbid)
    found = find_files([tmp_path])
    assert names(found) == ["good"]
    assert "Permission denied" in reasons(found)["private"]
    with pytest.raises(InputError, match="Permission denied"):
        find_files([tmp_path / "private"])


@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_folder_is_refused(tmp_path, what):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        find_files([tmp_path / what])


def test_nothing_found_names_what_was_expected(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"\(1 files\); expected names such as"):
        find_files([tmp_path])


def test_only_headers_of_tomograms_and_their_series_are_opened(tmp_path, monkeypatch):
    made.etomo(tmp_path, "t1")
    made.aretomo3(tmp_path, "t2")
    opened = []

    def note(path):
        opened.append(path.name)
        return inspect(path)

    from lib.inputs.mrc import inspect_mrc as inspect

    for module in ("find_files", "series_files", "found_halves"):
        monkeypatch.setattr(f"lib.inputs.{module}.inspect_mrc", note)
    find_files([tmp_path])
    assert sorted(opened) == [
        "t1_ali.mrc",
        "t1_rec.mrc",
        "t2_EVN_Vol.mrc",
        "t2_ODD_Vol.mrc",
        "t2_Vol.mrc",
    ]


def test_list_of_both_kinds_is_read_by_3d_and_refused_by_2d3d(tmp_path):
    made.etomo(tmp_path, "a")
    made.volume(tmp_path / "b b" / "b b.rec")
    found = find_files([tmp_path])
    path = tmp_path / "list.txt"
    path.write_text(list_text(found, found.tomograms))
    given = {"project": tmp_path, "order": "auto", "order_is_given": True}
    read = read_image_list(path, needs_tilts=False, **given)
    assert [one.name for one in read] == ["a", "b b"]
    assert np.prod(read[1].shape) == np.prod(made.SIZE)
    with pytest.raises(InputError, match="column"):
        read_image_list(path, needs_tilts=True, **given)


def test_table_groups_the_files_of_a_large_data_set(tmp_path):
    for number in range(60):
        made.volume(tmp_path / f"t{number}.rec")
        (tmp_path / f"t{number}_mask.mrc").touch()
    found = find_files([tmp_path])
    lines = "\n".join(table_of(found, found.tomograms)).splitlines()
    assert len(lines) < 50
    assert "and 20 more" in "\n".join(lines)
    assert "mask" in lines[-1]
    assert "and 57 more" in lines[-1]
