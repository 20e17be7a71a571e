import numpy as np
import pytest

from lib.artifacts import EmbeddingTable
from lib.errors import InputError
from lib.inputs.companions import HALVES, check_companions
from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.patches.views import cut_views
from lib.training.checkpoints import load_checkpoint
from tests.data_sets import SHAPE, small_options, write_blobs
from tests.mrc_files import write_mrc
from tests.small_runs import embed_command, finish, folder_of, start_command
from tests.small_runs import train_command as train


def write_halves(folder, names=("tomo1",)):
    """Write tomograms that are the mean of two halves with noise of their own."""
    for seed, name in enumerate(names):
        write_blobs(folder / f"{name}.rec", seed)
        for number, half in enumerate(("EVN", "ODD")):
            noise = np.random.default_rng([seed, number]).normal(size=SHAPE)
            write_mrc(folder / f"{name}_{half}.rec", noise.astype(np.float32))
    return list_of(folder, {n: (f"{n}_EVN.rec", f"{n}_ODD.rec") for n in names})


def list_of(folder, halves, columns=HALVES):
    lines = ["\t".join(["image_name", "rec_path", *columns])]
    lines += ["\t".join([n, f"{n}.rec", *paths]) for n, paths in halves.items()]
    path = folder / f"halves{len(list(folder.iterdir()))}.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def read(listed, optional=HALVES):
    return read_image_list(
        listed,
        project=listed.parent,
        needs_tilts=False,
        order="zxy",
        optional=optional,
    )


def prepare(listed, cache, **changes):
    return prepare_store(read(listed), small_options(**changes), cache=cache, workers=0)


def error_of(listed):
    with pytest.raises(InputError) as caught:
        read(listed)
    return str(caught.value)


def test_views_of_a_pair_come_from_one_half_each(tmp_path):
    store = prepare(write_halves(tmp_path), tmp_path / "cache", halves=True)
    pairing, entry = store.options.pairing, store.entries[0]
    (tomogram,) = read(write_halves(tmp_path))
    sources = ["all"] + ["even"] + 4 * ["odd"]
    for number, (offset, source) in enumerate(
        zip(pairing.offsets, sources, strict=True)
    ):
        info = {
            "all": tomogram.info,
            "even": tomogram.companions.rec_even,
            "odd": tomogram.companions.rec_odd,
        }[source]
        alone = data_of(tomogram.of_file(info), store.options)
        there = entry.coords + np.array(offset.step)
        expected = cut_views(
            alone,
            there,
            box=store.options.box,
            context=store.options.context,
            mode="simsiam3d",
        )[:, 0]
        np.testing.assert_array_equal(entry.patches[:, number], expected)
    assert sources[pairing.first] == "even"
    assert {sources[number] for number in pairing.second} == {"odd"}


def data_of(tomogram, options):
    from lib.patches.tomogram_data import load_tomogram

    return load_tomogram(tomogram, options)


def test_candidates_and_what_is_embedded_are_those_of_the_whole(tmp_path):
    listed = write_halves(tmp_path)
    plain = prepare(listed, tmp_path / "a")
    halves = prepare(listed, tmp_path / "b", halves=True)
    np.testing.assert_array_equal(plain.coords, halves.coords)
    for one, other in zip(plain.entries, halves.entries, strict=True):
        np.testing.assert_array_equal(one.patches[:, 0], other.patches[:, 0])
    assert plain.normalization() == halves.normalization()


def test_another_half_cuts_patches_again_and_searches_nothing(tmp_path):
    listed, cache = write_halves(tmp_path), tmp_path / "cache"
    prepare(listed, cache, halves=True)
    prepare(listed, cache)
    before = set(cache.iterdir())
    noise = np.random.default_rng(9).normal(size=SHAPE).astype(np.float32)
    write_mrc(tmp_path / "tomo1_ODD.rec", noise)
    prepare(listed, cache)
    assert set(cache.iterdir()) == before
    prepare(listed, cache, halves=True)
    (new,) = set(cache.iterdir()) - before
    assert new.name.startswith("patches-")


def test_half_of_another_shape_is_refused_with_both_shapes(tmp_path):
    listed = write_halves(tmp_path)
    write_mrc(tmp_path / "tomo1_ODD.rec", np.zeros((5, 6, 7), np.float32))
    said = error_of(listed)
    assert "line 2: rec_odd" in said
    assert "5 x 6 x 7" in said
    assert " x ".join(map(str, SHAPE)) in said


def test_half_that_cannot_be_read_is_named(tmp_path):
    listed = write_halves(tmp_path)
    (tmp_path / "tomo1_EVN.rec").write_bytes(b"no MRC")
    assert "tomo1_EVN.rec" in error_of(listed)


@pytest.mark.parametrize("by_column", [True, False])
def test_half_without_the_other_is_refused(tmp_path, by_column):
    write_halves(tmp_path)
    if by_column:
        listed = list_of(tmp_path, {"tomo1": ["tomo1_EVN.rec"]}, ["rec_even"])
    else:
        listed = list_of(tmp_path, {"tomo1": ["tomo1_EVN.rec", "-"]})
    assert "without rec_odd" in error_of(listed)


@pytest.mark.parametrize(
    ("halves", "said"),
    [
        (
            ["tomo1_EVN.rec", "tomo1_EVN.rec"],
            "rec_odd: {}_EVN.rec is the file of rec_even",
        ),
        (
            ["linked.rec", "tomo1_EVN.rec"],
            "rec_odd: {}_EVN.rec is the file of rec_even",
        ),
        (["tomo1.rec", "tomo1_ODD.rec"], "rec_even: {}.rec is the file of rec_path"),
    ],
)
def test_halves_that_share_their_noise_are_refused(tmp_path, halves, said):
    write_halves(tmp_path)
    (tmp_path / "linked.rec").symlink_to("tomo1_EVN.rec")
    assert said.format(tmp_path / "tomo1") in error_of(
        list_of(tmp_path, {"tomo1": halves})
    )


def test_halves_of_some_tomograms_only_are_refused_by_name(tmp_path):
    write_halves(tmp_path, ("tomo1", "tomo2"))
    files = {"tomo1": ["tomo1_EVN.rec", "tomo1_ODD.rec"], "tomo2": ["-", "-"]}
    with pytest.raises(InputError, match="for tomo2, 1 of 2 tomograms"):
        check_companions(read(list_of(tmp_path, files)), halves=True)


def test_columns_that_are_not_asked_for_are_ignored(tmp_path):
    write_halves(tmp_path)
    listed = list_of(tmp_path, {"tomo1": ["none.rec", "none.rec"]})
    (tomogram,) = read(listed, optional=())
    assert tomogram.companions.halves is None


def test_run_by_halves_keeps_them_and_embeds_without(tmp_path):
    listed, exp = write_halves(tmp_path), tmp_path / "exp"
    finish(start_command(train(listed, exp, "--halves", epochs=1)))
    record = load_checkpoint(folder_of(exp) / "model_last.pth").record
    assert record.options.patches.halves is True
    assert record.tomogram("tomo1").rec_odd == str(tmp_path / "tomo1_ODD.rec")
    plain = list_of(tmp_path, {"tomo1": []}, [])
    said = finish(start_command(train(plain, exp, "--resume", epochs=2)), code=2)
    assert "names no rec_even and rec_odd" in said
    assert "tomo1" in said
    finish(start_command(embed_command(plain, exp)))
    table = EmbeddingTable.load(folder_of(exp) / "all_output_info.npz")
    assert len(table) > 0
