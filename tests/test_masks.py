import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from lib.artifacts import Columns, EmbeddingTable, InteractiveTable
from lib.artifacts.measures import MEASURES
from lib.candidates.surroundings import on_side, signed_distance
from lib.errors import InputError
from lib.export.formats import write_coordinates
from lib.export.picks import Picks
from lib.inputs.companions import MASK, check_companions
from lib.inputs.image_list import read_image_list
from lib.inputs.mask import read_mask
from lib.patches.measures import NEARBY, measure
from lib.patches.preparation import prepare_candidates, prepare_store
from lib.patches.tomogram_data import TomogramData, load_tomogram
from tests.data_sets import SHAPE, small_options, write_blobs
from tests.mrc_files import write_mrc


@pytest.fixture
def folder(tmp_path):
    """Two tomograms, the left half of each in the mask."""
    for seed, name in enumerate(("tomo1", "tomo2")):
        write_blobs(tmp_path / f"{name}.rec", seed)
        write_mask(tmp_path / f"{name}_mask.mrc")
    return tmp_path


def left_half(shape=SHAPE):
    mask = np.zeros(shape, np.int16)
    mask[..., : shape[2] // 2] = 3
    return mask


def write_mask(path, mask=None):
    write_mrc(path, left_half() if mask is None else mask)


def read(folder, masks=("tomo1_mask.mrc", "tomo2_mask.mrc")):
    lines = ["image_name\trec_path\tmask_path"]
    for number, mask in enumerate(masks, start=1):
        lines.append(f"tomo{number}\ttomo{number}.rec\t{mask}")
    listed = folder / "masks.txt"
    listed.write_text("\n".join(lines) + "\n")
    return read_image_list(
        listed, project=folder, needs_tilts=False, order="zxy", optional=MASK
    )


def unmasked(folder):
    return read(folder, ("-", "-"))


def prepare(tomograms, cache, **changes):
    return prepare_store(tomograms, small_options(**changes), cache=cache, workers=0)


# --- distances -----------------------------------------------------------------------


def test_distance_is_that_of_the_distance_transform():
    rng = np.random.default_rng(0)
    mask = rng.random((9, 11, 13)) < 0.3
    mask[2:7, 3:9, 4:12] = True
    positions = np.argwhere(np.ones(mask.shape))[:, ::-1]
    expected = distance_transform_edt(~mask) - distance_transform_edt(mask)
    found = signed_distance(mask, positions)
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-6)


def test_sides_and_distance_choose_together():
    distance = np.array([-9.0, -1, 1, 9])
    assert on_side(distance).all()
    assert on_side(distance, side="inside").tolist() == [True, True, False, False]
    assert on_side(distance, side="outside", within=1).tolist() == [0, 0, 1, 0]
    assert on_side(distance, within=1).tolist() == [False, True, True, False]


# --- candidates ----------------------------------------------------------------------


@pytest.mark.parametrize("side", ["inside", "outside", "both"])
@pytest.mark.parametrize("within", [None, 8.0])
def test_candidates_lie_where_they_are_wanted(folder, side, within):
    whole = prepare(unmasked(folder), folder / "cache")
    store = prepare(
        read(folder), folder / "cache", mask_side=side, mask_distance=within
    )
    x, middle = whole.coords[:, 0], SHAPE[2] // 2
    # the last voxel inside is next to the first outside
    distance = np.where(x < middle, x - middle, x - middle + 1)
    wanted = on_side(distance, side=side, within=within)
    np.testing.assert_array_equal(store.coords, whole.coords[wanted])
    np.testing.assert_array_equal(store.measures()["mask_distance"], distance[wanted])
    for name in ("response", "density"):
        expected = whole.measures()[name][wanted]
        np.testing.assert_array_equal(store.measures()[name], expected)
    if side != "both":
        assert 0 < len(store) < len(whole)


