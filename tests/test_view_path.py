import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.companions import VIEW, check_companions
from lib.inputs.image_list import find_listed_files, read_image_list
from lib.inputs.noted_files import name_other_files
from lib.overlay.jobs import find_overlay_jobs
from lib.patches.preparation import prepare_store
from tests.data_sets import small_options, write_blobs
from tests.mrc_files import write_mrc
from tests.plot_tables import SIZE, make_table, write_shown_tomogram
from tests.records import make_record
from tests.session_client import Asked
from tests.session_runs import make_table as page_table
from tests.session_runs import write_run


def read(folder, rec="noisy.rec", view="clean.rec", optional=VIEW):
    listed = folder / "views.txt"
    listed.write_text(f"image_name\trec_path\tview_path\nt\t{rec}\t{view}\n")
    return read_image_list(
        listed, project=folder, needs_tilts=False, order="zxy", optional=optional
    )


@pytest.fixture
def folder(tmp_path):
    """Two tomograms of one shape whose blobs lie elsewhere."""
    write_blobs(tmp_path / "noisy.rec", 0)
    write_blobs(tmp_path / "clean.rec", 1)
    return tmp_path


def prepare(tomograms, cache, **changes):
    return prepare_store(tomograms, small_options(**changes), cache=cache, workers=0)


def test_candidates_of_the_view_have_the_patches_of_the_tomogram(folder):
    cache = folder / "cache"
    store = prepare(read(folder), cache, search_in="view")
    clean = prepare(read(folder, rec="clean.rec", view="-"), cache)
    noisy = prepare(read(folder, view="-"), cache)
    np.testing.assert_array_equal(store.coords, clean.coords)
    assert len(store) != len(noisy) or (store.coords != noisy.coords).any()
    # the same particle is seen in both searches: its patches are of the noisy one
    shared = {tuple(xyz): row for row, xyz in enumerate(noisy.coords.tolist())}
    rows = [tuple(xyz) in shared for xyz in store.coords.tolist()]
    for row in np.flatnonzero(rows):
        other = shared[tuple(store.coords[row].tolist())]
        mine, its = store.entries[0].patches[row], noisy.entries[0].patches[other]
        np.testing.assert_array_equal(mine, its)
    assert (store.entries[0].patches != clean.entries[0].patches).any()
    assert store.entries[0].metadata.view_path == str(folder / "clean.rec")


def test_view_alone_changes_nothing_that_is_prepared(folder):
    cache = folder / "cache"
    prepare(read(folder, view="-"), cache)
    before = set(cache.iterdir())
    prepare(read(folder), cache)
    assert set(cache.iterdir()) == before


def test_another_tomogram_cuts_the_candidates_of_the_view_again(folder):
    cache = folder / "cache"
    first = prepare(read(folder), cache, search_in="view")
    patches = first.entries[0].patches.copy()
    write_blobs(folder / "noisy.rec", 2)
    second = prepare(read(folder), cache, search_in="view")
    np.testing.assert_array_equal(first.coords, second.coords)
    assert (patches != second.entries[0].patches).any()
    assert len(list(cache.glob("candidates-*"))) == 1


def test_list_says_which_file_is_looked_at(folder):
    read(folder)
    listed = folder / "views.txt"
    found = find_listed_files(listed, project=folder)
    assert found == {"t": folder / "clean.rec"}
    read(folder, view="-")
    found = find_listed_files(listed, project=folder)
    assert found == {"t": folder / "noisy.rec"}


def test_painting_takes_the_view_that_the_run_noted(tmp_path, capsys):
    facts = {"order": "xzy", "rec_path": str(tmp_path / "noisy.rec")}
    facts["view_path"] = str(tmp_path / "clean.rec")
    for name in ("noisy.rec", "clean.rec", "other.rec"):
        write_shown_tomogram(tmp_path / name)
    record = make_record({"tomo1": facts})
    table = make_table(record=record)
    (job,) = find_overlay_jobs(table, only=["tomo1"])
    assert job.path.name == "clean.rec"
    assert name_other_files(record.tomograms, {"tomo1": job.path}) is None
    listed = {"tomo1": tmp_path / "other.rec"}
    (job,) = find_overlay_jobs(table, listed=listed, only=["tomo1"])
    assert job.path.name == "other.rec"
    (tmp_path / "clean.rec").unlink()
    (job,) = find_overlay_jobs(table, only=["tomo1"])
    assert job.path.name == "noisy.rec"
    assert "clean.rec is not there any more" in capsys.readouterr().err


def test_page_shows_slices_of_the_view(tmp_path):
    shape = tuple(SIZE[::-1].tolist())
    rng = np.random.default_rng(0)
    dark, clean = rng.normal(size=(2, *shape)).astype("f4")
    write_mrc(tmp_path / "noisy.rec", dark)
    write_mrc(tmp_path / "clean.rec", clean)

    def slices(run, **facts):
        known = {"order": "zxy", "rec_path": str(tmp_path / "noisy.rec"), **facts}
        table = page_table(
            name=np.array(["tomo1"] * 12),
            coord=np.full((12, 3), 5),
            record=make_record({"tomo1": known}),
        )
        path = write_run(tmp_path / run, table)
        with Asked(path) as session:
            answer = session.get("/api/slice?tomogram=0&axis=z&index=3")
        assert answer.status_code == 200, answer.text
        return answer.content

    shown = slices("a", view_path=str(tmp_path / "clean.rec"))
    assert shown != slices("b")
    write_mrc(tmp_path / "noisy.rec", clean)
    assert shown == slices("c")


def test_view_of_another_shape_is_refused(folder):
    write_mrc(folder / "clean.rec", np.zeros((4, 5, 6), np.float32))
    with pytest.raises(InputError, match="line 2: view_path: .*4 x 5 x 6"):
        read(folder)


def test_search_in_views_needs_one_for_each_tomogram(folder):
    with pytest.raises(InputError, match="--search_in view: .* no view_path for t"):
        check_companions(read(folder, view="-"), in_view=True)