def test_dry_run_shows_the_candidates_that_are_trained(folder):
    changes = {"mask_side": "inside"}
    store = prepare(read(folder), folder / "cache", **changes)
    found = prepare_candidates(
        read(folder), small_options(**changes), cache=folder / "cache", workers=0
    )
    coords = np.concatenate([entry.coords for entry in found])
    np.testing.assert_array_equal(coords, store.coords)


def test_mask_repeats_no_search_and_its_change_cuts_again(folder):
    cache = folder / "cache"
    prepare(unmasked(folder), cache)
    searched = set(cache.glob("candidates-*"))
    prepare(read(folder), cache)
    before = set(cache.iterdir())
    write_mask(folder / "tomo1_mask.mrc", left_half().astype(np.int8)[:, ::-1])
    prepare(read(folder), cache)
    new = set(cache.iterdir()) - before
    assert set(cache.glob("candidates-*")) == searched
    assert [path.name.split("-")[0] for path in new] == ["patches"]


def test_mask_of_other_axes_is_read_as_its_tomogram(tmp_path):
    write_blobs(tmp_path / "tomo1.rec", 0, order="xzy")
    write_mrc(tmp_path / "tomo1_mask.mrc", left_half(), order="xzy")
    listed = tmp_path / "masks.txt"
    listed.write_text("image_name rec_path mask_path\nt tomo1.rec tomo1_mask.mrc\n")
    (tomogram,) = read_image_list(
        listed, project=tmp_path, needs_tilts=False, order="xzy", optional=MASK
    )
    np.testing.assert_array_equal(read_mask(tomogram), left_half() > 0)


def test_merged_slices_are_measured_in_voxels_of_the_file(folder):
    mask = np.zeros(SHAPE, np.int8)
    mask[:4] = 1
    write_mask(folder / "tomo1_mask.mrc", mask)
    write_mask(folder / "tomo2_mask.mrc", mask)
    store = prepare(read(folder), folder / "cache", compress=True)
    # slices 2 z and 2 z + 1 are one; the last in the mask is 3
    expected = 2 * store.coords[:, 2] + 0.5 - 3
    np.testing.assert_allclose(store.measures()["mask_distance"], expected)


# --- measures ------------------------------------------------------------------------


def test_density_and_neighbors_of_a_known_volume():
    volume = np.full((20, 40, 60), 170, np.uint8)  # 170 is one std above the mean
    z, y, x = np.indices(volume.shape)
    volume[(z - 10) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 9] = 0  # three below
    coords = np.array([[20, 20, 10], [45, 20, 10], [45, 23, 10]])
    found = measure(TomogramData(volume), coords, diameter=6)
    np.testing.assert_allclose(found["density"], [-3, 1, 1], atol=1e-5)
    assert NEARBY * 6 < 25  # the first is alone
    assert found["neighbors"].tolist() == [0, 1, 1]


def test_response_is_what_ranks_candidates(folder):
    for entry in prepare(unmasked(folder), folder / "cache").entries:
        response = entry.measures["response"]
        assert (np.diff(response) <= 0).all()
        assert (response > 0).all()


def make_measures(rows):
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=rows).astype("f4") for name in MEASURES}


def test_distance_is_kept_where_only_some_tomograms_have_a_mask(folder):
    listed = read(folder, ("tomo1_mask.mrc", "-"))
    store = prepare(listed, folder / "cache")
    distance = store.measures()["mask_distance"]
    assert np.isfinite(distance[store.names == "tomo1"]).all()
    assert np.isnan(distance[store.names == "tomo2"]).all()
    assert np.isfinite(store.measures()["density"]).all()


def test_tables_keep_measures_and_open_without(tmp_path):
    measures = make_measures(5)
    columns = {
        "name": np.array(["t"] * 5),
        "coords": np.arange(15).reshape(5, 3),
        "pred": np.ones((5, 4), "f4"),
        "proj": np.ones((5, 4), "f4"),
        "subvol": np.ones((5, 1, 8, 8), "f4"),
    }
    for kept in (measures, {}):
        EmbeddingTable(**columns, measures=kept).save(tmp_path / "a.npz")
        assert_equal(EmbeddingTable.load(tmp_path / "a.npz").measures, kept)
        table = InteractiveTable(
            columns["name"],
            columns["coords"],
            columns["pred"],
            np.arange(5),
            columns["name"],
            measures=kept,
        )
        table.save(tmp_path / "a.parquet")
        loaded = InteractiveTable.load(tmp_path / "a.parquet")
        assert_equal(loaded.measures, kept)
        some = {name: values[[3, 1]] for name, values in kept.items()}
        assert_equal(loaded.only([3, 1]).measures, some)


def test_csv_has_the_measures_as_columns_and_txt_as_documented(tmp_path):
    measures = {"mask_distance": np.array([-2, 1.5], "f4")}
    picks = Picks(np.array(["a", "b"]), np.arange(6).reshape(2, 3), measures=measures)
    write_coordinates(tmp_path / "a.csv", picks, kind="csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "image_name,x_coord,y_coord,z_coord,mask_distance",
        "a,0,1,2,-2",
        "b,3,4,5,1.5",
    ]
    write_coordinates(tmp_path / "a.txt", picks, kind="txt")
    assert "mask_distance" not in (tmp_path / "a.txt").read_text()


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_columns_of_the_page_keep_measures(tmp_path):
    rng = np.random.default_rng(0)
    columns = Columns(
        names=["t"],
        numbers=[0],
        tomogram=np.zeros(6),
        cluster=np.zeros(6),
        coord=np.zeros((6, 3)),
        map_xy=rng.random((6, 2)),
        cloud=rng.random((6, 3)),
        unit=rng.random((6, 4)),
        examples=np.zeros((1, 3)),
        means=np.zeros((1, 8, 8)),
        measures=make_measures(6),
    )
    columns.save(tmp_path / "columns", layout_id="a")
    loaded = Columns.load(tmp_path / "columns", layout_id="a")
    assert_equal(loaded.measures, make_measures(6))


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros(SHAPE, np.int8), "marks no voxel"),
        (np.ones(SHAPE, np.int8), "marks all"),
        (np.full(SHAPE, 0.25, np.float32), "holds 0.25 in section 0"),
        (np.full(SHAPE, np.nan, np.float32), "holds nan in section 0"),
    ],
    ids=["empty", "full", "probabilities", "nan"],
)
def test_mask_that_is_none_is_refused(folder, mask, said):
    write_mask(folder / "tomo2_mask.mrc", mask)
    cache = folder / "cache"
    with pytest.raises(InputError, match=said) as caught:
        prepare(read(folder), cache)
    assert "tomo2_mask.mrc" in str(caught.value)


def test_labels_as_floats_are_a_mask(folder):
    write_mask(folder / "tomo1_mask.mrc", left_half().astype(np.float32))
    np.testing.assert_array_equal(read_mask(read(folder)[0]), left_half() > 0)


def test_mask_of_another_shape_is_refused_before_anything_is_read(folder):
    write_mask(folder / "tomo2_mask.mrc", left_half((4, 5, 6)))
    with pytest.raises(InputError, match="line 3: mask_path: .*4 x 5 x 6"):
        read(folder)


def test_choice_by_mask_needs_one_for_each_tomogram(folder):
    tomograms = read(folder, ("tomo1_mask.mrc", "-"))
    check_companions(tomograms)
    with pytest.raises(InputError, match="no mask_path for tomo2, 1 of 2 tomograms"):
        check_companions(tomograms, by_mask=True)


def test_mask_that_leaves_no_candidate_is_named_as_the_reason(folder):
    corner = np.zeros(SHAPE, np.int8)
    corner[0, 0, 0] = 1
    for name in ("tomo1", "tomo2"):
        write_mask(folder / f"{name}_mask.mrc", corner)
    with pytest.raises(InputError, match="where the masks want them"):
        prepare(read(folder), folder / "cache", mask_side="inside")


def test_without_a_mask_all_is_as_before(folder):
    tomograms = unmasked(folder)
    assert load_tomogram(tomograms[0], small_options()).halves is None
    assert "mask_distance" not in prepare(tomograms, folder / "cache").measures()
